// Runs the agent runner in a hardened Docker container without network; its stdin and stdout are the link.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Duplex, finished, PassThrough, Readable } from 'node:stream';
import type Docker from 'dockerode';
import { atMost, type Clock } from '../core/clock.js';
import type { BaseDeps } from '../core/deps.js';
import { describeError, PinchError } from '../core/errors.js';
import { exitOf } from './end.js';
import {
  connectEngine,
  type EngineDeps,
  engineUnavailable,
  isEngineDown,
  requireRuntime,
  runtimeMissing,
  statusOf,
  within,
} from './engine.js';
import { askKind, type EngineKind, type Identity, identityFor, unmountable } from './engine-kind.js';
import { createFrameReader } from './frames.js';
import { containerUser, homeId } from './home.js';
import { openInstance } from './instance.js';
import { isExtra, MountChanged, verifyMounts } from './mounted.js';
import { logRunnerLines } from './runner-log.js';
import { agentImage, type RuntimeDefinition } from './runtime.js';
import type { Mount, Sandbox, SandboxInstance, SandboxSpec } from './sandbox.js';
import { tellTunnels } from './tunnels.js';

export interface DockerSandboxDeps extends BaseDeps, EngineDeps {
  /** Image tag of the agent. */
  image: string;
  /** Label by which containers of this home are known. */
  homeId: string;
  /** Who owns the folders that containers get. */
  user: Identity['user'];
}

const MIB = 1024 * 1024;
const MEMORY_BYTES = 1024 * MIB;
const CALL_TIMEOUT_MS = 30_000;
const PING_TIMEOUT_MS = 3_000;
/** How long anybody waits for the engine to remove a container. */
const REMOVE_WAIT_MS = 5_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 60_000;

/** `held`: names of the containers this process starts or has; they are not left over. `kind`: of the engine, until it may be another one. */
type Host = DockerSandboxDeps & { held: Set<string>; kind?: EngineKind | undefined };

export const dockerRuntime: RuntimeDefinition = {
  name: 'docker',
  create: (config, deps) =>
    createDockerSandbox({
      engine: connectEngine(config.env),
      image: agentImage(config),
      homeId: homeId(config.home),
      user: containerUser(),
      ociRuntime: config.ociRuntime,
      ...deps,
    }),
};

export function createDockerSandbox(deps: DockerSandboxDeps): Sandbox {
  const host: Host = { ...deps, held: new Set() };
  const { engine, clock, held } = host;
  const list = (ms: number, options: Docker.ContainerListOptions) =>
    within(clock, ms, (abortSignal) => engine.listContainers({ ...options, abortSignal }));
  return {
    async start(spec, onConnection, cancelled) {
      try {
        return await startContainer(host, spec, { onConnection, cancelled });
      } catch (error) {
        if (!(error instanceof MountChanged)) throw error;
        deps.log.warn(
          { group: spec.folder, mount: error.target },
          'a folder was exchanged while its container started',
        );
        // Whoever can do that could do it again.
        const mounts = spec.mounts.filter((mount) => !isExtra(mount));
        return startContainer(host, { ...spec, mounts }, { onConnection, cancelled });
      }
    },
    async ping() {
      await list(PING_TIMEOUT_MS, { limit: 1 }).catch(throwUnavailable);
      await requireRuntime(host);
    },
    async reap() {
      host.kind = undefined;
      try {
        const all = await list(CALL_TIMEOUT_MS, { all: true, filters: { label: [`pinch.home=${deps.homeId}`] } });
        const left = all.filter(({ Names }) => !Names.some((name) => held.has(name.slice(1))));
        const removals = left.map(({ Id }) => tryToRemove(host, engine.getContainer(Id)));
        const gone = await Promise.all(removals.map((removal) => atMost(clock, REMOVE_WAIT_MS, removal)));
        await requireRuntime(host);
        // Now, and not while the first message waits. An engine that cannot say it now is asked again then.
        host.kind = await askKind(host).catch(() => undefined);
        return gone.filter(Boolean).length;
      } catch (error) {
        return throwUnavailable(error);
      }
    },
    memoryOf: (id) => memoryOf(host, id),
  };
}

/** As `docker stats` counts: without what the system only keeps because there is room. */
async function memoryOf({ engine, clock }: Host, id: string): Promise<number | undefined> {
  const asked = engine.getContainer(id).stats({ stream: false, 'one-shot': true });
  const { memory_stats: memory } = (await atMost(clock, PING_TIMEOUT_MS, asked).catch(() => undefined)) ?? {};
  return memory?.usage === undefined ? undefined : memory.usage - (memory.stats?.inactive_file ?? 0);
}

function throwUnavailable(error: unknown): never {
  throw error instanceof PinchError ? error : engineUnavailable(error);
}

/** Every line is a wall: see docs/security.md for what each one stops. */
export function containerOptions(
  deps: Pick<DockerSandboxDeps, 'image' | 'homeId' | 'ociRuntime'> & Identity,
  spec: SandboxSpec,
): Docker.ContainerCreateOptions & { name: string } {
  const { box, tunnels = [] } = spec;
  const memoryBytes = box?.memoryBytes ?? MEMORY_BYTES;
  return {
    Image: deps.image,
    name: `pinch-${deps.homeId.slice(0, 8)}-${spec.folder}-${randomBytes(4).toString('hex')}`,
    Labels: { 'pinch.home': deps.homeId, [box ? 'pinch.server' : 'pinch.group']: spec.folder },
    ...(box && { Entrypoint: ['node', '/opt/pinch/box.cjs'] }),
    User: `${deps.user.uid}:${deps.user.gid}`,
    WorkingDir: box ? '/' : '/workspace',
    Env: ['HOME=/tmp', 'LANG=C.UTF-8', ...tellMounts(spec.mounts.filter(isExtra)), ...tellTunnels(tunnels)],
    OpenStdin: true,
    // The container's stdin ends with our attachment: when this process dies, the runner reads end-of-file and ends.
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    HostConfig: {
      ...(deps.ociRuntime && { Runtime: deps.ociRuntime }),
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      ...(deps.usernsMode && { UsernsMode: deps.usernsMode }),
      SecurityOpt: ['no-new-privileges', ...deps.securityOpt],
      PidsLimit: 256,
      Memory: memoryBytes,
      MemorySwap: memoryBytes,
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
      ...(tunnels.length > 0 && {
        ExtraHosts: tunnels.map(({ host, address }) => `${host}:${address}`),
        // The runner, which is nobody special, listens where mail and web servers do. Podman has another default than Docker.
        Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
      }),
    },
  };
}

/** As the runner reads it. */
const tellMounts = (mounts: Mount[]): string[] => {
  const words = mounts.map(({ target, readOnly }) => `${target}:${readOnly ? 'ro' : 'rw'}`);
  return words.length > 0 ? [`PINCH_MOUNTS=${words.join(' ')}`] : [];
};

function bindMount({ source, target, readOnly, identity }: Mount): Docker.MountSettings {
  // Before Docker 25 only the top of a read-only mount is read-only: a disk mounted below it would be writable, so it stays out. Of a further
  // folder nobody looked at what is mounted below.
  const options = { Propagation: 'rprivate' as const, NonRecursive: readOnly || identity !== undefined };
  return { Type: 'bind', Source: source, Target: target, ReadOnly: readOnly, BindOptions: options };
}

async function startContainer(
  host: Host,
  spec: SandboxSpec,
  { onConnection, cancelled }: { onConnection: Parameters<Sandbox['start']>[1]; cancelled: AbortSignal | undefined },
): Promise<SandboxInstance> {
  const { engine, clock, held } = host;
  host.kind ??= await askKind(host).catch((error: unknown) => {
    throw startError(host, spec, error);
  });
  const odd = unmountable(
    host.kind,
    spec.mounts.map(({ source }) => source),
  );
  // It would start its own default without a word.
  if (host.kind.name === 'Podman') await requireRuntime(host);
  if (odd)
    throw startError(
      host,
      spec,
      new PinchError('bad_path', `Podman cannot mount ${odd}: move it to a path without comma and double quote`),
    );
  const options = containerOptions({ ...host, ...identityFor(host.kind, host.user) }, spec);
  // By name, not by id: the engine may have created it although its answer never came.
  const container = engine.getContainer(options.name);
  held.add(options.name);
  let io: Attachment | undefined;
  let removed: Promise<void> | undefined;
  const remove = () => {
    // While an attachment is full the engine cannot end its container, and then hangs for everybody who asks about that container.
    io?.stdin.destroy();
    removed ??= removeAtLast(host, container);
    return removed;
  };
  try {
    const { id } = await within(clock, CALL_TIMEOUT_MS, (abortSignal) =>
      engine.createContainer({ ...options, abortSignal }),
    );
    // Only now: a call that is broken off may have made the container all the same.
    cancelled?.throwIfAborted();
    io = await attach(host, container, spec);
    cancelled?.addEventListener('abort', () => void remove());
    const exit = exitOf(engine, container, clock);
    await within(clock, CALL_TIMEOUT_MS, (abortSignal) => container.start({ abortSignal }));
    await verifyMounts(host, container, spec.mounts.filter(isExtra));
    const instance = await openInstance({ id, ...io, clock, onConnection, exit, kill: remove });
    void instance.closed.then(() => held.delete(options.name));
    return instance;
  } catch (error) {
    const failure = startError(host, spec, error);
    const removal = remove();
    // An engine that does not answer would not answer here either.
    if (!(failure instanceof PinchError && failure.code === 'sandbox_unavailable'))
      await atMost(clock, REMOVE_WAIT_MS, removal);
    held.delete(options.name);
    throw failure;
  }
}

type Attachment = Awaited<ReturnType<typeof attach>>;

/** Before the start: with the log driver off, output that nobody reads is lost. */
async function attach(deps: DockerSandboxDeps, container: Docker.Container, spec: SandboxSpec) {
  const streams = { stream: true, stdin: true, stdout: true, stderr: true, hijack: true };
  const io = await within(deps.clock, CALL_TIMEOUT_MS, (abortSignal) => container.attach({ ...streams, abortSignal }));
  if (!(io instanceof Duplex)) throw new Error('the engine gave no two-way stream');
  const { stdout, stderr } = splitOutput(io);
  if (spec.box) stderr.on('data', spec.box.onPrinted);
  logRunnerLines(stderr, deps.log.child({ [spec.box ? 'server' : 'group']: spec.folder }));
  return { stdin: io, stdout };
}

/**
 * Docker's attach stream: frames of 8 header bytes (stream number, 3 zeros, length) and payload. The engine writes small ones, so a whole
 * frame may be waited for. Back-pressure of stdout reaches the container; stderr's reader keeps up.
 */
function splitOutput(io: Duplex) {
  const stdout = new Readable({ read: () => void io.resume() });
  const stderr = new PassThrough();
  const read = createFrameReader({ headerBytes: 8, payloadBytes: (header) => header.readUInt32BE(4) }, (frame) => {
    const payload = frame.subarray(8);
    if (frame[0] === 2) stderr.write(payload);
    // When nobody reads stdout any more, the rest of stderr still comes through.
    else if (!stdout.push(payload) && !stdout.destroyed) io.pause();
  });
  stdout.on('close', () => io.resume());
  io.on('data', read).on('error', () => io.destroy());
  // The engine cut the attachment: for us that is the same as its end.
  finished(io, { writable: false }, () => {
    stdout.push(null);
    stderr.end();
  });
  return { stdout, stderr };
}

/** Asks until it is gone, however long the engine takes. */
async function removeAtLast(host: Host, container: Docker.Container): Promise<void> {
  for (let pause = RETRY_FIRST_MS; !(await tryToRemove(host, container)); pause = Math.min(pause * 2, RETRY_MOST_MS))
    await host.clock.sleep(pause);
}

/** Whether it is gone. Never rejects. */
function tryToRemove({ clock, log }: Host, container: Docker.Container): Promise<boolean> {
  return removeContainer(clock, container).then(
    () => true,
    (error: unknown) => {
      log.warn({ container: container.id, error: describeError(error) }, 'container could not be removed yet');
      return false;
    },
  );
}

/** Resolves when it is gone. Harmless when it is gone already or on its way. */
async function removeContainer(clock: Clock, container: Docker.Container): Promise<void> {
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
function startError({ image }: DockerSandboxDeps, spec: SandboxSpec, cause: unknown): PinchError | MountChanged {
  if (cause instanceof MountChanged) return cause;
  const failed = (what: string, hint: string) =>
    new PinchError('container_start_failed', `container for ${spec.box ? 'server' : 'group'} ${spec.folder}: ${what}`, {
      hint,
      cause,
    });
  if (cause instanceof PinchError) return failed(cause.message, 'PINCH_LOG_LEVEL=debug shows what it printed');
  if (isEngineDown(cause)) return engineUnavailable(cause);
  const text = describeError(cause);
  if (statusOf(cause) === 404 && /no such image/i.test(text))
    return failed(`the image ${image} is missing`, 'run npm start again: it builds the image');
  if (/\bruntime (specified|name)/i.test(text)) return runtimeMissing(text, undefined, cause);
  const gone = spec.mounts.find(({ source }) => !existsSync(source));
  if (gone && isExtra(gone)) return new MountChanged(gone.target);
  if (gone) return failed(`the folder ${gone.source} is missing`, `create it, or take the mount ${gone.target} away`);
  return failed(text, 'run `docker info`; is there disk space?');
}
