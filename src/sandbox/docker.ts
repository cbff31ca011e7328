// Runs the agent runner in a hardened Docker container without network; its stdin and stdout are the link (design §1).
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Duplex, PassThrough, type Readable, type Writable } from 'node:stream';
import type Docker from 'dockerode';
import type { Clock } from '../clock.js';
import { describeError, PinchError } from '../errors.js';
import type { Logger } from '../log.js';
import { type HostLink, openHostLink } from './link.js';
import { logRunnerLines } from './runner-log.js';
import type { Sandbox, SandboxExit, SandboxInstance, SandboxSpec } from './sandbox.js';

export interface DockerSandboxDeps {
  engine: Docker;
  /** Image tag of the agent. */
  image: string;
  /** Label by which containers of this home are known. */
  homeId: string;
  user: { uid: number; gid: number };
  clock: Clock;
  log: Logger;
}

const MIB = 1024 * 1024;
const MEMORY_BYTES = 1024 * MIB;
const HELLO_TIMEOUT_MS = 20_000;
const CALL_TIMEOUT_MS = 30_000;
const PING_TIMEOUT_MS = 3_000;
const ENGINE_HINT = 'start Docker (OrbStack, Docker Desktop, Colima, or `systemctl start docker`)';

export function createDockerSandbox(deps: DockerSandboxDeps): Sandbox {
  const { engine, homeId } = deps;
  return {
    start: (spec, onConnection) => startContainer(deps, spec, onConnection),
    async ping() {
      try {
        await engine.listContainers({ limit: 1, abortSignal: AbortSignal.timeout(PING_TIMEOUT_MS) });
      } catch (error) {
        throw unavailable(error);
      }
    },
    async reap() {
      try {
        const filters = { label: [`pinch.home=${homeId}`] };
        const left = await engine.listContainers({
          all: true,
          filters,
          abortSignal: AbortSignal.timeout(CALL_TIMEOUT_MS),
        });
        await Promise.all(left.map(({ Id }) => removeContainer(engine.getContainer(Id))));
        return left.length;
      } catch (error) {
        throw unavailable(error);
      }
    },
  };
}

/** Every line is a wall: see docs/security.md for what each one stops. */
export function containerOptions(
  deps: Pick<DockerSandboxDeps, 'image' | 'homeId' | 'user'>,
  spec: SandboxSpec,
): Docker.ContainerCreateOptions {
  return {
    Image: deps.image,
    name: `pinch-${deps.homeId.slice(0, 8)}-${spec.folder}-${randomBytes(4).toString('hex')}`,
    Labels: { 'pinch.home': deps.homeId, 'pinch.group': spec.folder },
    User: `${deps.user.uid}:${deps.user.gid}`,
    WorkingDir: '/workspace',
    Env: ['HOME=/tmp', 'LANG=C.UTF-8'],
    OpenStdin: true,
    // The container's stdin ends with our attachment: when this process dies, the runner reads end-of-file and ends.
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    HostConfig: {
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: 256,
      Memory: MEMORY_BYTES,
      MemorySwap: MEMORY_BYTES,
      NanoCpus: 1_000_000_000,
      ShmSize: 16 * MIB,
      Tmpfs: { '/tmp': 'rw,nosuid,nodev,exec,size=256m,mode=1777' },
      Init: true,
      AutoRemove: true,
      LogConfig: { Type: 'none', Config: {} },
      Mounts: spec.mounts.map(({ source, target, readOnly }) => ({
        Type: 'bind',
        Source: source,
        Target: target,
        ReadOnly: readOnly,
      })),
    },
  };
}

async function startContainer(
  deps: DockerSandboxDeps,
  spec: SandboxSpec,
  onConnection: Parameters<Sandbox['start']>[1],
): Promise<SandboxInstance> {
  let container: Docker.Container | undefined;
  try {
    container = await deps.engine.createContainer({
      ...containerOptions(deps, spec),
      abortSignal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
    // Attached before it starts: with the log driver off, output that nobody reads is lost.
    const io = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
    if (!(io instanceof Duplex)) throw new Error('the engine gave no two-way stream');
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    void splitOutput(io, stdout, stderr);
    logRunnerLines(stderr, deps.log.child({ group: spec.folder }));
    const exited = container.wait({ condition: 'next-exit' });
    exited.catch(() => undefined);
    await container.start({ abortSignal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
    const link = await openHostLink({
      stdin: io,
      stdout,
      clock: deps.clock,
      helloTimeoutMs: HELLO_TIMEOUT_MS,
      onConnection,
    });
    return createInstance(deps, container, link, exited);
  } catch (error) {
    if (container) await removeContainer(container).catch(() => undefined);
    throw startError(deps, spec, error);
  }
}

function createInstance(
  deps: DockerSandboxDeps,
  container: Docker.Container,
  link: HostLink,
  exited: Promise<{ StatusCode: number }>,
): SandboxInstance {
  let stopping = false;
  const exit = exited.then(
    ({ StatusCode }): SandboxExit => ({
      reason: stopping ? 'it was stopped' : `exit code ${StatusCode}`,
      exitCode: StatusCode,
      outOfMemory: StatusCode === 137 && !stopping,
    }),
    (error: unknown): SandboxExit => ({
      reason: `the engine lost it: ${describeError(error)}`,
      exitCode: undefined,
      outOfMemory: false,
    }),
  );
  const stop = async (graceMs: number): Promise<void> => {
    stopping = true;
    link.close();
    const waited = new AbortController();
    await Promise.race([exit, deps.clock.sleep(graceMs, waited.signal)]);
    waited.abort();
    await removeContainer(container).catch((error: unknown) => {
      deps.log.warn({ error: describeError(error) }, 'container could not be removed; the next start does it');
    });
  };
  // A container whose link broke cannot be reached any more: it must not live on. Its own exit says more, so wait for that a moment.
  const linkLost = link.closed.then(async (reason): Promise<SandboxExit> => {
    const ended = await Promise.race([exit, deps.clock.sleep(500)]);
    if (!stopping && !ended) await stop(0);
    return ended ?? { reason, exitCode: undefined, outOfMemory: false };
  });
  return { id: container.id, closed: Promise.race([exit, linkLost]), stop };
}

/** Docker's attach stream: frames of 8 header bytes (stream number, 3 zeros, length) and payload. Back-pressure reaches the container. */
async function splitOutput(io: Readable, stdout: Writable, stderr: Writable): Promise<void> {
  let header = Buffer.alloc(0);
  let left = 0;
  let target = stdout;
  try {
    for await (const chunk of io) {
      let rest: Buffer = chunk;
      while (rest.length > 0) {
        if (left === 0) {
          const wanted = 8 - header.length;
          header = Buffer.concat([header, rest.subarray(0, wanted)]);
          rest = rest.subarray(wanted);
          if (header.length < 8) continue;
          target = header[0] === 2 ? stderr : stdout;
          left = header.readUInt32BE(4);
          header = Buffer.alloc(0);
          continue;
        }
        const payload = rest.subarray(0, left);
        rest = rest.subarray(payload.length);
        left -= payload.length;
        if (!target.destroyed && !target.write(payload))
          await Promise.race([once(target, 'drain'), once(target, 'close')]);
      }
    }
  } catch {
    // The engine cut the attachment: for us that is the same as its end.
  }
  stdout.end();
  stderr.end();
}

/** Harmless when it is gone already or on its way. */
async function removeContainer(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, abortSignal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
  } catch (error) {
    if (![404, 409].includes(statusOf(error) ?? 0)) throw error;
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;
}

const unavailable = (cause: unknown) =>
  new PinchError('sandbox_unavailable', `Docker does not answer: ${describeError(cause)}`, {
    retryable: true,
    hint: ENGINE_HINT,
    cause,
  });

/** An answer with a status is Docker's refusal; anything else means Docker itself cannot be reached. */
function startError(deps: DockerSandboxDeps, spec: SandboxSpec, error: unknown): PinchError {
  if (error instanceof PinchError) return error;
  const status = statusOf(error);
  if (status === undefined) return unavailable(error);
  const missing = status === 404 && describeError(error).includes('No such image');
  return new PinchError('container_start_failed', `container for group ${spec.folder}: ${describeError(error)}`, {
    retryable: true,
    hint: missing
      ? `the image ${deps.image} is missing: run \`npm start\` again, it builds it`
      : 'run `docker info`; is there disk space?',
    cause: error,
  });
}
