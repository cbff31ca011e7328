// How much a model takes: what is known of it, what its server says, and what refusals said. Knows nothing about prompts.
import type { RunSpec } from '../../../src/wire.js';
import { cutMiddle } from './text.js';

export type Model = Pick<RunSpec, 'model' | 'window'>;

/** What back ends said when a conversation, or the room that was asked for a reply, was too much for them: the most tokens, by model. */
const windows = new Map<string, number>();
const replies = new Map<string, number>();
/** Parts of a window that a conversation may fill, and a reply. */
const FILLED = 0.7;
const REPLY = 0.25;

export const learnWindow = (model: string, tokens: number): void => void windows.set(model, tokens);
export const learnReply = (model: string, tokens: number): void => void replies.set(model, tokens);

/** Tokens of the window, where it is known: its server said so, or refused what was longer. */
export function windowOf({ model, window }: Model): number | undefined {
  const known = [window?.tokens, windows.get(model)].filter((tokens) => tokens !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}

/** Limits of a model in tokens; from a context of `compactAt` on, a conversation is summarized. */
export function modelLimits(run: Model): { compactAt: number; maxOutput: number } {
  const { model } = run;
  const window = windowOf(run) ?? Number.POSITIVE_INFINITY;
  const room = Math.min(Math.floor(window * REPLY), replies.get(model) ?? Number.POSITIVE_INFINITY);
  const within = (compactAt: number, maxOutput: number) => ({
    compactAt: Math.min(compactAt, Math.floor(window * FILLED)),
    maxOutput: Math.min(maxOutput, room),
  });
  if (!model.startsWith('claude-')) return within(96_000, 32_000);
  // Above 100k tokens of prompt this one costs five times as much.
  return within(model.startsWith('claude-haiku-5-5') ? 90_000 : 150_000, 64_000);
}

/** A text that is to be read beside many others: an eighth of a small window, at three characters a token. */
export function fitting(run: Model, text: string): string {
  const window = windowOf(run);
  if (window === undefined) return text;
  return cutMiddle(text, Math.floor((window * 3) / 8), 'your window is small: look at less at a time');
}
