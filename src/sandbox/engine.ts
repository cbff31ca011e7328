// Finds the container engine (DOCKER_HOST, else the first socket of the engines people use), bounds each call to it in time and
// says what its errors mean. Knows nothing about agents.
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import type { Clock } from '../clock.js';
import type { Env } from '../config.js';
import { describeError, PinchError } from '../errors.js';

/** Sockets of Docker, OrbStack, Docker Desktop, Colima and Podman, in the order they are tried. */
export function socketCandidates(env: Env): string[] {
  const home = env.HOME ?? homedir();
  const runtime = env.XDG_RUNTIME_DIR;
  return [
    '/var/run/docker.sock',
    join(home, '.orbstack/run/docker.sock'),
    join(home, '.docker/run/docker.sock'),
    join(home, '.colima/default/docker.sock'),
    ...(runtime ? [join(runtime, 'docker.sock'), join(runtime, 'podman/podman.sock')] : []),
    join(home, '.local/share/containers/podman/machine/podman.sock'),
  ];
}

/**
 * A client; connects nothing yet. Without any socket it points at the usual one, whose absence every call then reports.
 * Throws PinchError `config_invalid` when DOCKER_HOST or DOCKER_CERT_PATH cannot be used.
 */
export function connectEngine(env: Env): Docker {
  if (env.DOCKER_HOST) return new Docker(engineOptions(env.DOCKER_HOST, env));
  return new Docker({ socketPath: socketCandidates(env).find((path) => existsSync(path)) ?? '/var/run/docker.sock' });
}

/** dockerode reads DOCKER_HOST from the process environment only; here it may come from `.env` as well. */
export function engineOptions(dockerHost: string, env: Env): Docker.DockerOptions {
  if (dockerHost.startsWith('unix://')) return { socketPath: dockerHost.slice('unix://'.length) };
  try {
    const { protocol, hostname: host, port, username } = new URL(dockerHost);
    if (protocol === 'ssh:') {
      const agent = env.SSH_AUTH_SOCK;
      return { protocol: 'ssh', host, port: port || 22, username, sshOptions: agent ? { agent } : {} };
    }
    if (protocol !== 'tcp:' && protocol !== 'http:' && protocol !== 'https:') throw new Error(`not ${protocol}`);
    if (env.DOCKER_TLS_VERIFY !== '1' && protocol !== 'https:' && port !== '2376')
      return { protocol: 'http', host, port: port || 2375 };
    const folder = env.DOCKER_CERT_PATH ?? join(env.HOME ?? homedir(), '.docker');
    const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFileSync(join(folder, name)));
    return { protocol: 'https', host, port: port || 2376, ca, cert, key };
  } catch (cause) {
    throw new PinchError('config_invalid', `DOCKER_HOST: ${dockerHost} cannot be used: ${describeError(cause)}`, {
      hint: 'use unix:///path/to/docker.sock, tcp://host:2375, or ssh://user@host; TLS needs DOCKER_CERT_PATH',
      cause,
    });
  }
}

/** One call, aborted when it takes longer than `ms`. An engine that hangs (a paused VM) must not hang us. */
export async function within<T>(clock: Clock, ms: number, call: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  // Cancelled once the call is over: a signal that fires later could cut a stream the call gave us.
  const timeout = clock.at(clock.now() + ms, () => abort.abort());
  try {
    return await call(abort.signal);
  } catch (error) {
    if (abort.signal.aborted) throw new Error(`no answer within ${Math.round(ms / 1000)} s`, { cause: error });
    throw error;
  } finally {
    timeout.cancel();
  }
}

/** The HTTP status of an engine's refusal; undefined when there was no answer at all. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;
}

// What a dying dockerd answers (status 500) while containerd is gone or it shuts down itself: the engine's fault, not the container's.
const DYING =
  /code = Unavailable|transport is closing|error while dialing|connection refused|context canceled|shutting down|containerd\.sock/i;

/** True when the engine is at fault: not there, hung, or on its way out. Another status is its refusal of this one call. */
export function isEngineDown(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined || (status >= 500 && DYING.test(describeError(error)));
}

export const engineUnavailable = (cause: unknown) =>
  new PinchError('sandbox_unavailable', `Docker does not answer: ${describeError(cause)}`, {
    retryable: true,
    hint: 'start Docker (OrbStack, Docker Desktop, Colima, or `systemctl start docker`)',
    cause,
  });
