// `npm run bench -- start`: what a start and each reading command take beside Node itself and the bare packages, one after the other in turns.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, newHome, removeHome } from '../e2e/harness.js';

const TURNS = 7;
const REST_MS = 3_000;
const root = join(import.meta.dirname, '..', '..');
/** What a daemon without channels cannot do without. */
const PACKAGES = ['zod', 'pino', 'better-sqlite3', 'croner', 'dockerode', 'hono', '@hono/node-server', 'marked'];
const COMMANDS = ['status', 'runs', 'tasks', 'approvals', 'costs', 'budgets', 'egress', 'config', 'logs', 'help'];

const samples: Record<string, number[]> = {};
function note(what: string, value: number): void {
  samples[what] = [...(samples[what] ?? []), value];
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

function timed(what: string, args: string[], env = process.env): void {
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${what}: ${stderr}`);
  note(what, performance.now() - began);
}

/** Resolves with the process id of the daemon once it is ready. */
async function ready(npm: ChildProcess): Promise<number> {
  let text = '';
  for await (const piece of npm.stdout ?? []) {
    text += String(piece);
    const [, pid] = /"pid":(\d+),[^\n]*"msg":"ready"/.exec(text) ?? [];
    if (pid) return Number(pid);
  }
  throw new Error(`npm start ended: ${text}`);
}

async function turn(home: string, env: NodeJS.ProcessEnv): Promise<void> {
  timed('node -e 0', ['-e', '0']);
  timed('bare packages', ['--input-type=module', '-e', PACKAGES.map((name) => `import '${name}';`).join('')]);
  const began = performance.now();
  const npm = spawn('npm', ['start'], { cwd: root, env, stdio: ['ignore', 'pipe', 'ignore'] });
  const pid = await ready(npm);
  note('npm start → ready', performance.now() - began);
  await sleep(REST_MS);
  note('resident at rest, MB', Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
  for (const command of COMMANDS) timed(`pinch ${command}`, ['scripts/pinch.mjs', command], env);
  const ended = once(npm, 'close');
  npm.stdout?.resume();
  process.kill(pid, 'SIGTERM');
  await ended;
  mkdirSync(home, { recursive: true });
}

export async function benchLaunch(): Promise<void> {
  const home = newHome();
  const env = { ...process.env, PINCH_HOME: home, PINCH_PORT: String(await freePort()) };
  for (let at = 0; at < TURNS; at += 1) await turn(home, env);
  removeHome(home);
  const node = median(samples['node -e 0'] ?? []);
  for (const [what, values] of Object.entries(samples)) {
    const ratio = what.includes('MB') ? '' : `, ${(median(values) / node).toFixed(1)} times \`node -e 0\``;
    console.log(`${what}: ${median(values).toFixed(what.includes('MB') ? 1 : 0)}${ratio}`);
  }
}
