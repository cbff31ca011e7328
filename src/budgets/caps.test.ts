// Budget decisions: no set of running calls may together exceed a limit.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideBudget, refusalText } from './caps.js';

const caps = (spent: { group?: number; day?: number; held?: number }, limitGroup = 50) => [
  { name: 'day' as const, limit: 100, spent: spent.day ?? 0, held: 0 },
  { name: 'group' as const, limit: limitGroup, spent: spent.group ?? 0, held: spent.held ?? 0 },
];

test.each([
  ['nothing spent', {}, 'fits'],
  ['exactly the rest of the group', { group: 40 }, 'fits'],
  ['one micro USD too much for the group', { group: 41 }, 'full group'],
  ['exactly the rest of the day', { day: 90 }, 'fits'],
  ['one micro USD too much for the day', { day: 91 }, 'full day'],
  ['both in the way: the one that lasts longer is named', { day: 100, group: 50 }, 'full day'],
  ['a free call with everything spent', { day: 200, group: 200, worstCase: 0 }, 'fits'],
  ['a limit of nothing', { limitGroup: 0 }, 'full group'],
  ['it would fit without the calls under way', { group: 45, held: 5 }, 'busy group'],
  ['it would not even fit without the calls under way', { group: 45, held: 4 }, 'full group'],
  ['one is held by calls under way, another is used up', { group: 45, held: 45, day: 91 }, 'full day'],
])('%s', (_name, { worstCase = 10, limitGroup, ...spent }: Record<string, number>, expected) => {
  const decision = decideBudget(worstCase, caps(spent, limitGroup));
  expect('cap' in decision ? `${decision.kind} ${decision.cap.name}` : decision.kind).toBe(expected);
});

test('a refusal names the cap, what is spent, when it begins anew in the owner’s zone, and how it is raised', () => {
  const amounts = { limitMicroUsd: 5e6, spentMicroUsd: 4.5e6, worstCaseMicroUsd: 0.62e6 };
  const endsAt = Date.parse('2026-03-29T22:00:00Z');
  expect(refusalText({ cap: 'group', of: 'family', endsAt, ...amounts }, 'Europe/Berlin')).toBe(
    'The budget of today for group `family` is used up: $4.50 of $5.00 spent, and the next call could cost $0.62. It begins anew at ' +
      'Mon 30 Mar 2026, 00:00 (Europe/Berlin). The owner raises it with `/budget family <amount>` (behind it `today`: for today only).',
  );
  const huge = refusalText({ cap: 'run', ...amounts, worstCaseMicroUsd: 6e6 }, 'UTC');
  expect(huge).toContain('A call of this size does not fit even when nothing is spent.');
  expect(huge).toContain('raises it with `/budget run <amount>`.');
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
        const held = running.reduce((sum, call) => sum + call.worstCase, 0);
        const decision = decideBudget(worstCase, caps({ group: spent + held, day: spent + held, held }, 100));
        if (decision.kind === 'fits') running.push({ worstCase, cost: Math.floor(worstCase * share) });
        if (end) spent += running.shift()?.cost ?? 0;
      }
      spent += running.reduce((sum, call) => sum + call.cost, 0);
      expect(spent).toBeLessThanOrEqual(100);
    }),
  );
});
