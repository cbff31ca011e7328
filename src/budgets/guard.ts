// The loop guard: a task or a chat whose runs spend again and again and show nobody anything is paused, with one question to the owner.
// What costs nothing (a check script that printed nothing) does not count, and what a quiet watch costs in a day is not enough.
import type { LoopDeps } from '../core/deps.js';
import { shownLine } from '../core/one-line.js';
import { timeText } from '../core/times.js';
import type { Run } from '../core/types.js';
import type { NoticeActions } from '../delivery/notice-press.js';
import { type CapDeps, dollars, limitOf } from './caps.js';
import type { Streak } from './rows.js';

/** So many runs in a row within a day, and this part of what their group may spend in a day, without a word. */
const MIN_RUNS = 5;
const PART_OF_DAY = 1 / 5;
const WINDOW_MS = 24 * 3_600_000;
const MAX_TITLE_CHARS = 80;

export interface LoopGuardDeps extends CapDeps, Pick<LoopDeps, 'notifyOwner'> {
  /** In the caller's transaction. */
  pauseTask(id: number): void;
  taskTitle(id: number): string | undefined;
}

export type LoopGuard = ReturnType<typeof createLoopGuard>;

/** Has runs of the chat go on, and says so. */
export const goOn = (guard: Pick<LoopGuard, 'release'>, chatId: number): string =>
  guard.release(chatId) ? 'I go on there.' : 'Nothing is paused there. `/status` names the chats that are.';

/** What the button below the question about a chat does. */
export const loopActions = (guard: Pick<LoopGuard, 'release'>): NoticeActions => ({
  loop: ({ words: [, chatId] }) => ({ text: goOn(guard, Number(chatId)), again: false }),
});

export function createLoopGuard(deps: LoopGuardDeps) {
  const { store, clock } = deps;
  return {
    /** Counts a run that is over for good, in the transaction that ends it. */
    note(run: Run): void {
      const subject = run.taskId === null ? `chat:${run.chatId}` : `task:${run.taskId}`;
      const own = `${run.id}:`;
      if (store.outbox.ofRun(run.id).some(({ key }) => key.startsWith(own)))
        return void store.budgets.endStreak(subject);
      const costMicroUsd = store.usage.spentByRun(run.id);
      if (costMicroUsd === 0) return;
      const now = clock.now();
      const streak = store.budgets.addToStreak({ subject, costMicroUsd, now, notBefore: now - WINDOW_MS });
      const enough = limitOf(deps, 'group', run.groupId) * PART_OF_DAY;
      if (!streak || streak.runs < MIN_RUNS || streak.costMicroUsd < enough) return;
      store.budgets.endStreak(subject);
      pause(deps, run, streak);
    },
    /** Runs of the chat go on; false when it was not held. Joins a transaction of the caller. */
    release(chatId: number): boolean {
      const wasHeld = store.budgets.release(chatId);
      if (wasHeld) store.signal('run:ready');
      return wasHeld;
    },
  };
}

function pause(deps: LoopGuardDeps, { id, chatId, taskId }: Run, streak: Streak): void {
  const { store, clock, config, notifyOwner } = deps;
  const worked = `worked ${streak.runs} times in a row since ${timeText(streak.since, config.timeZone)} for ${dollars(streak.costMicroUsd)} and told nobody anything`;
  const seen = `\`/runs ${id}\` shows what the last run did.`;
  const show = { label: 'Show', value: `run:show:${id}` };
  if (taskId !== null) {
    deps.pauseTask(taskId);
    const name = `Task ${taskId} (${shownLine(deps.taskTitle(taskId) ?? '', MAX_TITLE_CHARS)})`;
    const how = `\`/task ${taskId} resume\` lets it go on, \`/task ${taskId} cancel\` ends it`;
    const text = `${name} ${worked}, so I paused it. Shall it go on? ${how}; ${seen}`;
    const buttons = [{ label: 'Turn on again', value: `task:resume:${taskId}` }, show];
    return void notifyOwner(`loop:${id}`, text, undefined, buttons);
  }
  store.budgets.hold(chatId, clock.now());
  const title = shownLine(store.groups.chat(chatId)?.title ?? '', MAX_TITLE_CHARS);
  const text = `In the chat "${title}" I ${worked}, so I paused there: what is written waits. Shall I go on? \`/continue ${chatId}\` lets me; ${seen}`;
  const buttons = [{ label: 'Go on', value: `loop:go:${chatId}` }, show];
  if (notifyOwner(`loop:${id}`, text, undefined, buttons) === chatId) return;
  const forChat =
    'I paused here: my work led to nothing several times in a row. My owner was asked; what you write waits until then.';
  store.outbox.add({ key: `loop:${id}`, chatId, runId: null, text: forChat, now: clock.now() });
}
