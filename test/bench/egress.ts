// What the way out costs: how fast one group downloads, what that does to the daemon's memory and to another group's turns, and what the
// gateway adds to a request. The site is a process of its own: its work is not the daemon's.
import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type DaemonProcess, eventually, newHome, removeHome } from '../e2e/harness.js';
import { bash } from '../e2e/talk.js';
import { roundTrip, rssMbOf, start, type World } from './world.js';

const MB = 1024 * 1024;
const DOWNLOADS = 7;
const TURNS = 30;
const SAMPLE_MS = 50;

/** `/large`: 100 MB; anything else: two bytes. Prints its port. */
const SITE = `
const piece = Buffer.alloc(${MB});
const server = require('node:http').createServer((request, response) => {
  if (request.url !== '/large') return response.end('ok');
  let left = 100;
  response.writeHead(200, { 'content-length': 100 * piece.length });
  const more = () => { while (left-- > 0) if (!response.write(piece)) return response.once('drain', more); response.end(); };
  more();
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();`;

/** Each request on a connection of its own; prints milliseconds, the first ones left out. */
const REQUESTS = `
const http = require('node:http');
const once = () => new Promise((done, fail) => {
  const began = performance.now();
  http.get(process.argv.at(-1), (r) => r.resume().on('end', () => done(performance.now() - began))).on('error', fail);
});
(async () => {
  const times = [];
  for (let n = 0; n < 220; n++) times.push(await once());
  console.log(times.slice(20).join('\\n'));
})();`;

const numbers = (text: string) => text.trim().split('\n').map(Number);

export async function benchEgress(world: World): Promise<Record<string, number[]>> {
  const site = spawn(process.execPath, ['-e', SITE], { stdio: ['pipe', 'pipe', 'inherit'] });
  const port = Number(await new Promise((resolve) => site.stdout.once('data', resolve)));
  const home = newHome();
  const daemon = await start(world, home);
  await daemon.api('POST', '/api/egress', { host: 'site.example', ports: [port], address: '127.0.0.1' });
  const bulk = await createBulkGroup(world, daemon);
  for (let n = 0; n < 5; n += 1) await roundTrip(world);
  const downloads = await measureDownloads(bulk, daemon, `http://site.example:${port}/large`);
  // Its folder is there now.
  const requests = await measureRequests(bulk, port);
  const turns = await measureTurns(world, bulk, `http://site.example:${port}/large`);
  await daemon.kill('SIGTERM');
  site.stdin.end();
  removeHome(home);
  return { ...downloads, ...requests, ...turns };
}

interface Bulk {
  workspace: string;
  /** Gives the group's agent a command; `start` resolves when it has the command, `end` when it has answered. Nobody else may ask the model between. */
  start(command: string): Promise<void>;
  end(): Promise<void>;
}

/** A second group, whose agent does what it is told. */
async function createBulkGroup({ tg, model, olga }: World, daemon: DaemonProcess): Promise<Bulk> {
  const chat = tg.group({ id: -500, title: 'Bulk', members: [olga] });
  const before = tg.sent.length;
  tg.userSends(chat, olga, '/register bulk');
  await tg.waitForSent(before + 1);
  const answers = () => tg.sent.filter(({ plain }) => plain === 'done').length;
  return {
    workspace: join(daemon.home, 'groups/bulk'),
    start(command) {
      tg.userSends(chat, olga, '@Pinch go');
      return new Promise((resolve) => {
        model.push(() => {
          resolve();
          return bash(command, { timeout_ms: 600_000 });
        });
      });
    },
    async end() {
      const expected = answers() + 1;
      model.push({ text: 'done' });
      await tg.waitFor(() => answers() === expected, 600_000);
    },
  };
}

/** The same requests from the container and from this machine. */
async function measureRequests(bulk: Bulk, port: number): Promise<Record<string, number[]>> {
  const direct = await promisify(execFile)(process.execPath, ['-e', REQUESTS, `http://127.0.0.1:${port}/`]);
  writeFileSync(join(bulk.workspace, 'requests.cjs'), REQUESTS);
  await bulk.start(`node requests.cjs http://site.example:${port}/ >requests.txt`);
  await bulk.end();
  const through = numbers(readFileSync(join(bulk.workspace, 'requests.txt'), 'utf8'));
  return { 'request, direct (ms)': numbers(direct.stdout), 'request, through the gateway (ms)': through };
}

async function measureDownloads(bulk: Bulk, daemon: DaemonProcess, url: string): Promise<Record<string, number[]>> {
  const download = `curl -sS -o /dev/null -w '%{speed_download}\\n' ${url}`;
  // The first one fills what stays allocated for good.
  await bulk.start(`${download} >/dev/null`);
  await bulk.end();
  const before = rssMbOf(daemon.pid);
  let most = before;
  const sampler = setInterval(() => {
    most = Math.max(most, rssMbOf(daemon.pid));
  }, SAMPLE_MS);
  await bulk.start(`for n in $(seq ${DOWNLOADS}); do ${download}; done >speeds.txt`);
  await bulk.end();
  clearInterval(sampler);
  const speeds = numbers(readFileSync(join(bulk.workspace, 'speeds.txt'), 'utf8')).map((speed) => speed / MB);
  return { 'download of 100 MB (MB/s)': speeds, 'daemon RSS meanwhile, growth (MB)': [most - before] };
}

/** Messages of the main group, without and beside downloads of the other one that never rest. */
async function measureTurns(world: World, bulk: Bulk, url: string): Promise<Record<string, number[]>> {
  const turns = async () => {
    const trips: number[] = [];
    for (let n = 0; n < TURNS; n += 1) {
      const { inMs, outMs } = await roundTrip(world);
      trips.push(inMs + outMs);
    }
    return trips;
  };
  // The messages that a chat may be sent at once are used up by these: from then on they go out at its pace.
  await turns();
  const idle = await turns();
  await bulk.start(`touch begun; until [ -e stop ]; do curl -sS -o /dev/null ${url}; done`);
  await eventually(() => existsSync(join(bulk.workspace, 'begun')), 'the downloads begin');
  const busy = await turns();
  writeFileSync(join(bulk.workspace, 'stop'), '');
  await bulk.end();
  return { 'warm turn of another group (ms)': idle, 'the same beside downloads (ms)': busy };
}
