// What a restored home must not do: between the backup and now, the Pinch that made it went on, and what waited then has most likely been done
// and sent. So all of that is set aside, visibly, and the owner is told. One transaction, before the home can be used.
import type { Clock } from '../core/clock.js';
import { createOwnerChat, createOwnerNotices } from '../delivery/notices.js';
import { decideDue } from '../tasks/due.js';
import { isTimed, type Task } from '../tasks/rows.js';
import type { Store } from './store.js';

const WHY = 'restored from a backup: it may have been done before';
/** So many reminders that have passed are named. */
const NAMED = 5;

export interface SetAside {
  runs: number;
  messages: number;
  slots: number;
  approvals: number;
  /** Titles of reminders whose one time has passed. */
  reminders: string[];
}

/** `at`: when the backup was made. */
export function setAsideWhatWaited(store: Store, clock: Clock, at: number): SetAside {
  return store.transaction(() => {
    const now = clock.now();
    const runs = store.restored.endRuns(WHY, now);
    store.restored.forgetProgress();
    for (const { id } of runs) store.events.add(id, now, 'note', { text: WHY });
    const found: SetAside = {
      runs: runs.length,
      messages: store.restored.endMessages(WHY),
      slots: store.restored.endSlots(WHY, now),
      approvals: store.restored.endApprovals(WHY, now),
      reminders: [],
    };
    for (const task of store.tasks.due(now, Number.MAX_SAFE_INTEGER)) passSlots(store, task, now, found);
    const ownerChat = createOwnerChat({ store, clock, isBlocked: () => false });
    createOwnerNotices({ store, clock, ownerChat })(`restored:${at}:${now}`, noticeOf(found, at));
    return found;
  });
}

/** The times of a task that passed since count as missed. */
function passSlots(store: Store, task: Task, now: number, found: SetAside): void {
  const { id: taskId, starts, nextAt } = task;
  if (nextAt === null || !isTimed(starts)) return;
  const due = decideDue({ schedule: starts, misfire: 'skip', nextAt }, now);
  const count = (due.missed?.count ?? 0) + due.fire.length;
  const slotAt = due.fire.at(-1)?.at ?? due.missed?.at ?? nextAt;
  store.tasks.addSlot({ taskId, slotAt, state: 'missed', count, detail: WHY, now });
  found.slots += count;
  if (starts.kind === 'once') found.reminders.push(task.title);
  if (due.nextAt === undefined) store.tasks.setState(taskId, 'done', null);
  else store.tasks.setNext(taskId, due.nextAt);
}

const many = (count: number, one: string, more: string) =>
  count === 0 ? [] : [`${count} ${count === 1 ? one : more}`];

function noticeOf({ runs, messages, slots, approvals, reminders }: SetAside, at: number): string {
  const aside = [
    ...many(runs, 'run', 'runs'),
    ...many(messages, 'message that was not sent', 'messages that were not sent'),
    ...many(slots, 'planned time of a task', 'planned times of tasks'),
    ...many(approvals, 'approval', 'approvals'),
  ];
  const day = new Date(at).toISOString().slice(0, 16).replace('T', ' ');
  const named = reminders.slice(0, NAMED).join('; ') + (reminders.length > NAMED ? '; …' : '');
  return [
    `I was restored from the backup of ${day} UTC. What happened after it is not known to me.`,
    aside.length > 0 && `Set aside, because it may have been done since: ${aside.join(', ')}.`,
    named && `Reminders among them: ${named}.`,
  ]
    .filter(Boolean)
    .join(' ');
}
