// Approvals of kind `task`: instructions for later, out of a conversation that read what nobody trusted, or asked for by somebody else than the
// owner to act in another group. They would begin where nothing is tainted any more, so the owner reads them first.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Approvals, agentText } from '../approvals/approvals.js';
import { oneLine, shownLine } from '../core/one-line.js';
import type { Chat, Run } from '../core/types.js';
import type { Link } from '../gateway/server.js';
import { unknownThing } from '../runs/calls.js';
import { taintOf } from '../taint/taint.js';
import { taskInput } from '../wire.js';
import type { Store } from './store.js';
import type { Tasks } from './tasks.js';
import { taskConfirmation } from './text.js';

/** A new task, or with `id` a change of that one. */
const input = z.object({ chatId: z.number(), id: z.number().optional(), fields: taskInput.partial() });
type Wish = z.infer<typeof input>;

const REHEARSED = new Error('rehearsed');

/** Returns how a run asks for it: what the agent is told; undefined when it needs no yes. */
export function createTaskAsker({ store, tasks, approvals }: { store: Store; tasks: Tasks; approvals: Approvals }) {
  function carryOut({ chatId, id, fields }: Wish, key: string): string {
    const chat = store.groups.chat(chatId);
    if (!chat) throw unknownThing('chat');
    if (id !== undefined)
      return taskConfirmation(tasks.change(tasks.find(id, null), { action: 'update', fields }, { chat }));
    const { prompt = '', ...rest } = fields;
    return taskConfirmation(tasks.add({ ...rest, prompt }, chat, { key }));
  }
  /** Throws what it would throw, and changes nothing: the owner is not asked about what cannot be. */
  function rehearse(wish: Wish): void {
    try {
      store.transaction(() => {
        carryOut(wish, randomUUID());
        throw REHEARSED;
      });
    } catch (error) {
      if (error !== REHEARSED) throw error;
    }
  }
  const ask = approvals.kind({
    ...{ name: 'task', input, maxOpen: 3 },
    carryOut: (wish, { approval }) => carryOut(wish, `approved:${approval.id}`),
  });
  return (link: Link, run: Run, chat: Chat, wish: Omit<Wish, 'chatId'>): string | undefined => {
    const taint = taintOf(store, link);
    const isOutward = chat.groupId !== link.groupId && !isOwners(store, run);
    if (!taint && !isOutward) return undefined;
    const whole = { ...wish, chatId: chat.id };
    rehearse(whole);
    const { prompt, ...when } = wish.fields;
    const what = wish.id === undefined ? 'make a task' : `change task ${wish.id}`;
    const approval = ask({
      ...{ groupId: link.groupId, run, taint, chatId: chat.id },
      subject: `${what} in ${oneLine(chat.title, 80)}`,
      lines: [`Its answers go to the chat ${shownLine(chat.title, 80)}.`],
      content: [...Object.entries(when).map(([name, value]) => `${name}: ${value}`), prompt ?? ''].join('\n'),
      input: whole,
    });
    return agentText(approval);
  };
}
export type TaskAsker = ReturnType<typeof createTaskAsker>;

/** Whether only the owner speaks in what the run carries. A task's run is what somebody was allowed to plan. */
const isOwners = ({ messages, runs }: Store, { id }: Run): boolean =>
  runs.input(id) !== undefined ||
  messages.ofRun(id).every(({ role, byHost, mayAsk }) => role === 'owner' || byHost || !mayAsk);
