// The difference of two texts, line by line, as programs and people know it: `-` was, `+` is, three lines around. Pure.

/** Lines that differ are compared each with each; beyond so many pairs all of them are shown as replaced. */
const MOST_PAIRS = 1_000_000;
const AROUND = 3;

interface Line {
  sign: ' ' | '-' | '+';
  text: string;
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

/** '' when the lines are the same. */
export function diffLines(before: string, after: string): string {
  const [old, now] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  const left = Math.min(old.length, now.length) - start;
  while (end < left && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const middle = compare(old.slice(start, old.length - end), now.slice(start, now.length - end));
  if (middle.length === 0) return '';
  const same = (text: string): Line => ({ sign: ' ', text });
  return hunks([...old.slice(0, start).map(same), ...middle, ...old.slice(old.length - end).map(same)]);
}

/** By the longest common subsequence. */
function compare(old: string[], now: string[]): Line[] {
  const width = now.length + 1;
  const isTooMuch = old.length * now.length > MOST_PAIRS;
  const common = new Uint32Array(isTooMuch ? 0 : (old.length + 1) * width);
  const at = (o: number, n: number): number => common[o * width + n] ?? 0;
  for (let o = isTooMuch ? -1 : old.length - 1; o >= 0; o -= 1)
    for (let n = now.length - 1; n >= 0; n -= 1)
      common[o * width + n] = old[o] === now[n] ? at(o + 1, n + 1) + 1 : Math.max(at(o + 1, n), at(o, n + 1));
  const lines: Line[] = [];
  for (let o = 0, n = 0; o < old.length || n < now.length; ) {
    const [was, is] = [old[o], now[n]];
    if (!isTooMuch && was !== undefined && was === is) {
      lines.push({ sign: ' ', text: was });
      o += 1;
      n += 1;
    } else if (was !== undefined && (is === undefined || at(o + 1, n) >= at(o, n + 1))) {
      lines.push({ sign: '-', text: was });
      o += 1;
    } else {
      lines.push({ sign: '+', text: is ?? '' });
      n += 1;
    }
  }
  return lines;
}

/** What changed with the lines around it, each piece under where it stands. */
function hunks(lines: Line[]): string {
  const isShown = new Uint8Array(lines.length);
  for (const [at, { sign }] of lines.entries())
    if (sign !== ' ') isShown.fill(1, Math.max(0, at - AROUND), at + AROUND + 1);
  const out: string[] = [];
  let [old, now] = [1, 1];
  for (const [at, { sign, text }] of lines.entries()) {
    if (isShown[at] && !isShown[at - 1]) out.push(`@@ -${old} +${now} @@`);
    if (isShown[at]) out.push(`${sign}${text}`);
    if (sign !== '+') old += 1;
    if (sign !== '-') now += 1;
  }
  return out.join('\n');
}
