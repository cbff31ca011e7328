// The engine's bad days: not there, hung, dying, refusing, cut off. Played by a server on a socket, or by a relay before the real one.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { whenBusy } from '../../test/limits.js';
import { agentImage, createWorld, programMount, startScene, type World } from '../../test/sandbox/world.js';
import { systemClock } from '../core/clock.js';
import { createDockerSandbox } from './docker.js';
import { connectEngine, engineOptions, isEngineDown, socketCandidates, within } from './engine.js';
import { containerUser } from './home.js';

const folder = mkdtempSync(join(tmpdir(), 'pinch-engine-'));
const log = pino({ enabled: false });
const closers: (() => void)[] = [];
let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});
afterAll(async () => {
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

let count = 0;
async function listen(server: Server): Promise<string> {
  count += 1;
  const path = join(folder, `${count}.sock`);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  closers.push(() => server.close());
  return path;
}

const sandboxOn = (socketPath: string, clock = systemClock, image = agentImage()) =>
  createDockerSandbox({
    engine: new Docker({ socketPath }),
    image,
    homeId: world.homeId,
    user: containerUser(),
    clock,
    log,
  });
const spec = () => ({ folder: 'main', mounts: [programMount(world.program)] });
const down = { code: 'sandbox_unavailable', hint: expect.stringContaining('start Docker') };

describe('no engine', () => {
  test('no socket, or one nobody listens on: unavailable, with what to do', async () => {
    const dead = createServer();
    const path = await listen(dead);
    dead.close();
    for (const sandbox of [sandboxOn(join(folder, 'none.sock')), sandboxOn(path)]) {
      await expect(sandbox.ping()).rejects.toMatchObject(down);
      await expect(sandbox.start(spec(), () => undefined)).rejects.toMatchObject(down);
      await expect(sandbox.reap()).rejects.toMatchObject(down);
    }
  });

  test('an engine that takes calls and never answers is given up', async () => {
    const sockets = new Set<Socket>();
    let asked: () => void = () => undefined;
    const path = await listen(
      createServer((socket) => {
        sockets.add(socket);
        asked();
      }),
    );
    closers.push(() => [...sockets].map((socket) => socket.destroy()));
    const clock = createFakeClock();
    const calls = [() => sandboxOn(path, clock).ping(), () => sandboxOn(path, clock).start(spec(), () => undefined)];
    for (const call of calls) {
      const reached = new Promise<void>((resolve) => {
        asked = resolve;
      });
      const outcome = expect(call()).rejects.toMatchObject({ ...down, message: expect.stringContaining('no answer') });
      await reached;
      await clock.advance(60_000);
      await outcome;
    }
  });

  test('one that says it is dying is down; one that refuses a container is not', async () => {
    const answer = (message: string) =>
      listen(createHttpServer((_req, res) => res.writeHead(500).end(JSON.stringify({ message }))));
    const dying = await answer(
      'connection error: desc = "transport: Error while dialing dial unix /run/containerd/containerd.sock: connect: connection refused": unavailable',
    );
    await expect(sandboxOn(dying).start(spec(), () => undefined)).rejects.toMatchObject(down);
    const full = await answer('write /var/lib/docker: no space left on device');
    await expect(sandboxOn(full).start(spec(), () => undefined)).rejects.toMatchObject({
      code: 'container_start_failed',
      message: expect.stringContaining('no space left'),
    });
  });

  test('one container that will not go makes neither the engine count as down nor the start wait', async () => {
    const clock = createFakeClock();
    let asked: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const path = await listen(
      createHttpServer((req, res) => {
        if (req.method === 'GET') return res.end(JSON.stringify([{ Id: 'stuck', Names: ['/stuck'] }]));
        closers.push(() => res.destroy());
        return asked();
      }),
    );
    const reaped = sandboxOn(path, clock).reap();
    await reached;
    await clock.advance(60_000);
    expect(await reaped).toBe(0);
  });

  test('a deadline is over with its call: it cuts nothing later', async () => {
    const clock = createFakeClock();
    const signal = await within(clock, 1_000, async (abortSignal) => abortSignal);
    await clock.advance(5_000);
    expect(signal.aborted).toBe(false);
  });

  test.each([
    ['a mistake of ours', new TypeError('x is not a function'), false],
    ['an answer that makes no sense', new Error('the engine gave no two-way stream'), false],
    ['a file that is not there', Object.assign(new Error('ENOENT'), { code: 'ENOENT', syscall: 'open' }), false],
    ['a refusal', Object.assign(new Error('no'), { statusCode: 409 }), false],
    ['no socket', Object.assign(new Error('ENOENT'), { code: 'ENOENT', syscall: 'connect' }), true],
    ['a socket of somebody else', Object.assign(new Error('EACCES'), { code: 'EACCES', syscall: 'connect' }), true],
    ['a connection that was cut', Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }), true],
    ['no HTTP', Object.assign(new Error('Parse Error'), { code: 'HPE_INVALID_CONSTANT' }), true],
  ])('%s: is the engine down?', (_name, error, isDown) => {
    expect(isEngineDown(error)).toBe(isDown);
  });
});

describe('a refused start leaves no container and says what to do', () => {
  test('the image is missing', async () => {
    const sandbox = sandboxOn('/var/run/docker.sock', systemClock, 'pinch-agent:never-built');
    await expect(sandbox.start(spec(), () => undefined)).rejects.toMatchObject({
      code: 'container_start_failed',
      hint: 'run npm start again: it builds the image',
    });
  });

  test('a mounted folder is missing', async () => {
    const mounts = [...spec().mounts, { source: join(folder, 'gone'), target: '/workspace', readOnly: false }];
    await expect(world.sandbox.start({ folder: 'main', mounts }, () => undefined)).rejects.toMatchObject({
      code: 'container_start_failed',
      message: expect.stringContaining(join(folder, 'gone')),
      hint: expect.stringContaining('/workspace'),
    });
  });

  test('the runner ends before its hello', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    await expect(
      world.sandbox.start({ folder: 'main', mounts: [programMount(empty)] }, () => undefined),
    ).rejects.toMatchObject({ code: 'container_start_failed', message: expect.stringContaining('exit code 1') });
  });

  afterEach(async () => {
    expect(await world.containers()).toEqual([]);
  });
});

describe('while a container runs', () => {
  const FOREVER = 'await new Promise(() => setInterval(() => undefined, 1000));';
  let sockets: Set<Socket>;
  let hangs: boolean;

  /** A way to the real engine that can be cut, or go on taking bytes and passing none. */
  async function startRelay(): Promise<string> {
    sockets = new Set();
    hangs = false;
    const relay = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket.on('error', () => socket.destroy()));
      if (hangs) return;
      const engine = connect({ path: '/var/run/docker.sock', allowHalfOpen: true });
      sockets.add(engine.on('error', () => engine.destroy()));
      socket.pipe(engine).pipe(socket);
    });
    return listen(relay);
  }
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };

  test('the engine is cut off: its end is known, and it is gone', async () => {
    const { instance } = await startScene(sandboxOn(await startRelay()), spec(), FOREVER);
    hangs = true;
    cut();
    expect(await instance.closed).toMatchObject({ exitCode: undefined, outOfMemory: false });
    // Its stdin was ours alone, so it ends without us.
    await expect.poll(() => world.containers()).toEqual([]);
  });

  test('the engine hangs: stop gives up in time for us to end', async () => {
    const { instance } = await startScene(sandboxOn(await startRelay()), spec(), FOREVER);
    hangs = true;
    for (const socket of sockets) socket.unpipe();
    const began = performance.now();
    await instance.stop(2_000);
    expect(await instance.closed).toMatchObject({ reason: 'it was stopped' });
    expect(performance.now() - began).toBeLessThan(whenBusy(9_000));
    cut();
    await expect.poll(() => world.containers()).toEqual([]);
  });
});

describe('which engine', () => {
  test('sockets are tried in the order people expect', () => {
    expect(socketCandidates({ HOME: '/h', XDG_RUNTIME_DIR: '/r' })).toEqual([
      '/var/run/docker.sock',
      '/h/.orbstack/run/docker.sock',
      '/h/.docker/run/docker.sock',
      '/h/.colima/default/docker.sock',
      '/r/docker.sock',
      '/r/podman/podman.sock',
      '/h/.local/share/containers/podman/machine/podman.sock',
    ]);
  });

  test.each([
    ['unix:///run/x.sock', { socketPath: '/run/x.sock' }],
    ['tcp://10.0.0.2:2377', { protocol: 'http', host: '10.0.0.2', port: '2377' }],
    ['tcp://localhost', { protocol: 'http', host: 'localhost', port: '2375' }],
  ])('DOCKER_HOST=%s is used, also from .env', (host, options) => {
    expect(engineOptions(host)).toEqual(options);
    expect(connectEngine({ DOCKER_HOST: host }).modem).toMatchObject(options);
  });

  test('a DOCKER_HOST that cannot be used is named, with what can', () => {
    for (const host of ['nonsense', 'ftp://x', 'ssh://me@box', 'unix://', 'tcp://me@box:1'])
      expect(() => connectEngine({ DOCKER_HOST: host })).toThrow(
        expect.objectContaining({ code: 'config_invalid', hint: expect.stringContaining('unix:///') }),
      );
  });
});
