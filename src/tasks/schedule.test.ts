import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holds } from '../../test/property.js';
import { lastSlots, nextSlot, nextSlots, parseDuration, parseSchedule, type Schedule } from './schedule.js';

const now = Date.parse('2026-11-20T10:00:00Z');
const berlin = { now, timeZone: 'Europe/Berlin' };
const cron = (pattern: string, timeZone = 'Europe/Berlin'): Schedule => ({ kind: 'cron', cron: pattern, timeZone });
const iso = (slots: number[]) => slots.map((at) => new Date(at).toISOString().slice(0, 16));

describe('what is written', () => {
  test.each([
    [{ at: '2026-12-01T09:00' }, '2026-12-01T08:00'],
    [{ at: '2026-12-01 09:00' }, '2026-12-01T08:00'],
    [{ at: '2026-12-01T09:00', tz: 'America/New_York' }, '2026-12-01T14:00'],
    [{ at: '2026-12-01T09:00Z' }, '2026-12-01T09:00'],
    [{ at: '2026-12-01T09:00+05:30' }, '2026-12-01T03:30'],
    [{ at: 'in 5m' }, '2026-11-20T10:05'],
    [{ at: 'in 1h30m' }, '2026-11-20T11:30'],
    [{ at: 'in 5 minutes' }, '2026-11-20T10:05'],
    [{ at: 'in an hour' }, '2026-11-20T11:00'],
    [{ at: '30 minutes' }, '2026-11-20T10:30'],
    [{ at: '1 hour' }, '2026-11-20T11:00'],
    [{ at: 'in half an hour' }, '2026-11-20T10:30'],
    [{ at: 'half an hour' }, '2026-11-20T10:30'],
    [{ at: 'in 1.5 hours' }, '2026-11-20T11:30'],
    [{ at: 'in 5 min.' }, '2026-11-20T10:05'],
    [{ every: '1,5h' }, '2026-11-20T11:30'],
    [{ at: '2026-12-01T09:00:00+01' }, '2026-12-01T08:00'],
    [{ at: '2026-12-01 09:00 UTC' }, '2026-12-01T09:00'],
    [{ at: '2026-12-01t09:00z' }, '2026-12-01T09:00'],
    [{ at: '2026-12-01T09:00', tz: ' Europe/London ' }, '2026-12-01T09:00'],
    [{ at: '2026-12-01T09:00:00.000Z' }, '2026-12-01T09:00'],
    [{ at: '2026-12-01T09:00:00,5+02:00' }, '2026-12-01T07:00'],
    [{ at: '2026-12-01T09:00:30.250' }, '2026-12-01T08:00'],
    [{ every: '30 minutes' }, '2026-11-20T10:30'],
    [{ every: '1 hour' }, '2026-11-20T11:00'],
    [{ every: '30m' }, '2026-11-20T10:30'],
    [{ cron: '0 9 * * 1-5' }, '2026-11-23T08:00'],
    [{ cron: '30 0 9 * * *' }, '2026-11-21T08:00'],
    [{ cron: '@daily' }, '2026-11-20T23:00'],
    // In the hour that does not exist: as much later as the clocks moved.
    [{ at: '2027-03-28T02:30' }, '2027-03-28T01:30'],
  ])('%j first comes at %s', (input, first) => {
    expect(iso(nextSlots(parseSchedule(input, berlin), now, 1))).toEqual([first]);
  });

  test.each([
    [{}, /exactly one/],
    [{ cron: '* * * * *', every: '5m' }, /exactly one/],
    [{ cron: '0 9 * *' }, /no cron pattern/],
    [{ cron: '99 9 * * *' }, /no cron pattern/],
    [{ cron: '0 9 31 2 *' }, /never comes/],
    [{ cron: '2027-01-01T09:00:00' }, /no cron pattern/],
    [{ at: '2026-02-30T09:00' }, /not a time that exists/],
    [{ at: '2026-12-01T25:00' }, /not a time that exists/],
    [{ at: 'tomorrow' }, /not a time that exists/],
    [{ at: '2020-01-01T09:00' }, /never comes/],
    [{ every: '500ms' }, /length of time/],
    [{ every: '0s' }, /length of time/],
    [{ every: '3y' }, /length of time/],
    [{ every: '5000000000w' }, /length of time/],
    [{ every: '30m', tz: 'Mars/Olympus' }, /no time zone/],
  ])('%j is refused', (input, why) => {
    expect(() => parseSchedule(input, berlin)).toThrow(why);
  });

  test('lengths of time', () => {
    const words = ['30 minutes', '1 hour and 30 minutes', '2 Days, 1 hr', 'a week', '10 secs'];
    expect(words.map(parseDuration)).toEqual([18e5, 54e5, 1764e5, 6048e5, 1e4]);
    for (const text of ['1M', '5 months', 'minutes', '-5m', '1h-', 'and', '5 m i n'])
      expect(() => parseDuration(text), text).toThrow('is not a length of time');
    expect(['1s', '90s', '2h', '1d', '1w', '1h 30m'].map(parseDuration)).toEqual([1e3, 9e4, 72e5, 864e5, 6048e5, 54e5]);
  });
});

describe('when clocks change', () => {
  test('a time in the hour that is skipped comes when the clocks have moved; one in the hour that repeats comes once', () => {
    expect(iso(nextSlots(cron('30 2 * * *'), Date.parse('2026-03-28T12:00Z'), 2))).toEqual([
      '2026-03-29T01:00',
      '2026-03-30T00:30',
    ]);
    expect(iso(nextSlots(cron('30 2 * * *'), Date.parse('2026-10-24T12:00Z'), 2))).toEqual([
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  test('every five minutes goes on through both', () => {
    for (const day of ['2026-03-29', '2026-10-25']) {
      const slots = nextSlots(cron('*/5 * * * *'), Date.parse(`${day}T00:00Z`), 36);
      expect(new Set(slots.slice(1).map((at, index) => at - (slots[index] ?? 0)))).toEqual(new Set([300_000]));
    }
  });
});

test('an interval keeps its rhythm, whatever was missed', () => {
  const schedule: Schedule = { kind: 'every', everyMs: 7_000, anchorAt: 1_000, timeZone: 'UTC' };
  fc.assert(
    fc.property(fc.integer({ min: -50_000, max: 5_000_000 }), (after) => {
      const next = nextSlot(schedule, after) ?? 0;
      expect((next - 1_000) % 7_000).toBe(0);
      expect(next).toBeGreaterThan(Math.max(after, 1_000));
      if (after >= 1_000) expect(next - after).toBeLessThanOrEqual(7_000);
    }),
  );
});

// The oracle: walks every minute of some days and asks only what the wall clock shows. It knows nothing of croner.
const ZONES = [
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'America/St_Johns',
  'Asia/Kathmandu',
  'Africa/Casablanca',
  'UTC',
];
const MINUTE_MS = 60_000;
const [FIELDS, WINDOW] = [['minute', 'hour', 'day', 'month', 'weekday'] as const, 3 * 1_440];
type Wall = Record<(typeof FIELDS)[number], number>;

const formats = new Map<string, Intl.DateTimeFormat>();
function wallClock(at: number, timeZone: string): Wall {
  const options = {
    hourCycle: 'h23',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    weekday: 'short',
  } as const;
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat('en-US', { timeZone, ...options });
  formats.set(timeZone, format);
  const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const weekday = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].indexOf(part.weekday ?? '');
  return {
    minute: Number(part.minute),
    hour: Number(part.hour),
    day: Number(part.day),
    month: Number(part.month),
    weekday,
  };
}

/** The numbers a field allows. */
function valuesOf(field: string, [low, high]: [number, number]): number[] {
  return field.split(',').flatMap((item) => {
    const [, from, to, step = '1'] = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(item) ?? [];
    const first = from === undefined ? low : Number(from);
    const last = from === undefined ? high : Number(to ?? from);
    return Array.from({ length: last - first + 1 }, (_, n) => first + n).filter(
      (n) => (n - first) % Number(step) === 0,
    );
  });
}

/** Every slot of `pattern` in the window. One fixed time of day comes once on each of its days: when it comes twice, the first; when it is skipped, after the gap. */
function bruteForce(pattern: string, timeZone: string, from: number): number[] {
  const [minutes = '', hours = '', days = '', months = '', weekdays = ''] = pattern.split(' ');
  const allowed = {
    minute: valuesOf(minutes, [0, 59]),
    hour: valuesOf(hours, [0, 23]),
    day: valuesOf(days, [1, 31]),
    month: valuesOf(months, [1, 12]),
    weekday: valuesOf(weekdays, [0, 7]).map((n) => n % 7),
  };
  const onDay = (clock: Wall) => {
    const [byDay, byWeekday] = [allowed.day.includes(clock.day), allowed.weekday.includes(clock.weekday)];
    const either = days !== '*' && weekdays !== '*';
    return allowed.month.includes(clock.month) && (either ? byDay || byWeekday : byDay && byWeekday);
  };
  const isFixed = allowed.minute.length === 1 && allowed.hour.length === 1;
  const fixed = (allowed.hour[0] ?? 0) * 60 + (allowed.minute[0] ?? 0);
  const done = new Set<string>();
  const slots: number[] = [];
  // A day earlier, so that the second of two equal times is known as such.
  for (let n = -1_440, before = wallClock(from - 1_441 * MINUTE_MS, timeZone); n <= WINDOW; n++) {
    const at = from + n * MINUTE_MS;
    const clock = wallClock(at, timeZone);
    const minute = clock.hour * 60 + clock.minute;
    const skipped = before.day === clock.day && before.hour * 60 + before.minute < fixed && fixed < minute;
    const matches =
      onDay(clock) &&
      (isFixed
        ? minute === fixed || skipped
        : allowed.hour.includes(clock.hour) && allowed.minute.includes(clock.minute));
    before = clock;
    const day = `${clock.month}-${clock.day}`;
    if (!matches || (isFixed && done.has(day))) continue;
    done.add(day);
    if (n > 0) slots.push(at);
  }
  return slots;
}

const field = (low: number, high: number) => {
  const value = fc.integer({ min: low, max: high });
  return fc.oneof(
    fc.constant('*'),
    value.map(String),
    fc.integer({ min: 2, max: Math.min(high, 20) }).map((step) => `*/${step}`),
    fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    fc.uniqueArray(value, { minLength: 2, maxLength: 3 }).map((list) => list.sort((a, b) => a - b).join(',')),
  );
};
/** Mostly days on which some of the zones change their clocks. */
const start = fc.oneof(
  fc.constantFrom(
    '2026-03-08',
    '2026-03-29',
    '2026-04-05',
    '2026-10-04',
    '2026-10-25',
    '2026-11-01',
    '2026-02-15',
    '2026-03-22',
  ),
  fc.integer({ min: 0, max: 364 }).map((day) => new Date(Date.UTC(2026, 0, 1 + day)).toISOString().slice(0, 10)),
);

/** All slots after `from` up to `end`. */
function slotsUntil(schedule: Schedule, from: number, end: number): number[] {
  const slots: number[] = [];
  for (let at = nextSlot(schedule, from); at !== undefined && at <= end; at = nextSlot(schedule, at)) slots.push(at);
  return slots;
}

test('cron: every slot that a walk through all minutes finds, and no other, in zones that change their clocks', async () => {
  const pattern = fc
    .tuple(
      field(0, 59),
      field(0, 23),
      fc.oneof(fc.constant('*'), field(1, 31)),
      fc.constant('*'),
      fc.oneof(fc.constant('*'), field(0, 6)),
    )
    .map((fields) => fields.join(' '));
  await holds(
    fc.property(pattern, fc.constantFrom(...ZONES), start, (text, timeZone, day) => {
      const from = Date.parse(`${day}T00:00Z`) - 1_440 * MINUTE_MS;
      const end = from + WINDOW * MINUTE_MS;
      const found = slotsUntil(cron(text, timeZone), from, end).slice(0, 200);
      expect(iso(found)).toEqual(iso(bruteForce(text, timeZone, from).slice(0, 200)));
    }),
    { numRuns: 150 },
  );
});

test('looking back finds the slots that looking forward finds', async () => {
  const pattern = fc
    .tuple(
      field(0, 59),
      fc.constantFrom('*', '*/2', '1-3', '2', '9'),
      fc.constant('*'),
      fc.constant('*'),
      fc.constant('*'),
    )
    .map((fields) => fields.join(' '));
  await holds(
    fc.property(pattern, fc.constantFrom(...ZONES), start, (text, timeZone, day) => {
      const from = Date.parse(`${day}T00:00Z`) - 1_440 * MINUTE_MS;
      const end = from + WINDOW * MINUTE_MS;
      const forward = slotsUntil(cron(text, timeZone), from, end);
      const back = lastSlots({ cron: text, timeZone }, end, 10).filter((at) => at > from);
      expect(iso(back)).toEqual(iso(forward.slice(-10).slice(-back.length || 5_000)));
      expect(back.length).toBe(Math.min(10, forward.length));
    }),
    { numRuns: 60 },
  );
});
