// Finds the container engine (DOCKER_HOST, else the first socket of the engines people use), bounds each call to it in time and
// says what its errors mean. Knows nothing about agents.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { z } from 'zod';
import { atMost, type Clock } from '../core/clock.js';
import type { Env } from '../core/config.js';
import { describeError, PinchError } from '../core/errors.js';

const INFO_MS = 3_000;

export interface EngineDeps {
  engine: Docker;
  clock: Clock;
  /** An OCI runtime of the engine; its own default without one. */
  ociRuntime?: string | undefined;
}

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
 * Throws PinchError `config_invalid` when DOCKER_HOST cannot be used.
 */
export function connectEngine(env: Env): Docker {
  if (env.DOCKER_HOST) return new Docker(engineOptions(env.DOCKER_HOST));
  return new Docker({ socketPath: socketCandidates(env).find((path) => existsSync(path)) ?? '/var/run/docker.sock' });
}

/** dockerode reads DOCKER_HOST from the process environment only; here it may come from `.env` as well. */
export function engineOptions(dockerHost: string): Docker.DockerOptions {
  const [, socketPath] = /^unix:\/\/(\/.+)$/.exec(dockerHost) ?? [];
  if (socketPath) return { socketPath };
  const [, host, port = '2375'] = /^tcp:\/\/([^:/@]+)(?::(\d+))?\/?$/.exec(dockerHost) ?? [];
  if (host) return { protocol: 'http', host, port };
  throw new PinchError('config_invalid', `DOCKER_HOST: ${dockerHost} cannot be used`, {
    hint: "use unix:///path/to/docker.sock or tcp://host:2375; an engine on another machine does not see this one's folders",
  });
}

/** One call, aborted when it takes longer than `ms`. An engine that hangs (a paused VM) must not hang us. */
export async function within<T>(clock: Clock, ms: number, call: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  // Cancelled once the call is over: a signal that fires later could cut a stream the call gave us.
  const timeout = clock.at(clock.now() + ms, () => abort.abort());
  try {
    return await call(abort.signal);
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    const late = new Error(`no answer within ${Math.round(ms / 1000)} s`, { cause: error });
    throw Object.assign(late, { code: 'ETIMEDOUT' });
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

const UNREACHED =
  /^(ECONN\w+|EPIPE|ETIMEDOUT|EHOST\w+|ENET\w+|ENOTFOUND|EAI_\w+|HPE_\w+|ERR_STREAM_PREMATURE_CLOSE|ERR_SOCKET_\w+)$/;
const systemError = z.object({ code: z.string(), syscall: z.string().optional() });

/** True when nobody answered at the engine's address: by what the call met, not because anything else went wrong around it. */
function isUnreached(error: unknown): boolean {
  const { code = '', syscall } = systemError.safeParse(error).data ?? {};
  // A socket that is not there or not ours; a file that is not there has another call.
  return UNREACHED.test(code) || (syscall === 'connect' && code !== '');
}

/**
 * True when the engine is at fault: not there, hung, or on its way out. Another status is its refusal of this one call, and an error that is
 * neither is one of ours: to wait for the engine would be to wait for ever.
 */
export function isEngineDown(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined ? isUnreached(error) : status >= 500 && DYING.test(describeError(error));
}

/** Throws PinchError `no_oci_runtime` when the engine does not have the one that the settings ask for, `sandbox_unavailable` when it does not answer. */
export async function requireRuntime({ engine, clock, ociRuntime }: EngineDeps): Promise<void> {
  if (!ociRuntime) return;
  const info: unknown = await atMost(clock, INFO_MS, engine.info());
  const answer = z.object({ Runtimes: z.record(z.string(), z.unknown()), BuildahVersion: z.string().optional() });
  const known = answer.safeParse(info).data;
  // It lists what its settings know of, and starts its own default whatever is asked for.
  if (known?.BuildahVersion !== undefined)
    throw runtimeMissing('Podman takes none for a single container', PODMAN_HINT);
  if (!known) throw engineUnavailable(new Error('it does not say which runtimes it has'));
  const names = Object.keys(known.Runtimes);
  if (!names.includes(ociRuntime)) throw runtimeMissing(`it has ${names.join(', ')}, not ${ociRuntime}`);
}

const DOCKER_HINT =
  'install it and name it under "runtimes" in /etc/docker/daemon.json, or take PINCH_OCI_RUNTIME out of .env';
const PODMAN_HINT = 'name it as `runtime` under [engine] in containers.conf, and take PINCH_OCI_RUNTIME out of .env';

export const runtimeMissing = (what: string, hint = DOCKER_HINT, cause?: unknown) =>
  new PinchError('no_oci_runtime', `the engine lacks the OCI runtime of PINCH_OCI_RUNTIME: ${what}`, { hint, cause });

export const engineUnavailable = (cause: unknown) =>
  new PinchError('sandbox_unavailable', `Docker does not answer: ${describeError(cause)}`, {
    hint: 'start Docker (OrbStack, Docker Desktop, Colima, or `systemctl start docker`)',
    cause,
  });
