// Calendar days in a time zone.

/** Epoch ms of the last local midnight at or before `now` in `timeZone`; exact also on days with a clock change. Pure. */
export function startOfDay(now: number, timeZone: string): number {
  const day = dayName(now, timeZone);
  // Walk back in quarter hours (every zone's offset is a multiple of them) from at most 26 h ago to the first instant of the day.
  const quarter = 15 * 60_000;
  let start = Math.floor(now / quarter) * quarter;
  while (dayName(start - quarter, timeZone) === day) start -= quarter;
  return start;
}

function dayName(at: number, timeZone: string): string {
  return new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' }).format(at);
}
