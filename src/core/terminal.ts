// A command of `pinch` that asks the running daemon over its JSON API. Each module has a list; cli.ts puts them together. How such a command
// shows tables and lengths.
import stringWidth from 'string-width';
import type { z } from 'zod';
import type { Config } from './config.js';

export interface TerminalCommand {
  /** As it is written: its name, then `<argument>`s that it needs and `[argument]`s that may be left out. */
  usage: string;
  what: string;
  /** In the short help of `pinch` alone. */
  isEveryday?: true;
  /** What the first argument may be, where that is a list of words. */
  words?: readonly string[];
  /** Method and path; the argument replaces `:id` (a number) or `:state`. */
  call: string;
  /** What is sent, from the arguments. */
  body?(argument: string, more?: string): object;
  /** Of a list: how many of it a person is shown; with `--all` it is as many as the API gives. */
  shown?: number;
  /** What a person reads of the answer; JSON when there is none. */
  show?(answer: unknown, config: Config, isAll: boolean): string;
}

/** The most that a list of the API gives at once. */
export const MOST_ROWS = 1_000;

/** `show` of a command whose answer has this shape. */
export function reading<T>(schema: z.ZodType<T>, show: (answer: T, config: Config, isAll: boolean) => string) {
  return (answer: unknown, config: Config, isAll = false): string => show(schema.parse(answer), config, isAll);
}

/** The first `shown` rows, and below them how the others are seen. `count`: of how many they are, when that is known. */
export function firstOf<T>(
  rows: T[],
  { shown, isAll, command, count }: { shown: number; isAll: boolean; command: string; count?: number | undefined },
  text: (rows: T[]) => string,
): string {
  if (isAll || Math.max(rows.length, count ?? 0) <= shown) return text(rows);
  const more = count === undefined ? 'There are more' : `${count - shown} more`;
  return `${text(rows.slice(0, shown))}\n\n${more}: \`pinch ${command} --all\``;
}

export const originOf = ({ port }: Pick<Config, 'port'>): string => `http://127.0.0.1:${port}`;

/** Cells below each other; a first row of capitals is a heading. Nothing for no rows. */
export function columns(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => stringWidth(row[at] ?? ''))));
  const padded = (cell: string, at: number) => cell + ' '.repeat((widths[at] ?? 0) - stringWidth(cell));
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n');
}

/** `340 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`. */
export function shortLength(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h${minutes % 60 === 0 ? '' : ` ${minutes % 60} min`}`;
}
