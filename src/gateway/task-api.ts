// What a container may ask about tasks, checked: its own group's, for the main group every group's. Answers are texts for the model.
import { taskConfirmation } from '../decide/task-text.js';
import { PinchError } from '../errors.js';
import type { Store } from '../store/index.js';
import type { Tasks } from '../tasks.js';
import type { Chat } from '../types.js';
import * as wire from '../wire.js';
import { findChat, parse, unknownThing, workingRun } from './calls.js';
import type { Link } from './server.js';

export function createTaskApi({ store, tasks }: { store: Store; tasks: Tasks }) {
  const isMain = (link: Link) => store.groups.get(link.groupId)?.isMain === true;
  const scope = (link: Link) => (isMain(link) ? null : link.groupId);

  function chatOf(link: Link, name: string): Chat {
    const chat = findChat(store, name);
    if (!chat || chat.groupId === null || (chat.groupId !== link.groupId && !isMain(link)))
      throw unknownThing(`chat ${name}`);
    return chat;
  }

  return {
    add(link: Link, body: unknown) {
      const { runId, key, chat, ...input } = parse(wire.taskRequest, body);
      const run = workingRun(store, link, runId);
      const task = tasks.add(input, chatOf(link, chat ?? `${run.chatId}`), { key: `${run.id}:${key}` });
      return { text: taskConfirmation(task) };
    },
    list(link: Link, body: unknown) {
      workingRun(store, link, parse(wire.taskListRequest, body).runId);
      return { text: tasks.list(scope(link)) };
    },
    change(link: Link, id: number, body: unknown) {
      const { runId, action, fields } = parse(wire.taskChangeRequest, body);
      const run = workingRun(store, link, runId);
      const task = tasks.find(id, scope(link));
      if (action === 'run' && run.taskId === id)
        throw new PinchError('bad_task', `this is a run of task ${id}; it cannot start itself`);
      const chat = fields?.chat === undefined ? undefined : chatOf(link, fields.chat);
      return { text: taskConfirmation(tasks.change(task, { action, fields }, chat)) };
    },
  };
}
