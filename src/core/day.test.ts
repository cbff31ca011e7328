// When a day began, where people live.
import { expect, test } from 'vitest';
import { startOfDay } from './day.js';

test.each([
  ['2026-11-21T10:00:00Z', 'Europe/Berlin', '2026-11-20T23:00:00Z'],
  ['2026-03-29T12:00:00Z', 'Europe/Berlin', '2026-03-28T23:00:00Z'],
  ['2026-10-25T12:00:00Z', 'Europe/Berlin', '2026-10-24T22:00:00Z'],
  ['2026-11-21T10:00:00Z', 'Asia/Kathmandu', '2026-11-20T18:15:00Z'],
  ['2026-11-21T00:00:00Z', 'UTC', '2026-11-21T00:00:00Z'],
])('the day of %s in %s began at %s', (now, zone, start) => {
  expect(new Date(startOfDay(Date.parse(now), zone)).toISOString()).toBe(new Date(start).toISOString());
});
