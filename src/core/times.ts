// Times as people and models read them. Pure but for a cache of formats.

const formats = new Map<string, Intl.DateTimeFormat>();

/** Making a format costs more than a hundred uses of it. */
function formatOf(timeZone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const name = `${timeZone} ${JSON.stringify(options)}`;
  const format = formats.get(name) ?? new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', ...options });
  formats.set(name, format);
  return format;
}

const CLOCK = { hour: '2-digit', minute: '2-digit' } as const;
const DAY = { weekday: 'short', day: 'numeric', month: 'short' } as const;
const DAY_MS = 86_400_000;

/** `Mon 23 Nov 2026, 09:00` in the zone; seconds only when there are any. */
export function timeText(at: number, timeZone: string): string {
  const withSeconds = at % 60_000 >= 1_000;
  const format = formatOf(timeZone, {
    ...{ ...DAY, year: 'numeric', ...CLOCK },
    ...(withSeconds && { second: '2-digit' }),
  });
  const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const time = [part.hour, part.minute, ...(withSeconds ? [part.second] : [])].join(':');
  return `${part.weekday} ${part.day} ${part.month} ${part.year}, ${time}`;
}

/** `14:03` today, else `yesterday 14:03`, `Mon 14:03` within six days, `Mon 23 Nov 14:03`, or with the year. */
export function shortTime(at: number, now: number, timeZone: string): string {
  const text = (options: Intl.DateTimeFormatOptions, time = at) =>
    formatOf(timeZone, options).format(time).replace(/,/g, '');
  const day = (time: number) => text({ dateStyle: 'short' }, time);
  const clock = text(CLOCK);
  if (day(at) === day(now)) return clock;
  if (day(at) === day(now - DAY_MS)) return `yesterday ${clock}`;
  if (day(at) === day(now + DAY_MS)) return `tomorrow ${clock}`;
  if (Math.abs(now - at) < 6 * DAY_MS) return `${text({ weekday: 'short' })} ${clock}`;
  const sameYear = text({ year: 'numeric' }) === text({ year: 'numeric' }, now);
  return `${text({ ...DAY, ...(!sameYear && { year: 'numeric' as const }) })} ${clock}`;
}
