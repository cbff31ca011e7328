// Telling the owner: where to, and in which words. What happened, and what to do next.
import type { Clock } from '../clock.js';
import type { Store } from '../store/index.js';
import type { Group, Run } from '../types.js';
import type { Wake } from '../wake.js';
import type { ErrorClass } from '../wire.js';

/**
 * Queues a message to the owner: to the direct chat of the main group used last, else to the web chat. Once per `key`.
 * Joins a transaction of the caller.
 */
export function createOwnerNotices({ store, wake, clock }: { store: Store; wake: Wake; clock: Clock }) {
  return (key: string, text: string): void => {
    const now = clock.now();
    const main = store.groups.ensure('main', true, now);
    const direct = store.groups.chatsOf(main.id).find((chat) => chat.kind === 'direct');
    const chat = direct ?? webChat(store, main, now);
    store.outbox.add({ key: `notice:${key}`, chatId: chat.id, runId: null, text, now });
    queueMicrotask(() => wake.emit('outbox'));
  };
}

function webChat(store: Store, main: Group, now: number) {
  const chat = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web chat', now });
  store.groups.assignChat(chat.id, main.id);
  return chat;
}

export const runNotices = {
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
