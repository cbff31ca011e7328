// What came of the attacks, for people: one line a case.
import type { Seen } from './attack.js';
import type { Measured } from './measure.js';

const [NAME_CHARS, ANSWER_CHARS] = [62, 110];

/** Without line ends and what steers a terminal. */
const shown = (text: string, most: number): string => {
  const line = text.replace(/\s+/g, ' ').replace(/[\p{C}]/gu, '·');
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
};

const cost = ({ pauseMs, busyMs, growthMb }: Pick<Measured, 'pauseMs' | 'busyMs' | 'growthMb'>): string =>
  `pause ${pauseMs.toFixed(0)} ms, busy ${busyMs.toFixed(0)} ms, memory ${growthMb < 0 ? '' : '+'}${growthMb.toFixed(0)} MB`;

const caseLine = (name: string, answer: string): string =>
  `  ${shown(name, NAME_CHARS).padEnd(NAME_CHARS)} ${shown(answer, ANSWER_CHARS)}`;

export function familyTable(family: string, rows: { name: string; answer: string }[], measured: Measured): string {
  const lines = rows.map(({ name, answer }) => caseLine(name, answer));
  return [`${family}: ${rows.length} cases; ${cost(measured)}`, ...lines].join('\n');
}

export const sceneLine = (name: string, { answer, ...measured }: Seen): string =>
  `${caseLine(name, JSON.stringify(answer))}\n  ${''.padEnd(NAME_CHARS)} ${cost(measured)}`;
