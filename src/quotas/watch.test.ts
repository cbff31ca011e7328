import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { type GroupAtWork, groupAtWork } from '../../test/fakes/container-calls.js';
import { openStore, type Store } from '../store.js';
import { createQuotas, type Quotas } from './quotas.js';
import { createDiskWatch } from './watch.js';

const MB = 1e6;
let home: string;
let clock: FakeClock;
let store: Store;
let quotas: Quotas;
let family: GroupAtWork;
let live: string[];
let done: string[];
let notices: Map<string, string>;
let minFreeBytes: number;
let watch: ReturnType<typeof createDiskWatch>;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pinch-quotas-'));
  mkdirSync(join(home, 'groups/family'), { recursive: true });
  mkdirSync(join(home, 'data/sessions/family'), { recursive: true });
  clock = createFakeClock();
  store = openStore(':memory:');
  family = groupAtWork(store, 'family', false);
  live = [];
  done = [];
  notices = new Map();
  minFreeBytes = 0;
  begin();
});
afterEach(async () => {
  await watch.stop();
  rmSync(home, { recursive: true });
});

function begin(groupQuota = { bytes: 4 * MB, files: 100 }): void {
  quotas = createQuotas({ groupQuota });
  watch = createDiskWatch({
    ...{ store, clock, log: pino({ enabled: false }), quotas },
    config: { groupsDir: join(home, 'groups'), dataDir: join(home, 'data'), timeZone: 'UTC', minFreeBytes },
    liveFolders: () => live,
    tell: (groupId, text) => void done.push(`told ${groupId}: ${text}`),
    end: (groupId, why, forGood) => void done.push(`ended ${groupId} ${forGood}: ${why}`),
    notifyOwner(key, text) {
      if (!notices.has(key)) notices.set(key, text);
      return undefined;
    },
  });
}

const fill = (name: string, bytes: number) => writeFileSync(join(home, name), Buffer.alloc(bytes, 7));
/** Lets time go on until something was counted that `is` so. */
const until = (is: () => boolean) =>
  vi.waitFor(
    async () => {
      await clock.advance(1_000);
      expect(is()).toBe(true);
    },
    { timeout: 30_000, interval: 20 },
  );
const shareIs = (at: (share: number) => boolean) => () => at(quotas.of(family.link.groupId)?.share ?? -1);
const states = () =>
  store.events.ofRun(family.runId).flatMap(({ kind, detail }) => (kind === 'disk' ? [detail.state] : []));
const refused = () => {
  try {
    quotas.checkRoom(family.link.groupId);
    return undefined;
  } catch (error) {
    return error;
  }
};

test('past its quota a group is refused, its agent and the owner are told once; with room again it goes on by itself', async () => {
  watch.start();
  live = ['family'];
  await until(shareIs((share) => share >= 0 && share < 0.1));
  expect(refused()).toBeUndefined();
  fill('groups/family/large', 3 * MB);
  fill('data/sessions/family/s.jsonl', 1.5 * MB);
  await clock.advance(300_000);
  await until(shareIs((share) => share > 1));
  expect(refused()).toMatchObject({ code: 'disk_full', message: expect.stringMatching(/4\.5|5 MB of 4 MB.*Delete/s) });
  await clock.advance(60_000);
  expect(done).toEqual([expect.stringMatching(/^told \d+: The folders.*largest: `\/workspace\/large` 3 MB/)]);
  expect(states()).toEqual(['full']);
  expect([...notices]).toEqual([
    [
      `disk:${family.link.groupId}:2026-11-21`,
      expect.stringMatching(/group `family`.*`\/sessions\/s\.jsonl`.*PINCH_GROUP_DISK_MB/s),
    ],
  ]);
  expect(quotas.noteFor(family.link.groupId)).toContain('delete what is surely not needed');
  rmSync(join(home, 'groups/family/large'));
  await until(shareIs((share) => share < 1));
  expect([refused(), quotas.noteFor(family.link.groupId), states()]).toEqual([undefined, undefined, ['full', 'freed']]);
  expect(notices.size).toBe(1);
});

test('a container that goes on far past the quota is ended for good; the next one may clean up', async () => {
  watch.start();
  live = ['family'];
  await until(shareIs((share) => share >= 0));
  fill('groups/family/large', 6 * MB);
  await clock.advance(300_000);
  await until(() => done.some((line) => line.startsWith('ended')));
  expect(done).toEqual([expect.stringMatching(/^ended \d+ true: .*6 MB of 4 MB/)]);
  expect(states()).toEqual(['full', 'ended']);
  await clock.advance(60_000);
  expect(done).toHaveLength(1);
  fill('groups/family/more', 3 * MB);
  await until(() => done.length === 2);
});

test('many small files are too much as well', async () => {
  for (let n = 0; n < 110; n += 1) fill(`groups/family/f${n}`, 0);
  watch.start();
  await until(shareIs((share) => share > 1));
  expect(refused()).toMatchObject({ message: expect.stringContaining('110 of 100 files') });
});

test('without limits nothing is counted', async () => {
  begin({ bytes: Number.POSITIVE_INFINITY, files: Number.POSITIVE_INFINITY });
  fill('groups/family/large', 6 * MB);
  live = ['family'];
  watch.start();
  await clock.advance(600_000);
  expect([quotas.of(family.link.groupId), refused()]).toEqual([undefined, undefined]);
});

test('below the floor of the machine nothing starts, the owner is told once; below its half what works is ended, to be tried again', async () => {
  const { bavail, bsize } = statfsSync(home);
  const free = bavail * bsize;
  minFreeBytes = free * 1.5;
  begin();
  live = ['family'];
  await watch.look();
  await watch.look();
  expect([quotas.isLow(), done]).toEqual([true, []]);
  expect(refused()).toMatchObject({ code: 'disk_full' });
  expect([...notices.keys()]).toEqual(['disk-low:2026-11-21']);
  minFreeBytes = free * 3;
  begin();
  await watch.look();
  expect(done).toEqual([expect.stringMatching(/^ended \d+ false/)]);
  minFreeBytes = 0;
  begin();
  quotas.setLow(true);
  const heard: string[] = [];
  store.signals.on('run:ready', () => heard.push('run:ready'));
  await watch.look();
  expect([quotas.isLow(), heard]).toEqual([false, ['run:ready']]);
});
