// Calendar days and months in a time zone. Pure but for caches.

const QUARTER_HOUR_MS = 15 * 60_000;
const QUARTERS_OF_A_MONTH = 32 * 96;
const formats = new Map<string, Intl.DateTimeFormat>();
/** When the periods end that were asked for last. */
const ends = new Map<string, number>();
const MAX_ENDS = 100;

/** The local date, such as `2026-11-30`; its first seven characters name the month. */
export function dayName(at: number, timeZone: string): string {
  // Making a format costs more than a hundred uses of it.
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' });
  formats.set(timeZone, format);
  return format.format(at);
}

/** Epoch ms of the first instant of the next local day: midnight, or later where the clocks skip it. */
export const endOfDay = (now: number, timeZone: string): number => endOfPeriod(now, timeZone, 'YYYY-MM-DD'.length);

/** Epoch ms of the first instant of the next local month. */
export const endOfMonth = (now: number, timeZone: string): number => endOfPeriod(now, timeZone, 'YYYY-MM'.length);

/** Halves the time ahead until it knows the first quarter hour whose date does not begin as today's. */
function endOfPeriod(now: number, timeZone: string, chars: number): number {
  const name = (at: number) => dayName(at, timeZone).slice(0, chars);
  const current = name(now);
  const key = `${timeZone} ${current}`;
  const known = ends.get(key);
  if (known !== undefined) return known;
  let inside = Math.floor(now / QUARTER_HOUR_MS);
  let outside = inside + QUARTERS_OF_A_MONTH;
  while (outside - inside > 1) {
    const middle = Math.floor((inside + outside) / 2);
    if (name(middle * QUARTER_HOUR_MS) === current) inside = middle;
    else outside = middle;
  }
  if (ends.size >= MAX_ENDS) ends.clear();
  ends.set(key, outside * QUARTER_HOUR_MS);
  return outside * QUARTER_HOUR_MS;
}
