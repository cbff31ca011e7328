// How fast we write on WhatsApp: like a person.
import { type ChannelDeps, ChannelError } from './channel.js';

/** Our own judgement: nothing is published, and accounts that send faster than people are banned. */
const GAP_MS = 1_000;
const GAP_JITTER_MS = 1_000;
const PER_MINUTE = 20;
const PASS_AGAIN_MS = 15_000;

export function createPace({ clock }: Pick<ChannelDeps, 'clock'>, over: AbortSignal) {
  const sentAt: number[] = [];
  const forget = () => sentAt.splice(0, sentAt.length - PER_MINUTE);
  return {
    /** Resolves when the next message may go. Throws `ChannelError` once the channel stops. */
    async next(): Promise<void> {
      const now = clock.now();
      const gap = GAP_MS + clock.random() * GAP_JITTER_MS;
      const next = Math.max((sentAt.at(-1) ?? 0) + gap, (sentAt.at(-PER_MINUTE) ?? 0) + 60_000);
      if (next > now) await clock.sleep(next - now, over);
      if (over.aborted) throw new ChannelError('network', 'the channel is stopped');
      sentAt.push(clock.now());
      forget();
    },
    /** For what nobody misses: half of a minute's messages stay for what has to be said. Throws `ChannelError`. */
    pass(): void {
      const now = clock.now();
      if (over.aborted) throw new ChannelError('network', 'the channel is stopped');
      if (sentAt.filter((at) => at > now - 60_000).length >= PER_MINUTE / 2)
        throw new ChannelError('retry', 'what has to be said goes first', { retryAfterMs: PASS_AGAIN_MS });
      // Not as the last one: no message waits after it.
      sentAt.splice(Math.max(0, sentAt.length - 1), 0, now);
      forget();
    },
  };
}
