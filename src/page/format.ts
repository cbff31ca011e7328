// Times, lengths, amounts and sizes as the page shows them. Pure but for a cache of formats.

const formats = new Map<string, Intl.DateTimeFormat>();

function format(timeZone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const name = `${timeZone} ${JSON.stringify(options)}`;
  // Making a format costs more than a hundred uses of it.
  const made = formats.get(name) ?? new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', ...options });
  formats.set(name, made);
  return made;
}

export const fullTime = (at: number, timeZone: string): string =>
  `${format(timeZone, { dateStyle: 'full', timeStyle: 'medium' }).format(at)} (${timeZone})`;

export const clockTime = (at: number, timeZone: string): string =>
  format(timeZone, { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(at);

/** `Mon 30 Nov`. */
export const dayText = (at: number, timeZone: string): string =>
  format(timeZone, { weekday: 'short', day: 'numeric', month: 'short' }).format(at);

/** 850 as `850 ms`, 61000 as `1 min 1 s`. */
export function lengthText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.round(ms / 1_000);
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const hours = Math.floor(seconds / 3_600);
  return hours < 48 ? `${hours} h ${Math.floor((seconds % 3_600) / 60)} min` : `${Math.floor(hours / 24)} days`;
}

/** Cents, and what is less with two figures. */
export function moneyText(microUsd: number): string {
  const usd = microUsd / 1e6;
  return usd === 0 || Math.abs(usd) >= 0.01 ? `$${usd.toFixed(2)}` : `$${Number(usd.toPrecision(2))}`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function sizeText(bytes: number): string {
  const power = bytes < 1_000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1_000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

export const countText = (count: number): string => count.toLocaleString('en-GB');
