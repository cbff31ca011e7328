// What a person writes behind `/task add`: when, then what. It becomes the fields of the agent's own tool, which schedule.ts checks. Pure.
import { dayName, endOfDay } from '../core/day.js';
import { PinchError } from '../core/errors.js';
import type { ScheduleInput } from './schedule.js';

export const WHEN =
  '`every 30m`, `in 2h`, `at 18:00`, `tomorrow 9:00`, `at 2026-12-01 09:00`, `every monday at 9:00`, `every day at 8:00` or `cron 0 9 * * 1-5`';

interface Now {
  now: number;
  timeZone: string;
}

const LENGTH =
  '(?:(?:\\d{1,9}(?:[.,]\\d{1,2})?|(?:half )?an?) ?(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])[ ,]*(?:and )?)+';
const CLOCK = '(\\d{1,2})(?:[:.](\\d\\d))?(?: ?(am|pm)\\b)?(?! ?\\d)';
const MOMENT = '\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d(?::\\d\\d)?(?:Z| ?UTC| ?GMT|[+-]\\d\\d(?::?\\d\\d)?)?';
const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const FIELD = '[\\d*][\\d*/,\\-]*|[a-z]{3}(?:[-,][a-z]{3})*';

/** Of a match: what a group did not find is undefined. */
type Words = (string | undefined)[];

const forms: [RegExp, (match: Words, now: Now) => ScheduleInput][] = [
  [/^(?:cron )?["“”'`]([^"“”'`]{1,200})["“”'`]/i, ([, cron]) => ({ cron: cron ?? '' })],
  [/^cron ((?:\S+ ){4,5}?\S+)(?= )/i, ([, cron]) => ({ cron: cron ?? '' })],
  [
    new RegExp(`^([\\d*][\\d*/,\\-]* [\\d*][\\d*/,\\-]*(?: (?:${FIELD})){3})(?= )`, 'i'),
    ([, cron]) => ({ cron: cron ?? '' }),
  ],
  [new RegExp(`^(?:every |each )?(day|daily|weekday|weekdays|${DAYS.join('|')})s?(?: at| @)? ${CLOCK}`, 'i'), everyDay],
  [new RegExp(`^every (${LENGTH})`, 'i'), ([, every]) => ({ every: (every ?? '').trim() })],
  [new RegExp(`^in (${LENGTH})`, 'i'), ([, length]) => ({ at: `in ${(length ?? '').trim()}` })],
  [new RegExp(`^(?:at |on )?(${MOMENT})`, 'i'), ([, at]) => ({ at: at ?? '' })],
  [new RegExp(`^(tomorrow|today)(?: at)? ${CLOCK}`, 'i'), onDay],
  [
    new RegExp(`^at ${CLOCK}(?: (today|tomorrow)\\b)?`, 'i'),
    ([all = '', hour, minute, half, day], now) => onDay([all, day, hour, minute, half], now),
  ],
];

/** The time that a text begins with, and what stands behind it. Throws PinchError `bad_schedule` when it begins with none. */
export function parseWhen(text: string, now: Now): { when: ScheduleInput; rest: string } {
  const words = text.trim().replaceAll(/[^\S\n]+/g, ' ');
  // A space behind, so that a form that ends with a blank finds it also where nothing follows.
  const padded = `${words} `;
  for (const [form, read] of forms) {
    const match = form.exec(padded);
    if (!match) continue;
    const rest = padded
      .slice(match[0].length)
      .replace(/^[\s,:;]+/, '')
      .trim();
    const [, tz, behind = rest] = /^tz=(\S{1,60})\s*([\s\S]*)$/i.exec(rest) ?? [];
    return { when: { ...read([...match], now), ...(tz && { tz }) }, rest: behind };
  }
  throw new PinchError('bad_schedule', 'I do not see when', { hint: `begin with ${WHEN}` });
}

/** `18:00` as a cron pattern of days. */
function everyDay([, day = '', ...clock]: Words): ScheduleInput {
  const [hour, minute] = clockOf(clock);
  const name = day.toLowerCase();
  const days = /^weekday/.test(name) ? '1-5' : DAYS.includes(name) ? `${DAYS.indexOf(name)}` : '*';
  return { cron: `${minute} ${hour} * * ${days}` };
}

/** Without a day: today, or tomorrow when that time is over. */
function onDay([, day = '', ...clock]: Words, { now, timeZone }: Now): ScheduleInput {
  const [hour, minute] = clockOf(clock).map((part) => `${part}`.padStart(2, '0'));
  const today = dayName(now, timeZone);
  const current = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(now);
  const isOver = day === '' && `${hour}:${minute}` <= current;
  const date = day.toLowerCase() === 'tomorrow' || isOver ? dayName(endOfDay(now, timeZone), timeZone) : today;
  return { at: `${date}T${hour}:${minute}` };
}

function clockOf([hours = '', minutes = '', half = '']: Words): [number, number] {
  const [hour, minute] = [Number(hours), Number(minutes || '0')];
  const shift = half.toLowerCase() === 'pm' && hour < 12 ? 12 : half.toLowerCase() === 'am' && hour === 12 ? -12 : 0;
  if (hour > 23 || minute > 59 || (half && hour > 12))
    throw new PinchError('bad_schedule', `there is no ${hours}:${minutes || '00'}${half} o'clock`, {
      hint: `write ${WHEN}`,
    });
  return [hour + shift, minute];
}
