// Budget decisions: no set of running calls may together exceed a limit.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideBudget } from './budget.js';

const base = {
  spentDay: 0,
  spentGroup: 0,
  worstCase: 10,
  limitDay: 100,
  limitGroup: 50,
};

test.each([
  ['nothing spent', {}, 'allow'],
  ['exactly the rest of the group', { spentGroup: 40 }, 'allow'],
  ['one micro USD too much for the group', { spentGroup: 41 }, 'group'],
  ['exactly the rest of the day', { spentDay: 90 }, 'allow'],
  ['one micro USD too much for the day', { spentDay: 91 }, 'day'],
  ['both in the way: the group is named', { spentDay: 100, spentGroup: 50 }, 'group'],
  ['a free call with everything spent', { spentDay: 200, spentGroup: 200, worstCase: 0 }, 'allow'],
  ['a limit of nothing', { limitGroup: 0 }, 'group'],
])('%s', (_name, over, expected) => {
  const decision = decideBudget({ ...base, ...over });
  expect(decision.kind === 'refuse' ? decision.limit : decision.kind).toBe(expected);
});

test('a refusal says what is left, never less than nothing', () => {
  expect(decideBudget({ ...base, spentGroup: 45 })).toEqual({
    kind: 'refuse',
    limit: 'group',
    limitMicroUsd: 50,
    leftMicroUsd: 5,
  });
  expect(decideBudget({ ...base, spentGroup: 70 })).toMatchObject({ leftMicroUsd: 0 });
});

test('however calls start and end, allowed ones never exceed the limit together', () => {
  const step = fc.record({
    worstCase: fc.integer({ min: 1, max: 60 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    end: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let spent = 0;
      const running: { worstCase: number; cost: number }[] = [];
      for (const { worstCase, share, end } of steps) {
        const reserved = running.reduce((sum, call) => sum + call.worstCase, 0);
        const input = { spentDay: spent + reserved, spentGroup: spent + reserved, worstCase };
        const decision = decideBudget({ ...input, limitDay: 100, limitGroup: 100 });
        if (decision.kind === 'allow') running.push({ worstCase, cost: Math.floor(worstCase * share) });
        if (end) spent += running.shift()?.cost ?? 0;
      }
      spent += running.reduce((sum, call) => sum + call.cost, 0);
      expect(spent).toBeLessThanOrEqual(100);
    }),
  );
});
