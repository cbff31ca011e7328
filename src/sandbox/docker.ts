// Runs the agent runner in a hardened Docker container without network; its stdin and stdout are the link (design §1).
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Duplex, PassThrough, type Readable, type Writable } from 'node:stream';
import type Docker from 'dockerode';
import type { Clock } from '../clock.js';
import { describeError, PinchError } from '../errors.js';
import type { Logger } from '../log.js';
import { engineUnavailable, isEngineDown, statusOf, within } from './engine.js';
import { type HostLink, openHostLink } from './link.js';
import { logRunnerLines } from './runner-log.js';
import type { Mount, Sandbox, SandboxExit, SandboxInstance, SandboxSpec } from './sandbox.js';

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
/** How long a container whose link is gone, or that never spoke, may take to end with an exit code of its own. */
const EXIT_WAIT_MS = 500;
/** How long an end waits for the engine to remove the container; a sick engine must not hold up our own end. */
const REMOVE_WAIT_MS = 5_000;
const KILLED = 137;

export function createDockerSandbox(deps: DockerSandboxDeps): Sandbox {
  const { engine, homeId, clock } = deps;
  return {
    start: (spec, onConnection) => startContainer(deps, spec, onConnection),
    async ping() {
      try {
        await within(clock, PING_TIMEOUT_MS, (abortSignal) => engine.listContainers({ limit: 1, abortSignal }));
      } catch (error) {
        throw engineUnavailable(error);
      }
    },
    async reap() {
      try {
        const filters = { label: [`pinch.home=${homeId}`] };
        const left = await within(clock, CALL_TIMEOUT_MS, (abortSignal) =>
          engine.listContainers({ all: true, filters, abortSignal }),
        );
        await Promise.all(left.map(({ Id }) => removeContainer(deps, engine.getContainer(Id))));
        return left.length;
      } catch (error) {
        throw engineUnavailable(error);
      }
    },
  };
}

/** Every line is a wall: see docs/security.md for what each one stops. */
export function containerOptions(
  deps: Pick<DockerSandboxDeps, 'image' | 'homeId' | 'user'>,
  spec: SandboxSpec,
): Docker.ContainerCreateOptions & { name: string } {
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
      Ulimits: [
        { Name: 'nofile', Soft: 16_384, Hard: 16_384 },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      Tmpfs: { '/tmp': 'rw,nosuid,nodev,exec,size=256m,mode=1777' },
      Init: true,
      AutoRemove: true,
      LogConfig: { Type: 'none', Config: {} },
      Mounts: spec.mounts.map(bindMount),
    },
  };
}

function bindMount({ source, target, readOnly }: Mount): Docker.MountSettings {
  const bind = { Type: 'bind' as const, Source: source, Target: target, ReadOnly: readOnly };
  if (!readOnly) return bind;
  // Before Docker 25 only the top of a read-only mount is read-only: a disk mounted below it would be writable, so it stays out.
  const options = { Propagation: 'rprivate' as const, NonRecursive: true };
  return { ...bind, BindOptions: options };
}

async function startContainer(
  deps: DockerSandboxDeps,
  spec: SandboxSpec,
  onConnection: Parameters<Sandbox['start']>[1],
): Promise<SandboxInstance> {
  const { engine, clock } = deps;
  const options = containerOptions(deps, spec);
  // By name: a create whose answer never came may have made it all the same.
  const container = engine.getContainer(options.name);
  let exited: Promise<{ StatusCode: number }> | undefined;
  try {
    const { id } = await within(clock, CALL_TIMEOUT_MS, (abortSignal) =>
      engine.createContainer({ ...options, abortSignal }),
    );
    const { io, stdout } = await attach(deps, container, spec);
    exited = container.wait({ condition: 'next-exit' });
    exited.catch(() => undefined);
    await within(clock, CALL_TIMEOUT_MS, (abortSignal) => container.start({ abortSignal }));
    const link = await openHostLink({ stdin: io, stdout, clock, helloTimeoutMs: HELLO_TIMEOUT_MS, onConnection });
    return createInstance(deps, { id, container, link, exited });
  } catch (error) {
    const failure = await startError(deps, spec, error, exited);
    const removed = removeContainer(deps, container).catch(() => undefined);
    // An engine that hangs would hang here once more.
    if (failure.code !== 'sandbox_unavailable') await removed;
    throw failure;
  }
}

/** Before the start: with the log driver off, output that nobody reads is lost. */
async function attach(deps: DockerSandboxDeps, container: Docker.Container, spec: SandboxSpec) {
  const streams = { stream: true, stdin: true, stdout: true, stderr: true, hijack: true };
  const io = await within(deps.clock, CALL_TIMEOUT_MS, (abortSignal) => container.attach({ ...streams, abortSignal }));
  if (!(io instanceof Duplex)) throw new Error('the engine gave no two-way stream');
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  io.on('error', () => io.destroy());
  void splitOutput(io, stdout, stderr);
  logRunnerLines(stderr, deps.log.child({ group: spec.folder }));
  return { io, stdout };
}

interface Running {
  id: string;
  container: Docker.Container;
  link: HostLink;
  exited: Promise<{ StatusCode: number }>;
}

function createInstance(deps: DockerSandboxDeps, { id, container, link, exited }: Running): SandboxInstance {
  /** Set when it is we who end it. */
  let ending: string | undefined;
  const exit = exited.then(
    ({ StatusCode: exitCode }): SandboxExit => ({
      reason: ending ?? describeExit(exitCode),
      exitCode,
      outOfMemory: exitCode === KILLED && ending === undefined,
    }),
    (error: unknown): SandboxExit => ({
      reason: ending ?? `the engine lost it: ${describeError(error)}`,
      exitCode: undefined,
      outOfMemory: false,
    }),
  );
  const end = async (why: string, graceMs: number): Promise<void> => {
    ending ??= why;
    link.close();
    await settled(exit, deps.clock, graceMs);
    const removed = removeContainer(deps, container).catch((error: unknown) => {
      deps.log.warn({ error: describeError(error) }, 'container could not be removed; the next start does it');
    });
    await settled(removed, deps.clock, REMOVE_WAIT_MS);
  };
  // Without its link it cannot be reached, and one the engine lost sight of may live on: neither must stay.
  // Its own exit says more than the link's end, so that comes first.
  const linkLost = link.closed.then(async (reason): Promise<SandboxExit> => {
    const own = await settled(exit, deps.clock, EXIT_WAIT_MS);
    if (own?.exitCode === undefined) await end(own?.reason ?? reason, 0);
    return own ?? { reason: ending ?? reason, exitCode: undefined, outOfMemory: false };
  });
  void exit.then(() => link.close());
  return { id, closed: Promise.race([exit, linkLost]), stop: (graceMs) => end('it was stopped', graceMs) };
}

const describeExit = (code: number) =>
  code === KILLED ? 'exit code 137: out of memory, or killed from outside' : `exit code ${code}`;

/** What `promise` resolved with; undefined when that takes longer than `ms`. */
async function settled<T>(promise: Promise<T>, clock: Clock, ms: number): Promise<T | undefined> {
  const waiting = new AbortController();
  const result = await Promise.race([promise, clock.sleep(ms, waiting.signal).then(() => undefined)]);
  waiting.abort();
  return result;
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
        if (!target.destroyed && !target.write(payload)) await drained(target);
      }
    }
  } catch {
    // The engine cut the attachment: for us that is the same as its end.
  }
  stdout.end();
  stderr.end();
}

function drained(target: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      target.off('drain', done).off('close', done);
      resolve();
    };
    target.on('drain', done).on('close', done);
  });
}

/** Resolves when it is gone. Harmless when it is gone already or on its way. */
async function removeContainer({ clock }: DockerSandboxDeps, container: Docker.Container): Promise<void> {
  const call = <T>(make: (abortSignal: AbortSignal) => Promise<T>) => within(clock, CALL_TIMEOUT_MS, make);
  try {
    await call((abortSignal) => container.remove({ force: true, abortSignal }));
  } catch (error) {
    if (statusOf(error) === 404) return;
    if (statusOf(error) !== 409) throw error;
    // The engine is removing it already, because of AutoRemove.
    await call((abortSignal) => container.wait({ condition: 'removed', abortSignal })).catch((late: unknown) => {
      if (statusOf(late) !== 404) throw late;
    });
  }
}

/** What a failed start means, as the contract's two errors. */
async function startError(
  { clock, image }: DockerSandboxDeps,
  spec: SandboxSpec,
  error: unknown,
  exited: Promise<{ StatusCode: number }> | undefined,
): Promise<PinchError> {
  const failed = (what: string, hint: string) =>
    new PinchError('container_start_failed', `container for group ${spec.folder}: ${what}`, {
      retryable: true,
      hint,
      cause: error,
    });
  if (error instanceof PinchError) {
    const exit =
      exited &&
      (await settled(
        exited.catch(() => undefined),
        clock,
        EXIT_WAIT_MS,
      ));
    const how = exit ? ` (${describeExit(exit.StatusCode)})` : '';
    return failed(`${error.message}${how}`, 'PINCH_LOG_LEVEL=debug shows what it printed');
  }
  if (isEngineDown(error)) return engineUnavailable(error);
  const text = describeError(error);
  if (statusOf(error) === 404 && /no such image/i.test(text))
    return failed(`the image ${image} is missing`, 'run npm start again: it builds the image');
  const gone = spec.mounts.find(({ source }) => !existsSync(source));
  if (gone) return failed(`the folder ${gone.source} is missing`, `create it, or take the mount ${gone.target} away`);
  return failed(text, 'run `docker info`; is there disk space?');
}
