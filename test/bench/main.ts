// `npm run bench`: what Pinch itself adds, measured from outside the real daemon with real containers, the fakes in this process.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Chat, User } from 'grammy/types';
import { containersOf, type DaemonProcess, eventually, newHome, removeHome, startDaemon } from '../e2e/harness.js';
import { type FakeAnthropic, startFakeAnthropic } from '../fakes/anthropic.js';
import { type FakeTelegram, startFakeTelegram } from '../fakes/telegram.js';

interface World {
  tg: FakeTelegram;
  model: FakeAnthropic;
  olga: User;
  chat: Chat.PrivateChat;
}

const WARM = 50;
const COLD = 10;
const STARTS = 10;

async function createWorld(): Promise<World> {
  const tg = await startFakeTelegram();
  const olga = tg.user({ id: 11, first_name: 'Olga' });
  return { tg, model: await startFakeAnthropic(), olga, chat: tg.privateChat(olga) };
}

function start({ tg, model }: World, home: string, env: Record<string, string> = {}): Promise<DaemonProcess> {
  return startDaemon({
    home,
    env: {
      TELEGRAM_BOT_TOKEN: tg.token,
      TELEGRAM_API_ROOT: tg.url,
      PINCH_OWNER: 'telegram:11',
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: 'test-key',
      PINCH_LOG_LEVEL: 'info',
      ...env,
    },
  });
}

/** One message there and back: ms from the update to the model request, and from the model's answer to sendMessage. */
async function roundTrip(world: World): Promise<{ inMs: number; outMs: number }> {
  const { tg, model, olga, chat } = world;
  let asked = 0;
  model.push(() => {
    asked = performance.now();
    return { text: 'ok' };
  });
  const before = tg.sent.length;
  await tg.waitForPoll(20_000);
  const sentAt = performance.now();
  tg.userSends(chat, olga, 'hello');
  await tg.waitForSent(before + 1, 30_000);
  return { inMs: asked - sentAt, outMs: performance.now() - asked };
}

async function benchWarm(world: World): Promise<Record<string, number[]>> {
  const home = newHome();
  const daemon = await start(world, home);
  for (let i = 0; i < 5; i++) await roundTrip(world);
  const trips: { inMs: number; outMs: number }[] = [];
  for (let i = 0; i < WARM; i++) trips.push(await roundTrip(world));
  const rssMb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  await daemon.kill('SIGTERM');
  removeHome(home);
  return {
    'warm: update → model request (ms)': trips.map((trip) => trip.inMs),
    'warm: model answer → sendMessage (ms)': trips.map((trip) => trip.outMs),
    'daemon RSS after the warm round (MB)': [rssMb],
  };
}

async function benchCold(world: World): Promise<Record<string, number[]>> {
  const home = newHome();
  const daemon = await start(world, home, { PINCH_IDLE_MS: '0' });
  const times: number[] = [];
  for (let i = 0; i <= COLD; i++) {
    const { inMs } = await roundTrip(world);
    // The first one also fills the page cache; it is not counted.
    if (i > 0) times.push(inMs);
    await eventually(async () => ((await containersOf(home)).length === 0 ? true : undefined), 'the container is gone');
  }
  await daemon.kill('SIGTERM');
  removeHome(home);
  return { 'cold: no container → model request (ms)': times };
}

async function benchStart(world: World): Promise<Record<string, number[]>> {
  const home = newHome();
  const times: number[] = [];
  const idle: number[] = [];
  for (let i = 0; i <= STARTS; i++) {
    const began = performance.now();
    const daemon = await start(world, home);
    if (i > 0) times.push(performance.now() - began);
    idle.push(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
    await daemon.kill('SIGTERM');
  }
  removeHome(home);
  return { 'daemon: process start → ready (ms)': times, 'daemon RSS at ready (MB)': idle };
}

function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

function report(figures: Record<string, number[]>): void {
  for (const [name, values] of Object.entries(figures)) {
    const [median, p95] = [quantile(values, 0.5), quantile(values, 0.95)].map((value) => value.toFixed(1).padStart(8));
    console.log(`${name.padEnd(42)} median ${median}   p95 ${p95}   n=${values.length}`);
  }
}

console.log(`Node ${process.version}, ${process.platform}, ${cpus().length} cores (${cpus()[0]?.model.trim()})`);
const world = await createWorld();
report(await benchStart(world));
report(await benchCold(world));
report(await benchWarm(world));
await world.tg.close();
await world.model.close();
