// What Pinch costs over the least that any assistant must do (floor-bot.ts), and what its cold start costs over the start of a container that does
// nothing: in one run, turn by turn, so that whatever else the machine does meets all of them.
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { containersOf, eventually, newHome, removeHome } from '../e2e/harness.js';
import { printTable, quantile, roundTrip, settingsOf, start, type World, worldOf } from './world.js';

const WARM_UP = 8;
const TURNS = 40;
const COLD = 6;
const here = join(import.meta.dirname, '../..');

/** Something that answers, alone in a world of its own. */
interface Contender {
  name: string;
  world: World;
  end(): Promise<void>;
}

/** `others`: checkouts that are built, with their image, to be measured beside this one. */
export async function benchFloor({ model }: World, others: string[]): Promise<void> {
  const contenders = [await startBot(await worldOf(model))];
  for (const checkout of [here, ...others]) contenders.push(await startPinch(await worldOf(model), checkout));
  const trips = new Map(contenders.map(({ name }) => [name, { in: [], out: [], total: [] } as Trips]));
  for (let turn = -WARM_UP; turn < TURNS; turn++)
    for (const { name, world } of contenders) {
      const { inMs, outMs } = await roundTrip(world);
      const of = trips.get(name);
      if (turn < 0 || !of) continue;
      of.in.push(inMs);
      of.out.push(outMs);
      of.total.push(inMs + outMs);
    }
  for (const { end } of contenders) await end();
  printTable([
    ['ms, median (95th percentile)', ...PARTS, 'times the floor'],
    ...[...trips].map(([name, of]) => [
      name,
      ...PARTS.map((part) => figures(of[part])),
      PARTS.map((part) => (median(of[part]) / median(trips.get(FLOOR)?.[part] ?? [])).toFixed(1)).join(' / '),
    ]),
  ]);
}

const PARTS = ['in', 'out', 'total'] as const;
type Trips = Record<(typeof PARTS)[number], number[]>;
const FLOOR = 'floor';
const median = (values: number[]) => quantile(values, 0.5);
const figures = (values: number[]) => `${median(values).toFixed(1)} (${quantile(values, 0.95).toFixed(1)})`;

async function startBot(world: World): Promise<Contender> {
  const bot = spawn(process.execPath, [join(here, 'dist/bench/floor-bot.mjs')], {
    env: { PATH: process.env.PATH, ...settingsOf(world) },
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const ended = new Promise((resolve) => bot.once('close', resolve));
  const end = async () => {
    bot.stdin.end();
    await ended;
    await world.tg.close();
  };
  return { name: FLOOR, world, end };
}

async function startPinch(world: World, repository: string): Promise<Contender> {
  const home = newHome();
  const daemon = await start(world, home, { repository });
  const end = async () => {
    await daemon.kill('SIGTERM');
    removeHome(home);
    await world.tg.close();
  };
  return { name: nameOf(repository), world, end };
}

const nameOf = (repository: string) => (repository === here ? 'Pinch' : `Pinch in ${basename(repository)}`);

/** No container → model request: of a daemon that has run for a while, and of one that was just set up, with all that a first message finds there. */
export async function benchCold({ model }: World, others: string[]): Promise<void> {
  const checkouts = [here, ...others];
  const times = new Map<string, number[]>();
  const add = (name: string, ms: number) => void times.set(name, [...(times.get(name) ?? []), ms]);
  const running = [];
  for (const repository of checkouts) running.push(await startIdle(await worldOf(model), repository));
  for (let turn = 0; turn <= COLD; turn++) {
    const measured: [name: string, ms: number][] = [['docker run', await dockerRun()]];
    for (const one of running) measured.push([`${one.name}: no container`, await one.coldMs()]);
    for (const repository of checkouts)
      measured.push([`${nameOf(repository)}: fresh home`, await firstMs(await worldOf(model), repository)]);
    // The first ones also fill the page cache; they are not counted.
    if (turn > 0) for (const [name, ms] of measured) add(name, ms);
  }
  for (const { end } of running) await end();
  const base = median(times.get('docker run') ?? []);
  printTable([
    ['ms until the model request', 'median (95th percentile)', 'times docker run'],
    ...[...times].map(([name, of]) => [name, figures(of), (median(of) / base).toFixed(2)]),
  ]);
}

/** The agent's image, which is the base image and some files, with its own Node. */
async function dockerRun(): Promise<number> {
  const { tag } = JSON.parse(readFileSync(join(here, 'dist/agent-image.json'), 'utf8'));
  const began = performance.now();
  await promisify(execFile)('docker', ['run', '--rm', '--entrypoint', 'node', tag, '-e', '0']);
  return performance.now() - began;
}

/** Keeps no container. */
async function startIdle(world: World, repository: string) {
  const home = newHome();
  const daemon = await start(world, home, { repository, PINCH_IDLE_MS: '0' });
  const isGone = async () => ((await containersOf(home)).length === 0 ? true : undefined);
  return {
    name: nameOf(repository),
    async coldMs(): Promise<number> {
      const { inMs } = await roundTrip(world);
      await eventually(isGone, 'the container is gone');
      return inMs;
    },
    async end() {
      await daemon.kill('SIGTERM');
      removeHome(home);
      await world.tg.close();
    },
  };
}

async function firstMs(world: World, repository: string): Promise<number> {
  const { end } = await startPinch(world, repository);
  const { inMs } = await roundTrip(world);
  await end();
  return inMs;
}
