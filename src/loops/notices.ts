// Telling the owner: where to, and in which words. What happened, and what to do next.
import type { Group, Run } from '../types.js';
import type { ErrorClass } from '../wire.js';
import type { LoopDeps } from './deps.js';

export interface NoticeDeps extends Pick<LoopDeps, 'store' | 'wake' | 'clock'> {
  /** Channels that themselves wait for the owner. */
  unreachable: Set<string>;
}

/** Tells the owner in the direct chat of the main group used last whose channel works, else in the web chat. */
export function createOwnerNotices({ store, wake, clock, unreachable }: NoticeDeps) {
  return (key: string, text: string): number => {
    const now = clock.now();
    const main = store.groups.ensure('main', true, now);
    const web = { channel: 'web', address: 'owner', kind: 'direct' as const, title: 'Web chat', now };
    const chats = store.groups.chatsOf(main.id);
    const chat =
      chats.find(({ kind, channel }) => kind === 'direct' && !unreachable.has(channel)) ?? store.groups.seenChat(web);
    if (chat.groupId === null) store.groups.assignChat(chat.id, main.id);
    store.outbox.add({ key: `notice:${key}`, chatId: chat.id, runId: null, text, now });
    queueMicrotask(() => wake.emit('outbox'));
    return chat.id;
  };
}

export const runNotices = {
  /** For the chat the run was for, when that is not where the owner is told. */
  gaveUp:
    'I could not finish this and gave up on it; my owner knows why. Nothing you wrote is lost: ask again, or wait for my owner to retry it.',
  cutOff: (run: Run): string =>
    `Pinch ended ${run.cutOffs} times in a row while it worked on run ${run.id}, so I gave up on that run.\n\n` +
    `Its messages are kept. Try it again with \`npm run -s pinch -- retry ${run.id}\`.`,
  dead: (run: Run, group: Group, error: string): string =>
    `I gave up on run ${run.id} in group \`${group.folder}\` after ${run.attempt} attempts: ${error}\n\n` +
    `Its messages are kept. Try it again with \`npm run -s pinch -- retry ${run.id}\`.`,
  parked: (group: Group, errorClass: ErrorClass, error: string): string =>
    errorClass === 'auth'
      ? `The model refused the key: ${error}\n\nRuns of group \`${group.folder}\` wait; nothing is lost. Correct ANTHROPIC_API_KEY ` +
        '(or ANTHROPIC_AUTH_TOKEN, ANTHROPIC_BASE_URL) in `.env`; I notice within two minutes.'
      : `The budget is used up: ${error}\n\nRuns of group \`${group.folder}\` wait; nothing is lost. They go on tomorrow, or when you ` +
        'raise PINCH_BUDGET_USD_DAY or PINCH_BUDGET_USD_GROUP_DAY in `.env` and restart.',
  unparked: (group: Group): string => `The model answers again; group \`${group.folder}\` goes on.`,
};
