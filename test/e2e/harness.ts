// Starts the real daemon as a process of its own on a fresh home, with real containers, and talks to it from outside.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { HANG_MS } from '../limits.js';

const thisCheckout = join(import.meta.dirname, '../..');

export interface DaemonOptions {
  /** A home to go on with; default is a new one in the temporary directory. */
  home?: string;
  env?: Record<string, string>;
  /** Whose dist/ is started; default is this checkout's. */
  repository?: string;
}

export interface DaemonProcess {
  home: string;
  port: number;
  pid: number;
  /** Parsed log lines so far. */
  logs: Record<string, unknown>[];
  stderr(): string;
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  /** Resolves with the first line (past or future) that matches; rejects when the daemon ends before. */
  waitForLog(matches: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

export function newHome(): string {
  return mkdtempSync(join(tmpdir(), 'pinch-home-'));
}

/** Below those that systems give out by themselves, and for each process another place to begin: nobody else takes it before it is used. */
const [FIRST_PORT, PORTS] = [10_000, 20_000];
let asked = process.pid * 97;

export async function freePort(): Promise<number> {
  for (;;) {
    asked += 1;
    const port = FIRST_PORT + (asked % PORTS);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Only what a user's shell would have: nothing of the test run's own settings reaches the daemon. */
function baseEnv(): Record<string, string> {
  const { PATH = '', HOME = '', DOCKER_HOST } = process.env;
  return { PATH, HOME, TZ: 'UTC', ...(DOCKER_HOST ? { DOCKER_HOST } : {}) };
}

/** Spawns without waiting for `ready`: for starts that are meant to fail. */
export async function spawnDaemon(options: DaemonOptions = {}): Promise<DaemonProcess> {
  const home = options.home ?? newHome();
  const port = Number(options.env?.PINCH_PORT ?? (await freePort()));
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=1', '--input-type=module', '-e', `import { main } from './dist/main.js'; await main();`],
    {
      cwd: options.repository ?? thisCheckout,
      env: { ...baseEnv(), PINCH_HOME: home, PINCH_PORT: String(port), PINCH_LOG_LEVEL: 'debug', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  return observe(child, home, port);
}

export async function startDaemon(options: DaemonOptions = {}): Promise<DaemonProcess> {
  const daemon = await spawnDaemon(options);
  await daemon.waitForLog((line) => line.msg === 'ready');
  return daemon;
}

function observe(child: ChildProcess, home: string, port: number): DaemonProcess {
  const logs: Record<string, unknown>[] = [];
  const waiters = new Set<() => void>();
  let errors = '';
  let rest = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) logs.push(JSON.parse(line));
    for (const look of waiters) look();
  });
  let over = false;
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => {
      over = true;
      for (const look of waiters) look();
      resolve({ code, signal });
    });
  });
  return {
    home,
    port,
    pid: child.pid ?? 0,
    logs,
    stderr: () => errors,
    exited,
    api: (method, path, body) => callApi({ home, port }, { method, path, body }),
    waitForLog: (matches) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const line = logs.find(matches);
          if (!line && !over) return;
          waiters.delete(look);
          if (line) resolve(line);
          else reject(new Error(`the daemon ended first: ${errors}\n${JSON.stringify(logs.slice(-3))}`));
        };
        waiters.add(look);
        look();
      }),
    async kill(signal) {
      child.kill(signal);
      await exited;
    },
  };
}

async function callApi(daemon: { home: string; port: number }, call: { method: string; path: string; body?: unknown }) {
  const token = readFileSync(join(daemon.home, 'data/dashboard-token'), 'utf8').trim();
  const response = await fetch(`http://127.0.0.1:${daemon.port}${call.path}`, {
    method: call.method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
}

/** Between two questions, ms: the longer the wait, the less it matters, and whoever is asked has to work for it. */
const QUICK_MS = 25;
const PATIENT_MS = 100;

/** Asks until `check` gives something; for states that have no event to wait for. Rejects after `timeoutMs`. */
export async function eventually<T>(
  check: () => Promise<T | undefined> | T | undefined,
  what: string,
  timeoutMs = HANG_MS,
): Promise<T> {
  const began = Date.now();
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    const waitedMs = Date.now() - began;
    if (waitedMs > timeoutMs) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(PATIENT_MS, Math.max(QUICK_MS, waitedMs / 10))));
  }
}

/** The containers of a home, found like a person would: by the group's folder mounted from it. */
export async function containersOf(home: string): Promise<Docker.ContainerInspectInfo[]> {
  const docker = new Docker();
  const all = await docker.listContainers({ all: true, filters: { label: ['pinch.home'] } });
  const inspected = await Promise.all(
    all.map((container) =>
      docker
        .getContainer(container.Id)
        .inspect()
        .catch(() => undefined),
    ),
  );
  return inspected
    .filter((info) => info !== undefined)
    .filter((info) => info.Mounts.some((mount) => mount.Source.startsWith(`${home}/`)));
}

export function removeHome(home: string): void {
  rmSync(home, { recursive: true, force: true });
}
