// `npm run bench -- years`: what five years cost. A daemon with a home of one day (young-home.ts: lists are as long, there is nothing before) and one with
// that of large-home.ts at the same time, asked in turn, so that whatever else the machine does falls on both.
import { execFile, spawn } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { type DaemonProcess, newHome, removeHome } from '../e2e/harness.js';
import { bash } from '../e2e/talk.js';
import { largeHome } from './large-home.js';
import { cpuMs, createWorld, quantile, roundTrip, rssMbOf, start, type World } from './world.js';
import { fillLists } from './young-home.js';

const STARTS = 7;
const TURNS = 40;
const SEARCHES = 10;
const COMMANDS = 3;
/** As many as the page of runs shows: a home that was empty has as many by then. */
const WARM_UP = 25;
/** Nothing is old enough; or this part of the runs of five years is. */
const KEEP_ALL = { PINCH_KEEP_DAYS: '3650' };
const keepBut = (part: number) => ({ PINCH_KEEP_DAYS: String(Math.round((1 - part) * 5 * 365)) });

interface Side {
  world: World;
  home: string;
  daemon: DaemonProcess;
  figures: Record<string, number[]>;
}

const note = ({ figures }: Side, name: string, ms: number) => {
  figures[name] ??= [];
  figures[name].push(ms);
};

async function timed(side: Side, name: string, work: () => Promise<unknown>): Promise<void> {
  const began = performance.now();
  await work();
  note(side, name, performance.now() - began);
}

/** Asks whether the daemon is well every 5 ms, from a process of its own, until its input ends; prints how long each answer took. */
const PINGS = `
const http = require('node:http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const times = [];
let over = false;
process.stdin.on('end', () => { over = true; }).resume();
const ping = () => {
  if (over) { console.log(times.join('\\n')); process.exit(); }
  const began = performance.now();
  http.get({ port: process.argv[1], path: '/healthz', agent }, (r) => r.resume().on('end', () => {
    times.push(performance.now() - began);
    setTimeout(ping, 5);
  }));
};
ping();`;

function startPings({ daemon }: Pick<Side, 'daemon'>): () => Promise<number[]> {
  const child = spawn(process.execPath, ['-e', PINGS, String(daemon.port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (piece) => {
    text += piece;
  });
  return async () => {
    child.stdin.end();
    await new Promise((resolve) => child.once('close', resolve));
    return text.trim().split('\n').map(Number);
  };
}

const logged = (daemon: DaemonProcess, msg: string) => daemon.waitForLog((line) => line.msg === msg);

async function turn(side: Side): Promise<void> {
  const { inMs, outMs } = await roundTrip(side.world);
  note(side, 'warm: update → model request (ms)', inMs);
  note(side, 'warm: model answer → sendMessage (ms)', outMs);
}

/** Each asked right after a turn, so that nothing is known from before. */
const PAGES: Record<string, string> = {
  '/api/status': '/api/status',
  'page of runs': `/api/runs?limit=${WARM_UP}`,
  'page of dead runs': '/api/runs?state=dead&limit=50',
  '/api/tasks': '/api/tasks?limit=50',
  '/api/outbox': '/api/outbox?limit=50',
  '/api/approvals': '/api/approvals',
  '/api/groups': '/api/groups',
  '/api/costs': '/api/costs',
  '/metrics': '/metrics',
};

async function measureStarts(sides: Side[]): Promise<void> {
  for (let n = 0; n <= STARTS; n += 1) {
    for (const side of sides) {
      await side.daemon.kill('SIGTERM');
      const began = performance.now();
      side.daemon = await start(side.world, side.home, KEEP_ALL);
      // The first one fills the page cache.
      if (n === 0) continue;
      note(side, 'process start → ready (ms)', performance.now() - began);
      note(side, 'processor time until ready (ms)', cpuMs(side.daemon.pid));
      note(side, 'resident memory at ready (MB)', rssMbOf(side.daemon.pid));
    }
  }
}

async function measureTurns(sides: Side[]): Promise<void> {
  for (let n = 0; n < WARM_UP; n += 1) for (const { world } of sides) await roundTrip(world);
  for (let n = 0; n < TURNS; n += 1) {
    for (const side of sides) {
      const before = cpuMs(side.daemon.pid);
      await turn(side);
      note(side, 'processor time of a turn (ms)', cpuMs(side.daemon.pid) - before);
      for (const [name, path] of Object.entries(PAGES))
        if (path !== '/metrics') await timed(side, name, () => side.daemon.api('GET', path));
        else await timed(side, name, () => fetchText(side, path));
    }
  }
  for (const side of sides) {
    note(side, 'resident memory after that (MB)', rssMbOf(side.daemon.pid));
    for (const ms of claimsOf(side)) note(side, 'message stored → claimed (ms)', ms);
  }
}

async function fetchText({ daemon }: Side, path: string): Promise<void> {
  const token = readFileSync(join(daemon.home, 'data/dashboard-token'), 'utf8').trim();
  const answer = await fetch(`http://127.0.0.1:${daemon.port}${path}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await answer.text();
}

function claimsOf({ home }: Side): number[] {
  const db = new Database(join(home, 'data/pinch.db'), { readonly: true });
  const claims = db
    .prepare<[number], number>(
      `SELECT e.at - m.received_at FROM (SELECT id FROM runs ORDER BY id DESC LIMIT ?) r
       JOIN events e ON e.run_id = r.id AND e.kind = 'claimed' JOIN run_messages c ON c.run_id = r.id JOIN messages m ON m.id = c.message_id`,
    )
    .pluck()
    .all(TURNS);
  db.close();
  return claims;
}

const QUERIES = {
  'a common word': 'w0',
  'a rare word': 'nr123456',
  'a beginning': 'w0a',
  'two words': 'w1 w2',
  'what nobody said': '"w0 nr7 w1"',
};

/** What the agent of a group asks in its container; an agent may search four times a second. */
const SEARCH = `
const { setTimeout: sleep } = require('node:timers/promises');
(async () => {
  for (const [name, query] of Object.entries(JSON.parse(process.argv[2]))) for (let n = 0; n < ${SEARCHES}; n++) {
    await sleep(300);
    const began = performance.now();
    const answer = await fetch('http://127.0.0.1:8080/history', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) });
    await answer.text();
    if (answer.status !== 200) throw new Error(answer.status);
    console.log(JSON.stringify([name, performance.now() - began]));
  }
})();`;

async function measureSearch(side: Side): Promise<void> {
  const { model, tg, olga, chat } = side.world;
  const workspace = join(side.home, 'groups/main');
  writeFileSync(join(workspace, 'search.cjs'), SEARCH);
  const before = tg.sent.length;
  model.push(() => bash(`node search.cjs '${JSON.stringify(QUERIES)}' >searches.txt`, { timeout_ms: 600_000 }));
  model.push({ text: 'searched' });
  tg.userSends(chat, olga, 'search');
  await tg.waitForSent(before + 1, 120_000);
  for (const line of readFileSync(join(workspace, 'searches.txt'), 'utf8').trim().split('\n')) {
    const [name, ms] = JSON.parse(line);
    note(side, `search: ${name} (ms)`, ms);
  }
}

async function measureCommands(sides: Side[]): Promise<void> {
  for (let n = 0; n < COMMANDS; n += 1) {
    for (const command of ['status', 'runs', 'tasks', 'doctor']) {
      for (const side of sides) {
        const env = { ...process.env, PINCH_HOME: side.home, PINCH_PORT: String(side.daemon.port) };
        const run = promisify(execFile)(process.execPath, ['scripts/pinch.mjs', command], { env }).catch(
          () => undefined,
        );
        await timed(side, `pinch ${command} (ms)`, () => run);
      }
    }
  }
}

/** Turns of two daemons with large homes: one takes away the oldest part of all runs meanwhile. */
async function measureRetention(still: Side, going: Side): Promise<void> {
  const file = join(going.home, 'data/pinch.db');
  const before = statSync(file).size;
  const began = performance.now();
  const gone = logged(going.daemon, 'what was old is gone');
  let isOver = false;
  void gone.then(() => {
    isOver = true;
  });
  for (const { world } of [still, going]) for (let n = 0; n < 3; n += 1) await roundTrip(world);
  const pings = [still, going].map(startPings);
  for (let n = 0; n < TURNS; n += 1) {
    for (const side of [still, going]) {
      const { inMs, outMs } = await roundTrip(side.world);
      note(side, `turn (ms)`, inMs + outMs);
    }
  }
  console.log(isOver ? 'Retention was over before the turns were.' : 'Retention was at work during all turns.');
  for (const [index, side] of [still, going].entries())
    side.figures['healthz every 5 ms (ms)'] = (await pings[index]?.()) ?? [];
  table(still, going, ['nothing is old', 'runs go']);
  console.log('Waiting until all that is old is gone: for half of the runs a quarter of an hour on a busy machine.');
  await gone;
  const seconds = Math.round((performance.now() - began) / 1_000);
  const db = new Database(file, { readonly: true });
  const [free, all] = ['freelist_count', 'page_count'].map((name) => db.pragma(name, { simple: true }));
  const left = db.prepare('SELECT count(*) FROM runs').pluck().get();
  db.close();
  const mb = (bytes: number) => Math.round(bytes / 1024 ** 2);
  console.log(
    `What was old was gone after ${seconds} s (${left} runs left); the file had ${mb(before)} MB and has ${mb(statSync(file).size)} MB, ` +
      `${free} of ${all} pages are free; WAL ${mb(statSync(`${file}-wal`).size)} MB.`,
  );
}

function table(left: Side, right: Side, heads: [string, string]): void {
  console.log(`| median (95th percentile; longest) | ${heads.join(' | ')} | ratio |\n|---|---|---|---|`);
  for (const [name, values] of Object.entries(left.figures)) {
    const others = right.figures[name] ?? [];
    const show = (all: number[]) =>
      `${quantile(all, 0.5).toFixed(1)} (${quantile(all, 0.95).toFixed(1)}; ${Math.max(...all).toFixed(1)})`;
    const ratio = quantile(others, 0.5) / quantile(values, 0.5);
    console.log(`| ${name}, n=${values.length} | ${show(values)} | ${show(others)} | ${ratio.toFixed(2)} |`);
  }
}

async function startSide(home: string, env: Record<string, string> = KEEP_ALL): Promise<Side> {
  const world = await createWorld();
  return { world, home, daemon: await start(world, home, env), figures: {} };
}

async function endSide({ world, home, daemon }: Side): Promise<void> {
  await daemon.kill('SIGTERM');
  await world.tg.close();
  await world.model.close();
  removeHome(home);
}

export async function benchYears(): Promise<void> {
  const empty = await startSide(newHome());
  await logged(empty.daemon, 'database backed up');
  await empty.daemon.kill('SIGTERM');
  const fiveYears = largeHome(empty.home, String(empty.world.olga.id));
  fillLists(empty.home, fiveYears);
  const large = await startSide(fiveYears);
  empty.daemon = await start(empty.world, empty.home, KEEP_ALL);
  const sides = [empty, large];
  // Before anything is measured.
  await logged(large.daemon, 'database backed up');
  await measureStarts(sides);
  await measureTurns(sides);
  for (const side of sides) await measureSearch(side);
  await measureCommands(sides);
  table(empty, large, ['first day', 'five years']);
  await endSide(empty);
  await endSide(large);
  await benchRetention(0.5);
}

/** Two homes of five years: from one the oldest `part` of the runs goes while both have turns. */
export async function benchRetention(part: number): Promise<void> {
  const made = await startSide(newHome());
  await logged(made.daemon, 'database backed up');
  await made.daemon.kill('SIGTERM');
  const homeOf = ({ world }: Side) => largeHome(made.home, String(world.olga.id));
  const still = await startSide(homeOf(made));
  const going = await startSide(homeOf(made), keepBut(part));
  for (const { daemon } of [still, going]) await logged(daemon, 'database backed up');
  await measureRetention(still, going);
  for (const side of [still, going]) await endSide(side);
  await made.world.tg.close();
  await made.world.model.close();
  removeHome(made.home);
}
