// Finds the container engine: DOCKER_HOST, else the first socket of the engines people use.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import type { Env } from '../config.js';

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

/** A client; connects nothing yet. Without any socket it points at the usual one, whose absence every call then reports. */
export function connectEngine(env: Env): Docker {
  // dockerode itself reads DOCKER_HOST (unix, tcp, ssh) from the process environment; .env may carry it too.
  if (env.DOCKER_HOST?.startsWith('unix://'))
    return new Docker({ socketPath: env.DOCKER_HOST.slice('unix://'.length) });
  if (env.DOCKER_HOST) return new Docker();
  return new Docker({ socketPath: socketCandidates(env).find((path) => existsSync(path)) ?? '/var/run/docker.sock' });
}
