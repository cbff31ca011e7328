// Days and months where people live.
import { expect, test } from 'vitest';
import { dayName, endOfDay, endOfMonth } from './day.js';

const at = (time: string) => Date.parse(time);
const iso = (time: number) => new Date(time).toISOString().replace('.000', '');

test.each([
  ['2026-11-21T10:00:00Z', 'Europe/Berlin', '2026-11-21', '2026-11-21T23:00:00Z'],
  ['2026-11-21T23:00:00Z', 'Europe/Berlin', '2026-11-22', '2026-11-22T23:00:00Z'],
  // 23 and 25 hours long.
  ['2026-03-29T12:00:00Z', 'Europe/Berlin', '2026-03-29', '2026-03-29T22:00:00Z'],
  ['2026-10-24T22:00:00Z', 'Europe/Berlin', '2026-10-25', '2026-10-25T23:00:00Z'],
  ['2026-11-21T10:00:00Z', 'Asia/Kathmandu', '2026-11-21', '2026-11-21T18:15:00Z'],
  // The clocks skip midnight: the day begins at one.
  ['2026-09-05T12:00:00Z', 'America/Santiago', '2026-09-05', '2026-09-06T04:00:00Z'],
  ['2026-11-21T00:00:00Z', 'UTC', '2026-11-21', '2026-11-22T00:00:00Z'],
])('%s in %s is on the day %s, which ends at %s', (now, zone, day, end) => {
  expect(dayName(at(now), zone)).toBe(day);
  expect(iso(endOfDay(at(now), zone))).toBe(end);
  expect(dayName(endOfDay(at(now), zone) - 1, zone)).toBe(day);
});

test.each([
  ['2026-10-01T00:00:00Z', 'Europe/Berlin', '2026-10-31T23:00:00Z'],
  ['2026-03-31T21:59:59Z', 'Europe/Berlin', '2026-03-31T22:00:00Z'],
  ['2026-03-31T22:00:00Z', 'Europe/Berlin', '2026-04-30T22:00:00Z'],
  ['2028-02-29T12:00:00Z', 'America/New_York', '2028-03-01T05:00:00Z'],
  ['2026-12-31T12:00:00Z', 'Pacific/Kiritimati', '2027-01-31T10:00:00Z'],
])('the month of %s in %s ends at %s', (now, zone, end) => {
  expect(iso(endOfMonth(at(now), zone))).toBe(end);
});
