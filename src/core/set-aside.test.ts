// What cannot be taken in holds up nothing behind it for long, is told once, and is kept, within bounds.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { openStore, type Store } from '../store.js';
import { createBegun } from './begun.js';
import { createSetAside, tellSetAside, Unreadable } from './set-aside.js';

let dataDir: string;
let store: Store;
let notices: string[];
const clock = createFakeClock();
const log = pino({ level: 'silent' });

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'pinch-aside-'));
  store = openStore(':memory:');
  notices = [];
});

/** A process that finds what the one before left. */
function start() {
  const notifyOwner = (key: string, text: string) => void notices.push(`${key}: ${text}`);
  const begun = createBegun({
    ...{ dataDir, store, clock },
    onSetAside: (name) => tellSetAside({ notifyOwner }, name),
  });
  begun.start('killed');
  return { begun, ...createSetAside({ store, clock, log, begun, notifyOwner }) };
}
const failing = (error: Error) => () => {
  throw error;
};
const about = (name: string, raw: unknown = { text: `the words of ${name}` }) => ({ name: `message x ${name}`, raw });

test('what is refused again and again is set aside after four tries, told once, and never tried again', () => {
  const { takeIn, list } = start();
  for (let time = 1; time <= 3; time++)
    expect(() => takeIn(about('7'), failing(new TypeError('cannot read it')))).toThrow('cannot read it');
  expect(takeIn(about('8'), () => 'taken')).toBe('taken');
  expect(takeIn(about('7'), failing(new TypeError('cannot read it')))).toBeUndefined();
  expect(list()).toMatchObject([{ name: 'message x 7', why: 'cannot read it', body: '{"text":"the words of 7"}' }]);
  expect(notices).toEqual([expect.stringMatching(/set-aside:message x 7: .*cannot read it.*set-aside/)]);
  expect(takeIn(about('7'), () => 'taken')).toBeUndefined();
  expect(start().takeIn(about('7'), () => 'taken')).toBeUndefined();
  expect(notices).toHaveLength(1);
});

test.each([
  ['SQLITE_FULL'],
  ['SQLITE_IOERR_WRITE'],
  ['SQLITE_BUSY'],
  ['SQLITE_READONLY_DBMOVED'],
  ['SQLITE_CORRUPT'],
])('a store that says %s is no fault of what came: it waits as long as that lasts', (code) => {
  const { takeIn, list } = start();
  const error = Object.assign(new Error('no'), { code });
  for (let time = 1; time <= 50; time++) expect(() => takeIn(about('7'), failing(error))).toThrow('no');
  expect(takeIn(about('7'), () => 'taken')).toBe('taken');
  expect([list(), notices]).toEqual([[], []]);
});

test('what makes no sense is set aside at once; what works in between begins to count anew', () => {
  const { takeIn, list } = start();
  for (let time = 1; time <= 9; time++) {
    if (time % 3 === 0) expect(takeIn(about('9'), () => 'taken')).toBe('taken');
    else expect(() => takeIn(about('9'), failing(new Error('no')))).toThrow('no');
  }
  expect(takeIn(about('7'), failing(new Unreadable('no such thing')))).toBeUndefined();
  expect(list().map(({ name }) => name)).toEqual(['message x 7']);
});

test('one within another is one: an update and the message in it are told once', () => {
  const { takeIn, list } = start();
  const both = () => takeIn(about('update'), () => takeIn(about('message'), failing(new Error('no'))));
  for (let time = 1; time <= 3; time++) expect(both).toThrow('no');
  expect(both()).toBeUndefined();
  expect(list().map(({ name }) => name)).toEqual(['message x update']);
});

test('what ended Pinch is kept when it comes once more, without what it says when to read that ended Pinch too', () => {
  const raw = (end: () => void) => ({ toJSON: () => end() });
  for (let life = 1; life <= 2; life++) {
    const { takeIn, begun } = start();
    const end = () => {
      begun.close();
      throw new Error('end');
    };
    expect(() => takeIn(about('7'), end)).toThrow('end');
  }
  const third = start();
  expect(() => third.takeIn(about('7', raw(failing(new Error('end')))), () => 1)).toThrow('end');
  const { takeIn, list } = start();
  expect(takeIn(about('7', raw(failing(new Error('end')))), () => 1)).toBeUndefined();
  expect(list()).toMatchObject([{ name: 'message x 7', body: null }]);
  expect(notices).toEqual([expect.stringContaining('I ended twice in the middle of "message x 7"')]);
});

test('what is kept is bounded, in bytes and in number', () => {
  const { takeIn, list } = start();
  for (let n = 1; n <= 250; n++) takeIn(about(`${n}`, 'é'.repeat(100_000)), failing(new Unreadable('no')));
  const kept = list();
  expect([kept.length, kept[0]?.name, kept.at(-1)?.name]).toEqual([100, 'message x 250', 'message x 151']);
  expect(Math.max(...kept.map(({ body }) => Buffer.byteLength(body ?? '')))).toBeLessThanOrEqual(64 * 1024);
  expect(store.statements.total<[]>('SELECT count(*) FROM set_aside')()).toBe(100);
});
