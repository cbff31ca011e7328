// Every attack of cases/ against one daemon: whatever a program in a container does, the host refuses it with words, neither stands still nor
// fills up, and goes on serving. First the families of small ones, which share a container each; then those that kill it or flood.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AttackScene, runAttack, startAttackScene } from './attack.js';
import { families, scenes } from './cases/index.js';
import type { FamilySeen } from './families.js';
import { askProbe } from './measure.js';
import { withStore } from './rows.js';
import { familyTable, sceneLine } from './table.js';

/** One turn of the daemon's loop may take this long, on a machine that is not busy otherwise. */
const MAX_BUSY_MS = 50;
const MAX_GROWTH_MB = 150;

let scene: AttackScene;
/** How much slower than a quiet machine this one is just now, or may be by the time it matters. */
let busyness = 2;

const isMeasurable = existsSync('/proc/self/schedstat');
if (!isMeasurable) console.info('skipped: without /proc the daemon cannot be watched from outside');

const isHealthy = async () => (await scene.daemon.api('GET', '/healthz')).status === 200;
function expectCheap(
  { growthMb, busyMs }: FamilySeen | Awaited<ReturnType<typeof runAttack>>,
  maxBusyMs: number,
): void {
  expect(growthMb).toBeLessThan(MAX_GROWTH_MB);
  expect(busyMs).toBeLessThan(maxBusyMs * busyness);
}

describe.skipIf(!isMeasurable)('a hostile program in a container', () => {
  beforeAll(async () => {
    scene = await startAttackScene();
    await sleep(1_000);
    await askProbe(scene.daemon);
    await sleep(2_000);
    const { pauseMs } = await askProbe(scene.daemon);
    busyness = Math.max(2, pauseMs / 10);
    console.info(`idle: longest pause ${pauseMs.toFixed(1)} ms`);
  });
  afterAll(() => scene.close());

  describe.each(families.map((family) => [family.name, family] as const))('%s', (_family, family) => {
    let seen: FamilySeen;
    beforeAll(async () => {
      seen = await family.attack(scene);
      console.info(familyTable(family.name, seen.rows, seen));
    }, 240_000);

    test.each(family.cases.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
      const row = seen.rows.find(({ name }) => name === one.name) ?? { name: '', answer: '', raw: '', alive: false };
      expect(row.answer).toMatch(one.answer);
      expect(row.alive).toBe(true);
      if (one.event)
        expect(seen.events).toContainEqual({ kind: one.event.kind, detail: expect.objectContaining(one.event.detail) });
      for (const secret of scene.secrets) expect(row.raw).not.toContain(secret);
      await one.check?.(row, scene);
      expect(await isHealthy()).toBe(true);
    });

    test('all of them together leave the host as it was', async () => {
      expect(new Set(seen.rows.map(({ name }) => name)).size).toBe(family.cases.length);
      await family.check?.(seen, scene);
      expectCheap(seen, MAX_BUSY_MS);
    });
  });

  describe('with a run of its own', () => {
    test.each(scenes.map((attack) => [attack.name, attack] as const))(
      '%s',
      { timeout: 240_000 },
      async (_name, attack) => {
        const seen = await runAttack(scene, attack);
        console.info(sceneLine(attack.name, seen));
        expect(seen.answer).not.toHaveProperty('failed');
        await attack.check?.(seen);
        expectCheap({ ...seen }, attack.maxBusyMs ?? MAX_BUSY_MS);
        expect(await isHealthy()).toBe(true);
      },
    );
  });

  test('no secret is in a folder of a group, a history, the log, a timeline or a message', () => {
    const { home, logs } = scene.daemon;
    const folders = ['groups', 'data/sessions'].flatMap((name) => filesBelow(join(home, name)));
    const rows = withStore(scene, (db) =>
      ['SELECT detail FROM events', 'SELECT text FROM outbox', 'SELECT text FROM messages WHERE sent_at > 1'].map(
        (query) => JSON.stringify(db.prepare(query).all()),
      ),
    );
    for (const secret of scene.secrets) {
      expect(folders.filter((file) => readFileSync(file, 'latin1').includes(secret))).toEqual([]);
      for (const text of [JSON.stringify(logs), ...rows]) expect(text).not.toContain(secret);
    }
  });
});

/** Files of a size that can be read, no links. */
const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
