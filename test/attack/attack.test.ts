// Every attack of cases.ts against one daemon: whatever a program in a container does, the host neither stands still nor fills up, and
// goes on serving.
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AttackScene, askProbe, runAttack, startAttackScene } from './attack.js';
import { cases } from './cases.js';

/** One turn of the daemon's loop may take this long, on a machine that is not busy otherwise. */
const MAX_BUSY_MS = 50;
const MAX_GROWTH_MB = 150;

let scene: AttackScene;
/** How much slower than a quiet machine this one is just now, or may be by the time it matters. */
let busyness = 2;

const isMeasurable = existsSync('/proc/self/schedstat');
if (!isMeasurable) console.info('skipped: without /proc the daemon cannot be watched from outside');

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

  test.each(cases)('$name', { timeout: 240_000 }, async (attack) => {
    const seen = await runAttack(scene, attack);
    expect(seen.answer).not.toHaveProperty('failed');
    await attack.check?.(seen);
    expect(seen.growthMb).toBeLessThan(MAX_GROWTH_MB);
    expect(seen.busyMs).toBeLessThan((attack.maxBusyMs ?? MAX_BUSY_MS) * busyness);
    expect((await scene.daemon.api('GET', '/healthz')).status).toBe(200);
  });
});
