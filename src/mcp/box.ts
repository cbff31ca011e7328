// The container of a server: sealed like a group's, with a link and a gateway of its own, which offers what to run, the program's stdin and stdout,
// and the way to the places that the server may reach. Knows nothing about MCP.
import { type Duplex, PassThrough } from 'node:stream';
import { atMost } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { BaseDeps } from '../core/deps.js';
import { PinchError } from '../core/errors.js';
import { createConnections, type Limits, type Policy } from '../egress/connections.js';
import type { Lookup } from '../egress/lookup.js';
import { createProxy } from '../egress/proxy.js';
import { createGateway, type HttpProxy, reply } from '../gateway/server.js';
import { ownFolder } from '../sandbox/home.js';
import type { Mount, Sandbox, SandboxExit, SandboxInstance, Tunnel } from '../sandbox/sandbox.js';
import { tunnelsTo } from '../sandbox/tunnels.js';
import { requestGuards } from '../secrets/guards.js';
import type { Secrets } from '../secrets/secrets.js';
import type { McpServer } from '../services/servers.js';
import { BOX_STDIN, BOX_STDOUT, type BoxOrder } from '../wire.js';
import type { ServerProcess } from './process.js';
import { createServerPolicy, type Day, decideFor, placesOf, SERVER_LIMITS } from './reach.js';

export interface BoxDeps extends BaseDeps {
  sandbox: Pick<Sandbox, 'start'>;
  secrets: Pick<Secrets, 'except'>;
  lookup: Lookup;
}

export interface Box extends ServerProcess, Pick<SandboxInstance, 'gone'> {
  exit: Promise<SandboxExit>;
}

/** One server, as services.json names it. */
export interface BoxSpec {
  server: Pick<McpServer, 'name' | 'command' | 'egress'>;
  /** What `installServer` made. */
  folder: string;
  /** All of it counts as the server's own secrets. */
  env: Record<string, string>;
  /** Ends it at once. */
  over?: AbortSignal | undefined;
}

const MEMORY_BYTES = 512 * 1024 * 1024;

interface BoxesDeps extends BoxDeps {
  config: Pick<Config, 'dataDir'>;
  /** A server has spoken: its version works. */
  onWorks(server: string, folder: string): void;
}

/** Returns `openBox`, which opens a server's container. It throws PinchError, as `startBox` and `placesOf` do. */
export function createBoxes(deps: BoxesDeps) {
  const days = new Map<string, Day>();
  return async ({ server, folder, env, over }: BoxSpec): Promise<ServerProcess> => {
    const { name, command } = server;
    const places = placesOf(server);
    const day = days.get(name) ?? { since: 0, bytes: 0 };
    days.set(name, day);
    return startBox(deps, {
      ...{ name, memoryBytes: MEMORY_BYTES, limits: SERVER_LIMITS, tunnels: tunnelsTo(places) },
      ...{ order: { command, env, cwd: '/data' }, over },
      mounts: [
        { source: folder, target: '/server', readOnly: true },
        { source: ownFolder(deps.config.dataDir, `mcp/${name}/data`), target: '/data', readOnly: false },
      ],
      policy: createServerPolicy({ ...deps, server: name, day, decide: (target) => decideFor(places, target) }),
      onOutput: () => deps.onWorks(name, folder),
    });
  };
}

interface BoxSettings {
  /** Of the server. */
  name: string;
  order: BoxOrder;
  mounts: Mount[];
  tunnels: Tunnel[];
  memoryBytes: number;
  policy: Policy<object>;
  limits: Limits;
  over?: AbortSignal | undefined;
  /** At its first word. */
  onOutput?(): void;
}

const OFFERS =
  'Here are only the hosts that services.json names for this server: through the proxy that HTTP_PROXY names, and by their names and ports.';
const READY_MS = 20_000;
/** What the runner takes at most to end a program that does not want to go, with the last of its output. */
const STOP_GRACE_MS = 5_000;
const TAIL_BYTES = 8 * 1024;

/** Starts it. Throws PinchError: what a sandbox throws, and `container_start_failed`. */
export async function startBox(deps: BoxDeps, settings: BoxSettings): Promise<Box> {
  const { name, mounts, tunnels, memoryBytes, over } = settings;
  over?.throwIfAborted();
  const { clock, sandbox } = deps;
  const tail = createTail();
  const { gateway, pipes, close } = openGateway(deps, settings);
  const link = {};
  try {
    const box = { memoryBytes, onPrinted: tail.add };
    const instance = await sandbox.start({ folder: name, mounts, tunnels, box }, (connection) =>
      gateway.connect(link, connection),
    );
    void instance.closed.then(close);
    const end = () => void instance.stop(0);
    over?.addEventListener('abort', end);
    if (over?.aborted) end();
    const ended = instance.closed.then(({ reason }) => `ended before it worked: ${reason}`);
    const ready = (await atMost(clock, READY_MS, Promise.race([pipes, ended]))) ?? 'did not begin in time';
    if (typeof ready === 'string') {
      await instance.stop(0);
      throw new PinchError('container_start_failed', `the container of the server ${name} ${ready}`);
    }
    const { stdin, stdout } = ready;
    const closed = instance.closed.then(({ reason }) => reason);
    const stop = async (): Promise<void> => {
      stdin.end();
      // What it still says is read, or else it could not end.
      stdout.resume();
      await atMost(clock, STOP_GRACE_MS, closed);
      await instance.stop(0);
    };
    return { stdin, stdout, stderrTail: tail.text, closed, exit: instance.closed, gone: instance.gone, stop };
  } catch (error) {
    close();
    throw error;
  }
}

/** The gateway of one box; `pipes` resolves once its runner has connected stdin and stdout. */
function openGateway(deps: BoxDeps, { name, order, policy, limits, onOutput }: BoxSettings) {
  const { clock, log, secrets, lookup } = deps;
  // Its own it may have, and send; those of others it has no business with.
  const others = secrets.except(Object.values(order.env));
  const warn = (secret: string, where: string) => log.warn({ server: name, secret, where }, 'a secret was held back');
  const connections = createConnections<object>({ policy, clock, log, lookup, limits });
  const proxy = createProxy(
    connections,
    requestGuards(others, (_caller: object, secret, where) => warn(secret, where)),
  );
  const gateway = createGateway<object>({ clock, log, offers: OFFERS });
  gateway.addMask(() => others.mask((secret) => warn(secret, 'what the container was given')));
  gateway.add([{ method: 'GET', path: '/order', serve: ({ response }) => reply(response, 200, order) }]);
  const { pipes, connect } = createPipes(proxy, onOutput);
  gateway.addProxy({ ...proxy, connect });
  const close = () => {
    connections.close();
    gateway.close();
  };
  return { gateway, pipes, close };
}

/** Takes the connections of stdin and stdout out of what goes to the proxy: the first of each, which the runner makes before there is a program. */
function createPipes(proxy: HttpProxy<object>, onOutput: () => void = () => undefined) {
  const given = new Map<string, (socket: Duplex) => void>();
  const first = (target: string) => new Promise<Duplex>((resolve) => given.set(target, resolve));
  const pipes = Promise.all([first(BOX_STDIN), first(BOX_STDOUT)]).then(([stdin, output]) => {
    const stdout = output.pipe(new PassThrough());
    output.once('data', onOutput);
    // Half open until all of it is read: that tells the runner that nothing is lost.
    output.once('end', () => output.end()).once('close', () => stdout.end());
    stdin.resume();
    return { stdin, stdout };
  });
  const connect: HttpProxy<object>['connect'] = async (call) => {
    const { target, socket, head } = call;
    const take = given.get(target);
    if (!take) return proxy.connect(call);
    given.delete(target);
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    if (head.length > 0) socket.unshift(head);
    take(socket);
  };
  return { pipes, connect };
}

function createTail() {
  let kept = Buffer.alloc(0);
  return {
    add(bytes: Buffer): void {
      kept = Buffer.concat([kept, bytes.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
    },
    text: (): string => kept.toString(),
  };
}
