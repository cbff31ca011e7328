// A command of `npm run -s pinch -- …` that asks the running daemon over its JSON API. Each module has a list; cli.ts puts them together.
import type { z } from 'zod';
import type { Config } from './config.js';

export interface TerminalCommand {
  /** As it is written: its name, then its argument. */
  usage: string;
  what: string;
  /** Method and path; the argument replaces `:id` (a number) or `:state`. */
  call: string;
  /** What is sent, from the arguments. */
  body?(argument: string, more?: string): object;
  /** What a person reads of the answer; JSON when there is none. */
  show?(answer: unknown, config: Config): string;
}

/** `show` of a command whose answer has this shape. */
export function reading<T>(schema: z.ZodType<T>, show: (answer: T, config: Config) => string) {
  return (answer: unknown, config: Config): string => show(schema.parse(answer), config);
}

export const originOf = ({ port }: Pick<Config, 'port'>): string => `http://127.0.0.1:${port}`;
