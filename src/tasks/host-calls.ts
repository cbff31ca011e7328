// What a container may ask about tasks, checked: its own group's, for the main group every group's. Answers are texts for the model.

import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import type { Chat } from '../core/types.js';
import { type Link, post, type Route } from '../gateway/server.js';
import { parse, unknownThing, workingRun } from '../runs/calls.js';
import * as wire from '../wire.js';
import type { TaskAsker } from './ask.js';
import type { Store } from './store.js';
import type { Tasks } from './tasks.js';
import { taskConfirmation } from './text.js';

interface TaskCallDeps {
  store: Store;
  clock: Pick<Clock, 'now'>;
  tasks: Tasks;
  /** What the agent is told when the owner has to say yes first. */
  askOwner: TaskAsker;
  /** The group's agents were refused more tasks than they may have. */
  onTooMany(groupId: number, why: string): void;
}

const RECAP = 'Whoever asks what was done since yesterday evening, and what it cost, in all chats, can write /recap.';

export function createTaskCalls({ store, clock, tasks, askOwner, onTooMany }: TaskCallDeps): Route[] {
  const isMain = (link: Link) => store.groups.get(link.groupId)?.isMain === true;
  const scope = (link: Link) => (isMain(link) ? null : link.groupId);

  function chatOf(link: Link, name: string): Chat {
    const chat = store.groups.findChat(name);
    if (!chat || chat.groupId === null || (chat.groupId !== link.groupId && !isMain(link)))
      throw unknownThing(`chat ${name}`);
    return chat;
  }

  const tell = (runId: number, task: number, action: string, about: string) =>
    store.events.add(runId, clock.now(), 'task_changed', { task, action, about: oneLine(about, 300) });

  /** In one transaction. The owner hears of a group that reaches its bounds. */
  function bounded<T>({ groupId }: Link, act: () => T): T {
    try {
      return store.transaction(act);
    } catch (error) {
      if (error instanceof PinchError && error.code === 'too_many_tasks') onTooMany(groupId, error.message);
      throw error;
    }
  }

  return [
    post('/tasks', (link, body) => {
      const { runId, key, chat, ...input } = parse(wire.taskRequest, body);
      const run = workingRun(store, link, runId);
      const target = chatOf(link, chat ?? `${run.chatId}`);
      const waits = askOwner(link, run, target, { fields: input });
      if (waits) return { text: waits };
      const preset = { key: `${run.id}:${key}`, byAgentOf: link.groupId };
      const task = bounded(link, () => {
        const made = tasks.add(input, target, preset);
        tell(run.id, made.id, 'add', input.title ?? input.prompt);
        return made;
      });
      return { text: taskConfirmation(task, input.tz) };
    }),
    post('/tasks/list', (link, body) => {
      workingRun(store, link, parse(wire.taskListRequest, body).runId);
      // Asked what it did at night, an agent knows its own conversation only.
      return { text: `${tasks.list(scope(link))}\n\n${RECAP}` };
    }),
    post('/tasks/:id', (link, body, id = 0) => {
      const { runId, action, fields } = parse(wire.taskChangeRequest, body);
      const run = workingRun(store, link, runId);
      const task = tasks.find(id, scope(link));
      if (action === 'run' && run.taskId === id)
        throw new PinchError('bad_task', `this is a run of task ${id}; it cannot start itself`);
      const chat = fields?.chat === undefined ? undefined : chatOf(link, fields.chat);
      const target = chat ?? store.groups.chat(task.chatId);
      const waits = action === 'update' && fields && target && askOwner(link, run, target, { id, fields });
      if (waits) return { text: waits };
      const by = { chat, byAgentOf: link.groupId };
      const changed = bounded(link, () => {
        tell(run.id, id, action, `${action} task ${id}`);
        return tasks.change(task, { action, fields }, by);
      });
      return { text: taskConfirmation(changed, fields?.tz) };
    }),
  ];
}
