// Times as people and models read them. Pure but for a cache of formats.

const formats = new Map<string, Intl.DateTimeFormat>();

/** `Mon 23 Nov 2026, 09:00` in the zone; seconds only when there are any. */
export function timeText(at: number, timeZone: string): string {
  const withSeconds = at % 60_000 >= 1_000;
  const name = `${timeZone} ${withSeconds}`;
  const format =
    formats.get(name) ??
    new Intl.DateTimeFormat('en-GB', {
      timeZone,
      hourCycle: 'h23',
      weekday: 'short',
      day: 'numeric',
      month: 'short',
      year: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      ...(withSeconds && { second: '2-digit' }),
    });
  formats.set(name, format);
  const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const time = [part.hour, part.minute, ...(withSeconds ? [part.second] : [])].join(':');
  return `${part.weekday} ${part.day} ${part.month} ${part.year}, ${time}`;
}
