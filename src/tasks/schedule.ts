// When a task is due: parsing what people and models write, and the times that follow from it. Pure; croner computes calendars.
import { Cron } from 'croner';
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import type { TaskInput } from '../wire.js';

const timeZone = z.string();
export const schedule = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('cron'), cron: z.string(), timeZone }),
  /** Elapsed time from `anchorAt` on: 24 h stay 24 h also when the clocks change. */
  z.object({ kind: z.literal('every'), everyMs: z.number(), anchorAt: z.number(), timeZone }),
  z.object({ kind: z.literal('once'), at: z.number(), timeZone }),
]);
export type Schedule = z.infer<typeof schedule>;

export type ScheduleInput = Pick<TaskInput, 'cron' | 'every' | 'at' | 'tz'>;

const SECOND_MS = 1_000;
const UNITS: Record<string, number> = { s: SECOND_MS, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const LONGEST_MS = 366 * 86_400_000;

/** Checks what was asked for against `now`. Throws PinchError `bad_schedule`, which says what would be right. */
export function parseSchedule(
  input: ScheduleInput,
  { now, timeZone: home }: { now: number; timeZone: string },
): Schedule {
  const { cron, every, at } = input;
  if ([cron, every, at].filter((value) => value !== undefined).length !== 1)
    throw bad('give exactly one of cron, every and at', 'cron: "0 9 * * 1-5", every: "30m" or at: "2026-12-01T09:00"');
  const timeZone = zoneOf(input.tz?.trim() ?? home);
  if (every !== undefined) return { kind: 'every', everyMs: parseDuration(every), anchorAt: now, timeZone };
  const schedule: Schedule =
    cron === undefined
      ? { kind: 'once', at: parseMoment(at ?? '', { now, timeZone }), timeZone }
      : { kind: 'cron', cron: cron.trim().replace(/^\d{4}-.*/, ''), timeZone };
  if (nextSlot(schedule, now) === undefined)
    throw bad(
      `"${cron ?? at}" never comes`,
      schedule.kind === 'once' ? 'it is in the past; the time now is in the prompt' : 'no such day exists',
    );
  return schedule;
}

/** The first slot after `after`, epoch ms; undefined when there is none. */
export function nextSlot(schedule: Schedule, after: number): number | undefined {
  switch (schedule.kind) {
    case 'once':
      return schedule.at > after ? schedule.at : undefined;
    case 'every': {
      const { everyMs, anchorAt } = schedule;
      return anchorAt + Math.max(1, Math.floor((after - anchorAt) / everyMs) + 1) * everyMs;
    }
    case 'cron':
      return nextOfCron(schedule, after);
  }
}

/** The last `count` slots of a cron pattern up to `until`, oldest first. */
export function lastSlots(
  { cron, timeZone }: { cron: string; timeZone: string },
  until: number,
  count: number,
): number[] {
  const runs = cronOf(cron, timeZone).previousRuns(count, new Date(until + 1));
  return runs.map((run) => run.getTime()).sort((a, b) => a - b);
}

/** The next `count` slots after `after`; fewer when the schedule ends. */
export function nextSlots(schedule: Schedule, after: number, count: number): number[] {
  const slots: number[] = [];
  for (let at = nextSlot(schedule, after); at !== undefined && slots.length < count; at = nextSlot(schedule, at))
    slots.push(at);
  return slots;
}

/** The first letter of a unit says which it is. A capital M alone might be a month. */
const LENGTH =
  /(\d{1,9}(?:[.,]\d{1,2})?|(?:half )?an?\b) *(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])\.?[ ,]*(?:and )?/g;

/** "90s", "30m", "1h30m", "1 hour and 30 minutes", "2d", "1w" as ms. Throws PinchError `bad_schedule`: from one second to a year. */
export function parseDuration(text: string): number {
  const words = /\dM/.test(text) ? '' : text.trim().toLowerCase();
  const parts = [...words.matchAll(LENGTH)];
  const countOf = (word: string) =>
    ({ a: 1, an: 1, 'half a': 0.5, 'half an': 0.5 })[word] ?? Number(word.replace(',', '.'));
  const sum = parts.reduce((all, [, count = '', unit = '']) => all + countOf(count) * (UNITS[unit.charAt(0)] ?? 0), 0);
  const ms = Math.round(sum);
  if (parts.map(([part]) => part).join('') !== words || ms < SECOND_MS || ms > LONGEST_MS)
    throw bad(`"${text}" is not a length of time between 1s and a year`, 'write "90s", "30m", "1h30m", "2d" or "1w"');
  return ms;
}

/** "in 5m", which may be without "in", a local time in the zone, or one with its own offset. Throws PinchError `bad_schedule`. */
function parseMoment(text: string, { now, timeZone }: { now: number; timeZone: string }): number {
  const words = text.trim();
  if (/^in\s|^(half )?an? |^[\d.,]+ *[a-z]/i.test(words)) return now + parseDuration(words.replace(/^in\s+/i, ''));
  const match =
    /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,]\d{1,9})?(Z| ?UTC| ?GMT|[+-]\d\d(?::?\d\d)?)?$/i.exec(words);
  const [, date = '', time = '', given = ''] = match ?? [];
  const offset = given.replace(/^ ?[a-z]+$/i, 'Z').replace(/^(.\d\d)$/, '$1:00');
  // 30 February must not quietly become 2 March.
  const utc = new Date(`${date}T${time}Z`);
  if (Number.isNaN(utc.getTime()) || utc.toISOString().slice(0, 10) !== date)
    throw bad(
      `"${text}" is not a time that exists`,
      'write "2026-12-01T09:00" (local time), "2026-12-01T09:00+01:00" or "in 5m"',
    );
  if (offset !== '') return Date.parse(`${date}T${time}${offset}`);
  return (
    cronOf(`${date}T${time}${time.length === 5 ? ':00' : ''}`, timeZone)
      .nextRun(new Date(0))
      ?.getTime() ?? Number.NaN
  );
}

/** Computing takes a while; tasks tend to share a few patterns, due at the same time, and lists of them are asked for again and again. */
const computed = new Map<string, number | undefined>();
const parsed = new Map<string, Cron>();
const MAX_COMPUTED = 2_000;
const MAX_PARSED = 500;

function nextOfCron({ cron, timeZone }: { cron: string; timeZone: string }, after: number): number | undefined {
  const name = `${after} ${cron} ${timeZone}`;
  if (computed.has(name)) return computed.get(name);
  const next = cronOf(cron, timeZone).nextRun(new Date(after))?.getTime();
  if (computed.size >= MAX_COMPUTED) computed.clear();
  computed.set(name, next);
  return next;
}

function cronOf(pattern: string, timezone: string): Cron {
  const name = `${pattern} ${timezone}`;
  const known = parsed.get(name);
  if (known) return known;
  try {
    const cron = new Cron(pattern, { timezone, mode: '5-or-6-parts', paused: true });
    if (parsed.size >= MAX_PARSED) parsed.clear();
    parsed.set(name, cron);
    return cron;
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
    throw bad(
      `"${pattern}" is no cron pattern: ${why}`,
      'five fields, minute hour day month weekday, such as "0 9 * * 1-5" for weekdays at 9',
    );
  }
}

function zoneOf(name: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    throw bad(`there is no time zone "${name}"`, 'use an IANA name such as Europe/Berlin or America/New_York');
  }
}

const bad = (what: string, hint: string) => new PinchError('bad_schedule', what, { hint });
