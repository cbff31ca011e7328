// What a yes allows and is no row: begun once the yes is committed, and ended with a row. A crash in between is either gone on from at the next
// start, or, where a second time would do harm, told: nobody knows then whether it was done.

import { type Begun, unwatched } from '../core/begun.js';
import { atMost, type Clock } from '../core/clock.js';
import { describeError, PinchError } from '../core/errors.js';
import type { Approval } from './rows.js';

export interface LaterWork {
  work(approval: Approval): Promise<string>;
  /** A second time would do harm. */
  once: boolean;
}
type End = (approval: Approval, state: 'done' | 'failed', result: string) => void;

/** What must not be begun a second time has so long to end when Pinch does. */
const STOP_MS = 5_000;
const unknownEnd = () =>
  new PinchError('unknown', 'Pinch ended while it was being done, so whether it was done is not known', {
    hint: 'look there before you ask again',
  });
export const unknownKind = ({ kind }: Approval) =>
  new PinchError('not_found', `this Pinch knows no approvals of kind ${kind}`);

/** `end` records how it ended; not called any more once Pinch is stopped. */
export function createLater(clock: Clock, end: End, begun: Begun = unwatched) {
  const kinds = new Map<string, LaterWork>();
  const working = new Set<Promise<void>>();
  let isStopped = false;
  let isOver = false;

  async function finish(approval: Approval, isSecond: boolean): Promise<void> {
    const unknown = { work: () => Promise.reject(unknownKind(approval)), once: false };
    const { work, once } = kinds.get(approval.kind) ?? unknown;
    const name = `approval ${approval.id}`;
    const isOut = (once && isSecond) || begun.isSetAside(name);
    const doing = () => begun.attempt(name, () => work(approval));
    const [state, result] = await (isOut ? Promise.reject(unknownEnd()) : doing()).then(
      (text) => ['done', text] as const,
      (error: unknown) => ['failed', describeError(error)] as const,
    );
    if (!(once ? isOver : isStopped)) end(approval, state, result);
  }
  return {
    kinds,
    begin(approval: Approval): void {
      const done = finish(approval, false).finally(() => working.delete(done));
      if (kinds.get(approval.kind)?.once) working.add(done);
    },
    /** At the start, for each that had not ended. */
    goOn: (approval: Approval): void => void finish(approval, true),
    async stop(): Promise<void> {
      isStopped = true;
      await atMost(clock, STOP_MS, Promise.all(working));
      isOver = true;
    },
  };
}
