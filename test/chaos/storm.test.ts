// kill -9 at random moments under ordinary traffic: no answer is lost, none comes twice, no effect is doubled.
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { storm } from './storm.js';

beforeAll(() => {
  // The fake's people use libsignal, which prints whole sessions.
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => undefined);
});
afterAll(() => {
  vi.restoreAllMocks();
});

test('ten kills at random moments: every question is answered once, in its chat', async () => {
  const seed = Number(process.env.PINCH_CHAOS_SEED ?? Date.now() % 2 ** 31);
  console.log(`chaos seed ${seed} (PINCH_CHAOS_SEED repeats it)`);
  const report = await storm({ kills: 10, maxGapMs: 3_000, seed, settleMs: 300_000 });
  console.log(JSON.stringify(report));
  const { lost, twice, effectsDoubled, wrongChat, faults } = report;
  expect({ lost, twice, effectsDoubled, wrongChat, faults }).toEqual({
    ...{ lost: [], twice: [], effectsDoubled: [], wrongChat: [], faults: [] },
  });
}, 900_000);
