// Notices to the owner: the chat they go to, and their texts, which say what happened and what to do next. What a container said is in them
// only as a short quotation, marked as one, and each group is mentioned a few times an hour: no container speaks as Pinch or floods the owner.

import type { LoopDeps } from '../core/deps.js';
import { quoted } from '../core/one-line.js';
import type { Group, Run } from '../core/types.js';
import type { ErrorClass } from '../wire.js';
import type { Store } from './store.js';

export interface NoticeDeps extends Pick<LoopDeps, 'signals' | 'clock'> {
  store: Store;
  /** Channels that themselves wait for the owner. */
  isBlocked(channel: string): boolean;
}

/** Notices about one group. More than these are found in its runs. */
const MAX_AN_HOUR = 6;

/** What each class of error means for a person. */
const CAUSES: Record<ErrorClass, string> = {
  network: 'the model could not be reached',
  overloaded: 'the model back end is overloaded or broken',
  rate_limit: 'the model back end limits our rate',
  auth: 'the model back end refused the key',
  budget: 'the budget is used up',
  invalid_request: 'the model back end refused the request',
  timeout: 'it took too long',
  crash: 'the work in its container broke down',
  check: 'its check script failed',
  sandbox: 'no container could be started',
  unknown: 'the reason is unknown',
};

/** Tells the owner in the direct chat of the main group used last whose channel works, else in the web chat. */
export function createOwnerNotices({ store, signals, clock, isBlocked }: NoticeDeps) {
  const lately = new Map<number, number[]>();
  const isTooMuch = (groupId: number, now: number): boolean => {
    const times = (lately.get(groupId) ?? []).filter((at) => at > now - 3_600_000);
    lately.set(groupId, [...times, now].slice(-MAX_AN_HOUR));
    return times.length >= MAX_AN_HOUR;
  };
  return (key: string, text: string, aboutGroup?: number): number | undefined => {
    const now = clock.now();
    const main = store.groups.ensure('main', true, now);
    const web = { channel: 'web', address: 'owner', kind: 'direct' as const, title: 'Web chat', now };
    const chats = store.groups.chatsOf(main.id);
    const chat =
      chats.find(({ kind, channel }) => kind === 'direct' && !isBlocked(channel)) ?? store.groups.seenChat(web);
    if (chat.groupId === null) store.groups.assignChat(chat.id, main.id);
    if (aboutGroup !== undefined && isTooMuch(aboutGroup, now)) return undefined;
    store.outbox.add({ key: `notice:${key}`, chatId: chat.id, runId: null, text, now });
    store.afterCommit(() => signals.emit('outbox'));
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
  dead: (run: Run, group: Group, errorClass: ErrorClass, error: string): string =>
    `I gave up on run ${run.id} in group \`${group.folder}\` after ${run.attempt} attempts: ${CAUSES[errorClass]}. ${quoted(error)}\n\n` +
    `Its messages are kept. Try it again with \`npm run -s pinch -- retry ${run.id}\`.`,
  parked: (group: Group, errorClass: ErrorClass, error: string): string =>
    errorClass === 'auth'
      ? `The model back end refused the key. ${quoted(error)}\n\nRuns of group \`${group.folder}\` wait; nothing is lost. Correct ANTHROPIC_API_KEY ` +
        '(or ANTHROPIC_AUTH_TOKEN, ANTHROPIC_BASE_URL) in `.env`; I notice within two minutes.'
      : `The budget is used up. ${quoted(error)}\n\nRuns of group \`${group.folder}\` wait; nothing is lost. They go on tomorrow, or when you ` +
        'raise PINCH_BUDGET_USD_DAY or PINCH_BUDGET_USD_GROUP_DAY in `.env` and restart.',
  unparked: (group: Group): string => `The model answers again; group \`${group.folder}\` goes on.`,
};
