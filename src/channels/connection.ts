// The frame around a channel's connection: made, reported, made again after growing pauses until it is stopped. Knows no platform.
import { atMost, backoffMs } from '../core/clock.js';
import { describeError } from '../core/errors.js';
import { type ChannelDeps, ChannelError, type ChannelState } from './channel.js';

/** The first pause and the longest. */
const DELAY_MS = [1_000, 60_000] as const;

/** How long a send may go on after `stop`: broken off, the same message could be sent again after the restart. */
const SEND_GRACE_MS = 3_000;

/** Any error of the platform's library as the contract has it; never throws. `failures` in a row, from 1, when it ended a connection. */
type ToChannelError = (error: unknown, failures?: number) => ChannelError;

/**
 * One connection from its start to its end. Calls `opened` with the account's name whenever everything said so far was taken in; throws
 * what ended the connection, and ends soon after `receiving` was aborted.
 */
type Connect = (opened: (account: string) => void) => Promise<void>;

/**
 * Reports `connecting`, `open`, then after each error `reconnecting`, or `blocked` when the error needs a person, and `stopped` at the end.
 * After `stop` no state but `stopped` is reported and every send is refused.
 */
export function createConnection({ clock, log, onState }: ChannelDeps, toChannelError: ToChannelError) {
  const receiving = new AbortController();
  const sending = new AbortController();
  const sends = new Set<Promise<unknown>>();
  let running: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;

  async function run(connect: Connect): Promise<void> {
    let failures = 0;
    onState({ state: 'connecting', detail: '' });
    while (!receiving.signal.aborted) {
      let isOver = false;
      const opened = (detail: string): void => {
        if (isOver || receiving.signal.aborted) return;
        failures = 0;
        onState({ state: 'open', detail });
      };
      try {
        await connect(opened);
      } catch (error) {
        isOver = true;
        if (receiving.signal.aborted) return;
        failures += 1;
        const { state, delayMs } = afterFailure(toChannelError(error, failures), failures, clock.random());
        log.warn({ failures, delayMs, error: state.detail }, 'connection ended');
        onState(state);
        await clock.sleep(delayMs, receiving.signal);
      }
    }
  }

  async function stop(): Promise<void> {
    receiving.abort();
    await atMost(clock, SEND_GRACE_MS, Promise.allSettled(sends));
    sending.abort();
    await running;
    onState({ state: 'stopped', detail: '' });
  }

  return {
    /** Aborted when receiving ends. */
    receiving: receiving.signal,
    /** Aborted when sending ends, later than receiving: after the last send, or when its time is over. */
    sending: sending.signal,
    /** Connects again and again until `stop`. A second call is harmless. */
    start(connect: Connect): void {
      if (!receiving.signal.aborted) running ??= run(connect);
    },
    /** Resolves when no event can arrive any more. A second call is harmless. */
    stop(): Promise<void> {
      stopping ??= stop();
      return stopping;
    },
    /** Runs a call that resolves with the message's id on the platform. Throws `ChannelError`. */
    async send(call: () => Promise<string>): Promise<{ platformId: string }> {
      if (receiving.signal.aborted) throw new ChannelError('network', 'the channel is stopped');
      const sent = call();
      sends.add(sent);
      try {
        return { platformId: await sent };
      } catch (error) {
        throw toChannelError(error);
      } finally {
        sends.delete(sent);
      }
    },
  };
}

export type Connection = ReturnType<typeof createConnection>;

/** State to show after an error, and the pause before connecting again, ms. */
function afterFailure(error: ChannelError, failures: number, jitter: number): { state: ChannelState; delayMs: number } {
  const { message: detail, lookAgainMs, retryAfterMs = 0 } = error;
  if (lookAgainMs !== undefined) return { state: { state: 'blocked', detail }, delayMs: lookAgainMs };
  const delayMs = Math.max(backoffMs(failures, jitter, DELAY_MS), retryAfterMs);
  return { state: { state: 'reconnecting', detail }, delayMs };
}

/** Stores what was received. Throws `ChannelError` when the store refuses it: the connection ends, and what is behind it cannot overtake it. */
export function storeReceived(store: () => unknown): void {
  try {
    store();
  } catch (cause) {
    throw notStored(cause);
  }
}

/** The same of what was taken in `unhurried`, before the platform is acknowledged. */
export const storedOnDisk = ({ onDisk }: Pick<ChannelDeps, 'onDisk'>): Promise<void> =>
  onDisk().catch((cause) => Promise.reject(notStored(cause)));

const notStored = (cause: unknown) =>
  new ChannelError('retry', `a received message could not be stored: ${describeError(cause)}`, { cause });
