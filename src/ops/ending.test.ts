// What takes too long, or fails, holds up no end.
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createStages, endWithin } from './ending.js';

const clock = createFakeClock();
let lines: Record<string, unknown>[];
const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });

beforeEach(() => {
  lines = [];
});

test('what has not ended in time is named, and not waited for', async () => {
  const never = new Promise<never>(() => undefined);
  const ended = endWithin({ clock, log }, 7_000, { quick: Promise.resolve(), slow: never, slower: never });
  await clock.advance(7_000);
  await ended;
  expect(lines).toMatchObject([{ msg: 'some parts of Pinch did not end in time', left: ['slow', 'slower'] }]);
});

test('one that fails is told, and the others are waited for', async () => {
  const other = clock.sleep(100).then(() => lines.push({ msg: 'the other' }));
  const ended = endWithin({ clock, log }, 7_000, { bad: Promise.reject(new Error('no')), other });
  await clock.advance(100);
  await ended;
  expect(lines).toMatchObject([{ msg: 'a part of Pinch did not end well', part: 'bad' }, { msg: 'the other' }]);
});

test('an end in the middle of a start ends what is there, and at once what still comes', async () => {
  const ends: string[] = [];
  const part = (name: string) => ({ stop: () => void ends.push(name) });
  const stages = createStages();
  stages.add('page', part('page'));
  stages.add('off', undefined);
  expect(Object.keys(stages.stopAll())).toEqual(['page']);
  stages.add('delivery', part('delivery'));
  expect([ends, stages.isOver()]).toEqual([['page', 'delivery'], true]);
});

test('one that throws at once does not keep the others from ending', async () => {
  const stages = createStages();
  stages.add('bad', {
    stop: () => {
      throw new Error('no');
    },
  });
  stages.add('good', { stop: () => undefined });
  await endWithin({ clock, log }, 7_000, stages.stopAll());
  expect(lines).toMatchObject([{ part: 'bad', error: 'no' }]);
});
