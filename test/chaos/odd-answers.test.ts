// No answer of a back end breaks a conversation: whatever comes, in whatever order, every turn ends in an answer or one clear line.
import { expect, test } from 'vitest';
import { KINDS } from './odd-answers.js';
import { talk } from './odd-answers-scene.js';
import { randomFrom } from './random.js';

test('every odd answer twice, in random order, and three kills', async () => {
  const seed = Number(process.env.PINCH_TEST_SEED ?? 771_630_625);
  console.log(`seed ${seed} (PINCH_TEST_SEED repeats it)`);
  const { turns, longestMs, wrong } = await talk({
    turns: 2 * KINDS.length,
    groups: 14,
    kills: 3,
    random: randomFrom(seed),
  });
  console.log(`${turns} turns, the longest ${longestMs} ms`);
  expect(wrong).toEqual([]);
  expect(turns).toBe(2 * KINDS.length);
}, 900_000);
