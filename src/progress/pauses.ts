// How often a chat may be changed: what platforms allow, and what they ask for when it was too much. Per chat, whatever runs work there.
import type { Edits } from '../channels/channel.js';
import type { Clock } from '../core/clock.js';
import type { Chat } from '../core/types.js';

export type Pauses = ReturnType<typeof createPauses>;

export function createPauses(clock: Pick<Clock, 'now'>) {
  const until = new Map<number, number>();
  const freeAt = ({ id }: Pick<Chat, 'id'>): number => until.get(id) ?? 0;
  function wait({ id }: Pick<Chat, 'id'>, ms: number): void {
    const now = clock.now();
    for (const [chat, at] of until) if (at <= now) until.delete(chat);
    until.set(id, Math.max(until.get(id) ?? 0, now + ms));
  }
  return {
    freeAt,
    wait,
    /** Whether the chat may be changed now; then not again for a while. */
    take(chat: Pick<Chat, 'id' | 'kind'>, { gapMs }: Edits): boolean {
      if (freeAt(chat) > clock.now()) return false;
      wait(chat, chat.kind === 'group' ? gapMs * 2 : gapMs);
      return true;
    },
  };
}
