// When a model counts as overloaded, when the second takes its place, and when the first is tried again. Pure; times are epoch ms.
import { z } from 'zod';
import { NO_MONEY } from '../wire.js';

/** A call was refused because there is too much to do; `waitMs`: how long the back end asks to wait. */
export interface Overload {
  waitMs: number;
}

/** What of a refusal says so; undefined for any other: a wrong key, a missing account, a broken server are the same for every model. */
export function overloadOf(status: number, waitS: number | undefined, body: string): Overload | undefined {
  const isOver = status === 429 || status === 503 || status === 529 || /"overloaded_error"/.test(body);
  // Some say with a 429 that the money is used up.
  if (!isOver || NO_MONEY.test(body)) return undefined;
  return { waitMs: (waitS ?? 0) * 1_000 };
}

/** So long the first model has to have refused everything; a wait that it asks for itself and that is as long is enough. */
export const FALL_BACK_AFTER_MS = 3 * 60_000;
/** Between two tries of the first model while the second works. */
export const TRIED_EVERY_MS = 10 * 60_000;
const LONGEST_WAIT_MS = 6 * 3_600_000;
/** An overload that nothing was heard of for so long is over. */
const STALE_MS = 2 * FALL_BACK_AFTER_MS;

/** The first model refuses. */
export const overloaded = z.object({
  since: z.number(),
  /** The latest refusal. */
  lastAt: z.number(),
  /** Since when the second works, and when the first is tried again. `isSecondOver`: it cannot be used either. */
  fallen: z.object({ at: z.number(), tryAt: z.number(), isSecondOver: z.boolean() }).optional(),
});
export type Overloaded = z.infer<typeof overloaded>;

/** A clock that was set back begins anew. */
const isFresh = ({ lastAt }: Overloaded, now: number) => lastAt <= now && now - lastAt < STALE_MS;
const isLong = (state: Overloaded, now: number) => isFresh(state, now) && now - state.since >= FALL_BACK_AFTER_MS;

function fall(state: Overloaded, now: number, waitMs = 0): Overloaded {
  const tryAt = now + Math.max(TRIED_EVERY_MS, Math.min(waitMs, LONGEST_WAIT_MS));
  return { ...state, fallen: { at: state.fallen?.at ?? now, tryAt, isSecondOver: false } };
}

/** After a call of the first model that began at `startedAt`. */
export function afterFirst(
  state: Overloaded | undefined,
  { startedAt, overload, now }: { startedAt: number; overload: Overload | undefined; now: number },
): Overloaded | undefined {
  // What had begun before the change says nothing of now.
  if (!overload) return state?.fallen && startedAt < state.fallen.at ? state : undefined;
  const goesOn = state && (state.fallen || isFresh(state, now)) ? state : { since: now };
  const known: Overloaded = { ...goesOn, lastAt: now };
  const isOver = known.fallen || isLong(known, now) || overload.waitMs >= FALL_BACK_AFTER_MS;
  return isOver ? fall(known, now, overload.waitMs) : known;
}

/** After a call of the second model. When it cannot be used either, the next attempt tries the first again. */
export function afterSecond(state: Overloaded | undefined, isSecondOver: boolean, now: number): Overloaded | undefined {
  if (!state?.fallen || state.fallen.isSecondOver === isSecondOver) return state;
  return { ...state, fallen: { ...state.fallen, isSecondOver, tryAt: isSecondOver ? now : state.fallen.tryAt } };
}

/** What an attempt that begins now works with, and what is known then. Of those that begin in ten minutes one tries the first again. */
export function decideModel(state: Overloaded | undefined, now: number) {
  const known = state && !state.fallen && isLong(state, now) ? fall(state, now) : state;
  if (!known?.fallen) return { use: 'first' as const, state: known };
  const { tryAt } = known.fallen;
  // The far future is no time of ours: the clock was set back.
  const isDue = now >= tryAt || tryAt > now + LONGEST_WAIT_MS;
  return isDue ? { use: 'try' as const, state: fall(known, now) } : { use: 'second' as const, state: known };
}

/** Within how many ms another model may answer; undefined when none can be expected to. */
export function changesWithin({ since, fallen }: Overloaded, now: number): number | undefined {
  if (fallen?.isSecondOver) return undefined;
  return Math.max(1_000, fallen ? 0 : since + FALL_BACK_AFTER_MS - now);
}
