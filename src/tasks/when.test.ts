// When, then what: as people write it behind `/task add`.
import { expect, test } from 'vitest';
import { parseSchedule } from './schedule.js';
import { parseWhen } from './when.js';

/** 15:30 in Berlin. */
const now = { now: Date.UTC(2026, 10, 30, 14, 30), timeZone: 'Europe/Berlin' };

test.each([
  ['every 30m look at the mail', { every: '30m' }, 'look at the mail'],
  ['every 1h30m x', { every: '1h30m' }, 'x'],
  ['every 2 hours and 5 minutes: x', { every: '2 hours and 5 minutes' }, 'x'],
  ['Every half an hour x', { every: 'half an hour' }, 'x'],
  ['in 5m x', { at: 'in 5m' }, 'x'],
  ['in 2 days, do 3 things', { at: 'in 2 days,' }, 'do 3 things'],
  ['at 18:00 x', { at: '2026-11-30T18:00' }, 'x'],
  ['at 9:00 x', { at: '2026-12-01T09:00' }, 'x'],
  ['at 15:30 x', { at: '2026-12-01T15:30' }, 'x'],
  ['at 6 pm x', { at: '2026-11-30T18:00' }, 'x'],
  ['at 12am x', { at: '2026-12-01T00:00' }, 'x'],
  ['tomorrow 7:05 x', { at: '2026-12-01T07:05' }, 'x'],
  ['tomorrow at 7 x', { at: '2026-12-01T07:00' }, 'x'],
  ['at 7:00 tomorrow x', { at: '2026-12-01T07:00' }, 'x'],
  ['at 2026-12-24 18:00 x', { at: '2026-12-24 18:00' }, 'x'],
  ['2026-12-24T18:00+01:00 x', { at: '2026-12-24T18:00+01:00' }, 'x'],
  ['every day at 8:00 x', { cron: '0 8 * * *' }, 'x'],
  ['daily 8 x', { cron: '0 8 * * *' }, 'x'],
  ['every weekday at 8:30 x', { cron: '30 8 * * 1-5' }, 'x'],
  ['weekdays 8:30 x', { cron: '30 8 * * 1-5' }, 'x'],
  ['every monday at 9 x', { cron: '0 9 * * 1' }, 'x'],
  ['Sundays at 20:15 x', { cron: '15 20 * * 0' }, 'x'],
  ['cron 0 9 * * 1-5 x y', { cron: '0 9 * * 1-5' }, 'x y'],
  ['0 9 * * mon-fri x', { cron: '0 9 * * mon-fri' }, 'x'],
  ['*/5 * * * * x', { cron: '*/5 * * * *' }, 'x'],
  ['"30 0 9 * * 1-5" x', { cron: '30 0 9 * * 1-5' }, 'x'],
  ['every day at 8:00 tz=America/New_York x', { cron: '0 8 * * *', tz: 'America/New_York' }, 'x'],
  ['every 30m\n- one\n- two', { every: '30m' }, '- one\n- two'],
])('%j', (text, when, rest) => {
  const read = parseWhen(text, now);
  expect(read).toEqual({ when, rest });
  expect(parseSchedule(read.when, now).kind).toMatch(/cron|every|once/);
});

test.each([
  'look at the mail',
  '',
  'sometimes x',
  'every now and then x',
  'at noon x',
  'monday x',
  '5 apples',
])('%j says no time', (text) => expect(() => parseWhen(text, now)).toThrow('I do not see when'));

test.each(['at 25:00 x', 'at 9:75 x', 'every day at 24:00 x', 'at 13 pm x'])('%j is no time that exists', (text) =>
  expect(() => parseWhen(text, now)).toThrow("o'clock"));

test('nothing behind it is nothing to do', () => expect(parseWhen('every 30m', now).rest).toBe(''));
