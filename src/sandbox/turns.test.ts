// Who works in which container when there are too few, as a table.
import { describe, expect, test } from 'vitest';
import { decidePlace, PATIENCE_MS, shareOut, type Turn } from './turns.js';

const turn = (runs: number, background: number, more: Partial<Turn> = {}): Turn => ({
  ...{ runs, background, since: 0, givesWay: false, ...more },
});
const way = { givesWay: true };
const free = turn(0, 0);

describe('a place in the own container', () => {
  test.each<[string, Turn, people: boolean, background: boolean]>([
    ['idle', free, true, true],
    ['one task', turn(1, 1), true, true],
    ['two tasks: the third place is people’s', turn(2, 2), true, false],
    ['two people', turn(2, 0), true, true],
    ['full', turn(3, 2), false, false],
    ['three people', turn(3, 0), false, false],
    ['it gives way, and a task keeps it anyway', turn(1, 1, way), true, false],
    ['it gives way after what people asked', turn(1, 0, way), false, false],
    ['it gave way', turn(0, 0, way), false, false],
  ])('%s', (_, entry, people, background) => {
    const place = { entry, entries: [entry], most: 5 };
    expect(decidePlace({ ...place, isBackground: false })).toBe(people);
    expect(decidePlace({ ...place, isBackground: true })).toBe(background);
  });
});

describe('a container', () => {
  const busy = turn(1, 1);
  test.each<[string, Turn[], most: number, people: boolean, background: boolean]>([
    ['none there', [], 5, true, true],
    ['the last of five is left to people', [busy, busy, busy, busy], 5, true, false],
    ['also where its last group still has it warm', [busy, busy, busy, busy, free], 5, true, false],
    ['all at work', [busy, busy], 2, false, false],
    ['the second of two', [busy], 2, true, false],
    ['the only one', [free], 1, true, true],
    ['the only one, at work', [busy], 1, false, false],
  ])('%s', (_, entries, most, people, background) => {
    const place = { entry: undefined, entries, most };
    expect(decidePlace({ ...place, isBackground: false })).toBe(people);
    expect(decidePlace({ ...place, isBackground: true })).toBe(background);
  });

  test('a warm one of its own is no way around what is left to people', () => {
    const own = turn(0, 0);
    const place = { entry: own, entries: [busy, busy, own], most: 3 };
    expect(decidePlace({ ...place, isBackground: true })).toBe(false);
    expect(decidePlace({ ...place, isBackground: false })).toBe(true);
  });
});

describe('giving way', () => {
  const [now, most] = [10 * PATIENCE_MS, 3];
  const groups = (...entries: Turn[]) => new Map(entries.map((entry, index) => [index + 1, entry]));
  const waits = (patience: number, isBackground = false, groupId = 9) => ({
    ...{ groupId, isBackground, turnAt: now - patience * PATIENCE_MS },
  });
  const old = (since: number, runs = 2) => turn(runs, 0, { since });

  test.each<[string, waiting: ReturnType<typeof waits>[], who: number[]]>([
    ['nobody waits', [], []],
    ['not for long', [waits(0.9)], []],
    ['the one that has had it for longest', [waits(1)], [2]],
    ['one more each time', [waits(2)], [2, 3]],
    ['but nobody who got it just now', [waits(8)], [2, 3]],
    ['one for a task', [waits(8, true)], [2]],
    ['one for each group', [waits(1), waits(3, true, 8)], [2, 3]],
    ['a task whose turn is still to come', [waits(-1, true)], []],
  ])('%s', (_, waiting, who) => {
    const entries = groups(old(now - 1), old(1), old(2));
    expect(shareOut(entries, waiting, { now, most })).toBe(waiting.length > 0 ? now + PATIENCE_MS : undefined);
    expect([...entries].flatMap(([id, { givesWay }]) => (givesWay ? [id] : []))).toEqual(who);
  });

  test('it is kept once the runs are over, though its own group waits again, and ends with who waited', () => {
    const entries = groups(old(1));
    shareOut(entries, [waits(1)], { now, most });
    Object.assign(entries.get(1) ?? {}, { runs: 0 });
    shareOut(entries, [waits(2, false, 1), waits(1)], { now, most });
    expect(entries.get(1)?.givesWay).toBe(true);
    shareOut(entries, [waits(2, false, 1)], { now, most });
    expect(entries.get(1)?.givesWay).toBe(false);
  });
});
