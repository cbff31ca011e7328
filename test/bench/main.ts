// `npm run bench`: what Pinch itself adds, measured from outside the real daemon with real containers, the fakes in this process.
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { storm } from '../chaos/storm.js';
import { eventually, newHome, removeHome } from '../e2e/harness.js';
import { benchEgress } from './egress.js';
import { benchCold, benchFloor } from './floor.js';
import { benchLaunch } from './start.js';
import { cpuMs, createWorld, report, roundTrip, rssMbOf, start, type World } from './world.js';
import { benchRetention, benchYears } from './years.js';

const TURNS = 55;
const STARTS = 10;
const TASKS = 10_000;
const IDLE_MS = 30_000;
const readyRuns = z.object({ runs: z.object({ ready: z.number().default(0) }) });

async function benchMemory(world: World): Promise<Record<string, number[]>> {
  const home = newHome();
  const daemon = await start(world, home);
  for (let i = 0; i < TURNS; i++) await roundTrip(world);
  const rssMb = rssMbOf(daemon.pid);
  await daemon.kill('SIGTERM');
  removeHome(home);
  return { [`daemon RSS after ${TURNS} messages (MB)`]: [rssMb] };
}

async function benchStart(world: World): Promise<Record<string, number[]>> {
  const home = newHome();
  const times: number[] = [];
  const idle: number[] = [];
  for (let i = 0; i <= STARTS; i++) {
    const began = performance.now();
    const daemon = await start(world, home);
    if (i > 0) times.push(performance.now() - began);
    idle.push(rssMbOf(daemon.pid));
    await daemon.kill('SIGTERM');
  }
  removeHome(home);
  return { 'daemon: process start → ready (ms)': times, 'daemon RSS at ready (MB)': idle };
}

/** Tasks for later, and as many for one second soon after. Their runs are enqueued and, by their jitter, not worked on. */
function seedTasks(home: string, dueAt: number): void {
  const db = new Database(join(home, 'data', 'pinch.db'));
  const now = Date.now();
  db.exec(`INSERT OR IGNORE INTO chats (channel, address, kind, title, group_id, created_at, last_seen_at)
    VALUES ('web', 'owner', 'direct', 'Web chat', (SELECT id FROM groups WHERE is_main), ${now}, ${now})`);
  const add = db.prepare(
    `INSERT INTO tasks (key, group_id, chat_id, title, prompt, starts, options, next_at, created_at)
     SELECT ?, group_id, id, 'T', 'x', ?, ?, ${dueAt}, ${now} FROM chats WHERE channel = 'web'`,
  );
  const options = { context: 'fresh', misfire: 'latest', overlap: 'skip', jitterMs: 86_400_000, after: [] };
  db.transaction(() => {
    for (let n = 0; n < TASKS; n++) {
      const timeZone = n % 2 ? 'Europe/Berlin' : 'America/New_York';
      const starts = {
        kind: 'cron',
        cron: `0 9 ${n % 2 ? '*' : `1-${20 + (n % 8)}`} * ${(n % 5) + 1}-${(n % 2) + 5}`,
        timeZone,
      };
      add.run(`bench:${n}`, JSON.stringify(starts), JSON.stringify(options));
    }
  })();
  db.close();
}

async function benchTasks(world: World): Promise<Record<string, number[]>> {
  const home = newHome();
  const first = await start(world, home);
  await first.kill('SIGTERM');
  const dueAt = Date.now() + 45_000;
  seedTasks(home, dueAt);
  const daemon = await start(world, home);
  await sleep(5_000);
  const before = cpuMs(daemon.pid);
  await sleep(IDLE_MS);
  const idleMs = cpuMs(daemon.pid) - before;
  await sleep(Math.max(0, dueAt - Date.now() - 500));
  const answers: number[] = [];
  const enqueued = await eventually(async () => {
    const began = performance.now();
    const { body } = await daemon.api('GET', '/api/status');
    answers.push(performance.now() - began);
    return readyRuns.parse(body).runs.ready === TASKS ? Date.now() - dueAt : undefined;
  }, 'every task is enqueued');
  await daemon.kill('SIGTERM');
  removeHome(home);
  return {
    'due in one second, all enqueued after (ms)': [enqueued],
    'status API meanwhile (ms)': answers,
    'idle, CPU ms in a minute': [(idleMs * 60_000) / IDLE_MS],
  };
}

/** `npm run bench -- chaos [kills] [seed]`: random kills under mixed traffic; everything but the first figures must be empty. */
async function benchChaos(kills = 500, seed = Date.now() % 2 ** 31): Promise<void> {
  console.log(`seed ${seed}`);
  // The fake's people use libsignal, which prints whole sessions.
  const print = console.log;
  for (const method of ['log', 'info', 'warn', 'error'] as const) console[method] = () => undefined;
  const result = await storm({ kills, maxGapMs: 5_000, seed, settleMs: 1_800_000 });
  print(JSON.stringify(result, null, 2));
}

console.log(`Node ${process.version}, ${process.platform}, ${cpus().length} cores (${cpus()[0]?.model.trim()})`);
const [what, ...rest] = process.argv.slice(2);
if (what === 'chaos') await benchChaos(...rest.map(Number));
else if (what === 'years') await benchYears();
// With the part of the runs that goes: all of `years` takes long.
else if (what === 'retention') await benchRetention(Number(rest[0] ?? 0.5));
else if (what === 'start') await benchLaunch();
else {
  const world = await createWorld();
  const wants = (part: string) => what === undefined || what === part;
  if (what === undefined) report(await benchStart(world));
  if (what === undefined) report(await benchMemory(world));
  // `floor` and `cold` take other checkouts, to be measured beside this one.
  if (wants('floor')) await benchFloor(world, rest);
  if (wants('cold')) await benchCold(world, rest);
  if (wants('tasks')) {
    console.log(`With ${TASKS} tasks:`);
    report(await benchTasks(world));
  }
  if (wants('egress')) report(await benchEgress(world));
  await world.tg.close();
  await world.model.close();
}
