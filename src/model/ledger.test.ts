// Budget decisions: no set of running calls may together exceed a limit.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideBudget } from './ledger.js';

const budgets = (spent: { group?: number; day?: number }, limitGroup = 50) => [
  { whose: 'group', limit: limitGroup, spent: spent.group ?? 0 },
  { whose: 'day', limit: 100, spent: spent.day ?? 0 },
];

test.each([
  ['nothing spent', {}, 'allow'],
  ['exactly the rest of the group', { group: 40 }, 'allow'],
  ['one micro USD too much for the group', { group: 41 }, 'group'],
  ['exactly the rest of the day', { day: 90 }, 'allow'],
  ['one micro USD too much for the day', { day: 91 }, 'day'],
  ['both in the way: the group is named', { day: 100, group: 50 }, 'group'],
  ['a free call with everything spent', { day: 200, group: 200, worstCase: 0 }, 'allow'],
  ['a limit of nothing', { limitGroup: 0 }, 'group'],
])('%s', (_name, { worstCase = 10, limitGroup, ...spent }: Record<string, number>, expected) => {
  const refusal = decideBudget(worstCase, budgets(spent, limitGroup));
  expect(refusal?.split(' ')[3] ?? 'allow').toBe(expected);
});

test('a refusal says what is left, never less than nothing', () => {
  const left = (spent: number) => decideBudget(2e6, [{ whose: 'of x', limit: 5e6, spent }]);
  expect(left(4.5e6)).toBe('the daily budget of x of $5.00 has $0.50 left, this call could cost more');
  expect(left(7e6)).toContain('has $0.00 left');
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
        const refusal = decideBudget(worstCase, budgets({ group: spent + reserved, day: spent + reserved }, 100));
        if (refusal === undefined) running.push({ worstCase, cost: Math.floor(worstCase * share) });
        if (end) spent += running.shift()?.cost ?? 0;
      }
      spent += running.reduce((sum, call) => sum + call.cost, 0);
      expect(spent).toBeLessThanOrEqual(100);
    }),
  );
});
