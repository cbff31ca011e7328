// How people write a length of time behind `recap`. Pure.

export const MOST_HOURS = 31 * 24;

/** `12h` and `3d` in hours; undefined for anything else, and for more than a month. */
export function hoursOf(text: string): number | undefined {
  const [, number = '', unit = ''] = /^(\d{1,4})\s*(h|d)(?:ours?|ays?)?$/i.exec(text.trim()) ?? [];
  const hours = Number(number) * (unit.toLowerCase() === 'd' ? 24 : 1);
  return number !== '' && hours > 0 && hours <= MOST_HOURS ? hours : undefined;
}
