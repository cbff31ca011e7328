// The end of the daemon: asked to end while it does something that takes long, or that hangs for ever, it is gone within ten seconds, says that it
// was stopped, leaves no container, and the next start finds everything as it was.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { socketCandidates } from '../../src/sandbox/engine.js';
import { whenBusy } from '../limits.js';
import { type Family, registerFamily, startFamily } from './family.js';
import {
  containersOf,
  type DaemonOptions,
  type DaemonProcess,
  eventually,
  newHome,
  spawnDaemon,
  startDaemon,
} from './harness.js';
import { bash, chatTexts, type Scene, say, startScene, waitForRun } from './talk.js';

/** The promise itself, not the limit of a hang. */
const PROMISED_MS = whenBusy(10_000);
const CLEAN = { code: 0, signal: null };

async function end(daemon: Pick<DaemonProcess, 'pid' | 'exited'>, ...signals: NodeJS.Signals[]): Promise<void> {
  const began = Date.now();
  for (const signal of signals) process.kill(daemon.pid, signal);
  expect(await daemon.exited).toEqual(CLEAN);
  const tookMs = Date.now() - began;
  console.info(`${signals}: ended in ${tookMs} ms`);
  expect(tookMs).toBeLessThan(PROMISED_MS);
}

/** The next start on that home: nothing says that the one before was not stopped. */
async function startAgain(options: DaemonOptions): Promise<DaemonProcess> {
  const daemon = await startDaemon(options);
  const lines = daemon.logs.filter(({ msg }) => /not stopped|last start failed/.test(String(msg)));
  expect(lines).toEqual([]);
  return daemon;
}

/** Stands before the real engine and falls silent when it is told to, like one that is stopped: who connects is taken, and waits. */
interface Engine {
  env: { DOCKER_HOST: string };
  /** Connections that came while it was silent. */
  asked: number;
  silence(isSilent: boolean): void;
  close(): void;
}

async function startEngine(): Promise<Engine> {
  const path = join(mkdtempSync(join(tmpdir(), 'pinch-engine-')), 'docker.sock');
  const real = socketCandidates(process.env)[0] ?? '';
  const sockets = new Set<Socket>();
  let isQuiet = false;
  const pipe = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on('data', (bytes) => to.write(bytes)).on('end', () => to.end());
    from.on('error', () => to.destroy()).on('close', () => sockets.delete(from));
    if (isQuiet) from.pause();
  };
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    engine.asked += Number(isQuiet);
    const behind = connect({ path: real, allowHalfOpen: true });
    pipe(client, behind);
    pipe(behind, client);
  });
  const engine: Engine = {
    env: { DOCKER_HOST: `unix://${path}` },
    asked: 0,
    silence(isSilent) {
      [isQuiet, engine.asked] = [isSilent, 0];
      for (const socket of sockets) isSilent ? socket.pause() : socket.resume();
    },
    close: () => server.close(),
  };
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return engine;
}

let family: Family;
let scene: Scene;
let engine: Engine;

beforeAll(async () => {
  [family, engine] = [await startFamily(), await startEngine()];
  scene = await startScene({ daemon: { env: { ...family.env, ...engine.env } } });
  await registerFamily(family);
});
afterAll(async () => {
  await scene.close();
  await family.tg.close();
  engine.close();
});

const again = async () => {
  engine.silence(false);
  const { home } = scene.daemon;
  scene.daemon = await startAgain({ home, env: { ...scene.env, ...family.env, ...engine.env } });
};
const noContainers = () =>
  eventually(async () => (await containersOf(scene.daemon.home)).length === 0, 'no container is left');

/** A page that looks on, and an upload that does not get on. */
function openPage({ home, port }: DaemonProcess): void {
  const token = execFileSync('cat', [join(home, 'data/dashboard-token')], { encoding: 'utf8' }).trim();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const ask = (path: string, method: string) => {
    const call = request({ host: '127.0.0.1', port, path, method, headers: { ...headers, 'content-length': 1_000 } });
    call.on('error', () => undefined).on('response', (answer) => answer.resume().on('error', () => undefined));
    return call;
  };
  ask('/api/chat/stream', 'GET').end('x'.repeat(1_000));
  ask('/api/chat', 'POST').write('{"text":"half');
}

test('in the middle of everything at once: a model that never ends, a send and a download that hang, jobs, pages; the signal comes twice', async () => {
  const { tg, olga, direct } = family;
  scene.model.push(bash('sleep 900', { background: true }), {
    text: 'half a wo',
    interrupt: { after: 4, by: 'stall' },
  });
  const runId = await say(scene.daemon, 'work');
  await scene.model.waitForRequests(2);
  tg.faults.always('sendMessage', { hangMs: Number.POSITIVE_INFINITY });
  await scene.daemon.api('POST', `/api/chat`, { text: '/status' });
  tg.userSends(direct, olga, '/status');
  tg.faults.always('file', { hangMs: Number.POSITIVE_INFINITY });
  tg.userSends(direct, olga, { caption: 'look', photo: { bytes: Buffer.from('picture') } });
  await tg.waitForRequest('sendMessage');
  await tg.waitForRequest('getFile');
  openPage(scene.daemon);
  await end(scene.daemon, 'SIGTERM', 'SIGTERM');
  await noContainers();
  tg.faults.clear();
  scene.model.push({ text: 'the work is done' }, { text: 'a picture' });
  await again();
  await waitForRun(scene.daemon, runId, ['done']);
  await tg.waitForSent((sent) => sent.plain.includes('is done') || sent.plain.includes('a picture'));
  const said = [...(await chatTexts(scene.daemon, 'out')), ...tg.sent.map(({ plain }) => plain)];
  for (const text of ['the work is done', 'a picture']) expect(said.filter((one) => one === text)).toHaveLength(1);
});

test('an engine that falls silent while a container starts', async () => {
  const { tg, olga, family: chat } = family;
  engine.silence(true);
  tg.userSends(chat, olga, '@Pinch and now?');
  await eventually(() => engine.asked > 0, 'the engine is asked');
  await end(scene.daemon, 'SIGINT');
  scene.model.push({ text: 'now it is well' });
  await again();
  await tg.waitForSent((sent) => sent.plain === 'now it is well');
});

test('an engine that falls silent while its container works', async () => {
  scene.model.push(bash('sleep 900'));
  const asked = scene.model.requests.length;
  const runId = await say(scene.daemon, 'sleep');
  await scene.model.waitForRequests(asked + 1);
  engine.silence(true);
  await end(scene.daemon, 'SIGTERM');
  engine.silence(false);
  await noContainers();
  scene.model.push({ text: 'slept' });
  await again();
  await waitForRun(scene.daemon, runId, ['done']);
});

test('an engine that is silent from the start, before Pinch is ready', async () => {
  await end(scene.daemon, 'SIGTERM');
  engine.silence(true);
  const { home } = scene.daemon;
  scene.daemon = await spawnDaemon({ home, env: { ...scene.env, ...family.env, ...engine.env } });
  await eventually(() => engine.asked > 0, 'the engine is asked');
  await end(scene.daemon, 'SIGTERM');
  await again();
});

test('`npm start` before there is a daemon: its set-up ends, and no start has failed', async () => {
  engine.silence(true);
  const home = newHome();
  mkdirSync(join(home, 'data'));
  const child = spawn(process.execPath, ['scripts/start.mjs'], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PINCH_HOME: home, ...engine.env },
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  await eventually(() => engine.asked > 0, 'the engine is asked');
  await end({ pid: child.pid ?? 0, exited }, 'SIGTERM');
  engine.silence(false);
  expect(readdirSync(join(home, 'data'))).toEqual([]);
});

test('the terminal is closed: the log has nowhere to go, and the end is a clean one', async () => {
  const { home } = scene.daemon;
  await end(scene.daemon, 'SIGHUP');
  const env = { ...scene.env, PINCH_RUNTIME: 'process', PINCH_UNSAFE: '1', PINCH_HOME: newHome(), PINCH_PORT: '0' };
  const start = `import { main } from './dist/main.js'; await main();`;
  const terminal = spawn(
    'script',
    ['-qfc', `exec "${process.execPath}" --input-type=module -e "${start}"`, '/dev/null'],
    {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    },
  );
  let shown = '';
  terminal.stdout.on('data', (bytes) => {
    shown += String(bytes);
  });
  await eventually(() => shown.includes('ready'), 'ready in the terminal');
  const pid = Number(execFileSync('pgrep', ['-P', String(terminal.pid)], { encoding: 'utf8' }));
  terminal.kill('SIGKILL');
  await eventually(() => !isThere(pid), 'it ended', PROMISED_MS);
  await (await startAgain({ home: env.PINCH_HOME, env })).kill('SIGTERM');
  scene.daemon = await startAgain({ home, env: { ...scene.env, ...family.env, ...engine.env } });
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const checkout = join(import.meta.dirname, '../..');

test('what holds a thread of the process for ever: the signal itself ends it, after a clean end', async () => {
  const home = newHome();
  const pipe = join(home, 'pipe');
  execFileSync('mkfifo', [pipe]);
  mkdirSync(join(home, 'data'));
  const script = `
    import { open } from 'node:fs/promises';
    import { loadConfig } from './src/core/config.js';
    import { runProcess } from './src/ops/daemon-process.js';
    await runProcess(() => loadConfig(process.env, process.cwd()), async (config, log) => {
      void open(${JSON.stringify(pipe)});
      log.info('ready');
      return { started: Promise.resolve(), stop: async () => undefined };
    });
    setInterval(() => undefined, 1_000);`;
  // Below the checkout, where Node finds its packages.
  const outfile = join(checkout, 'dist', `held-${process.pid}.mjs`);
  const stdin = { contents: script, resolveDir: checkout };
  await build({ stdin, bundle: true, platform: 'node', format: 'esm', packages: 'external', outfile });
  const child = spawn(process.execPath, [outfile], {
    env: { PATH: process.env.PATH, PINCH_HOME: home, PINCH_RUNTIME: 'process', PINCH_UNSAFE: '1' },
  });
  child.once('exit', () => rmSync(outfile));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const began = Date.now();
  child.kill('SIGTERM');
  const signal = await new Promise((resolve) => child.once('exit', (_, by) => resolve(by)));
  expect(signal).toBe('SIGTERM');
  expect(Date.now() - began).toBeLessThan(PROMISED_MS);
});
