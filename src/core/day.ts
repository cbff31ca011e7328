// Calendar days in a time zone.

const QUARTER_HOUR_MS = 15 * 60_000;

/** Epoch ms of the last local midnight at or before `now` in `timeZone`; exact also on days with a clock change. Pure. */
export function startOfDay(now: number, timeZone: string): number {
  // Made once: making one costs more than walking the whole day with it.
  const dayName = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' });
  const day = dayName.format(now);
  // Walk back in quarter hours (every zone's offset is a multiple of them) from at most 26 h ago to the first instant of the day.
  let start = Math.floor(now / QUARTER_HOUR_MS) * QUARTER_HOUR_MS;
  while (dayName.format(start - QUARTER_HOUR_MS) === day) start -= QUARTER_HOUR_MS;
  return start;
}
