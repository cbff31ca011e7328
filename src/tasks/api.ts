// The JSON API about tasks, and the way in for hooks.
import { setImmediate } from 'node:timers/promises';
import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import { checked, listLimit, parse, readBody, refuse } from '../core/http.js';
import type { Chat } from '../core/types.js';
import { taskChange, taskInput } from '../wire.js';
import { type Hooks, MAX_HOOK_BYTES } from './hooks.js';
import type { Task } from './rows.js';
import type { Store } from './store.js';
import type { Tasks, TaskView } from './tasks.js';

/** `chat`: where results go; default: where the owner is told things. */
const newTask = taskInput.extend({ chat: z.string().min(1).max(200).optional() });
const change = taskInput.partial().extend({ action: taskChange.shape.action.exclude(['run']).optional() });

/**
 * Ordered by their numbers: the last of a page is the `after` of the next one. Or the first of those that come `next`, and of how many.
 * `group`: its folder; none for every group.
 */
const listQuery = z.object({
  after: z.coerce.number().int().min(0).default(0),
  limit: listLimit.default(1_000),
  order: z.enum(['id', 'next']).default('id'),
  group: z.string().optional(),
});
/** Rows that are read at once. */
const MOST_NEXT = 200;
/** Tasks that one turn of the event loop looks at. */
const TURN = 5;

export interface TaskApiDeps {
  store: Store;
  tasks: Tasks;
  hooks: Hooks;
  ownerChat(): Chat;
}

export const taskApi = (deps: TaskApiDeps) => (app: Hono) => {
  addTasks(app, deps);
  addHooks(app, deps);
};

function addTasks(app: Hono, { store, tasks, ownerChat }: TaskApiDeps): void {
  const chatOf = (name: string) => {
    const chat = store.groups.findChat(name);
    if (!chat) throw refuse(404, 'not_found', `there is no chat "${name}"`, 'GET /api/chats lists them');
    return chat;
  };
  const groupOf = (folder: string): number => {
    const group = store.groups.all().find((one) => one.folder === folder);
    if (!group) throw refuse(404, 'not_found', `there is no group "${folder}"`, 'GET /api/groups lists them');
    return group.id;
  };
  const findTask = (c: Context): Task => checked(() => tasks.find(Number(c.req.param('id')), null));
  app.get('/api/tasks', async (c) => {
    const { after, limit, order, group } = parse(listQuery, c.req.query());
    const ofGroup = group === undefined ? null : groupOf(group);
    const next = order === 'next' ? tasks.next(ofGroup, Math.min(limit, MOST_NEXT)) : undefined;
    const views: TaskView[] = [];
    for (let page: Task[] = [], last = after; views.length < limit; last = page.at(-1)?.id ?? last) {
      const turn = Math.min(limit - views.length, TURN);
      page = next ? next.splice(0, turn) : tasks.open(ofGroup, last, turn);
      if (page.length === 0) break;
      views.push(...page.map(tasks.view));
      // A thousand of them take a second: others go on meanwhile.
      await setImmediate();
    }
    return c.json({ tasks: views, ...(next && { count: tasks.openCount(ofGroup) }) });
  });
  app.get('/api/tasks/:id', (c) => c.json({ task: tasks.view(findTask(c)) }));
  app.get('/api/tasks/:id/secret', (c) => {
    const { id, secret, starts } = findTask(c);
    return c.json({ id, secret, ...(starts.kind === 'hook' && starts.signed && { signed: true }) });
  });
  app.post('/api/tasks', async (c) => {
    const { chat, ...input } = await readBody(c, newTask);
    return c.json(
      { task: tasks.view(checked(() => tasks.add(input, chat === undefined ? ownerChat() : chatOf(chat)))) },
      201,
    );
  });
  app.patch('/api/tasks/:id', async (c) => {
    const { action = 'update', chat, ...fields } = await readBody(c, change);
    const task = findTask(c);
    const to = chat === undefined ? undefined : chatOf(chat);
    return c.json({ task: tasks.view(checked(() => tasks.change(task, { action, fields }, { chat: to }))) });
  });
  app.post('/api/tasks/:id/run', (c) =>
    c.json({ task: tasks.view(checked(() => tasks.change(findTask(c), { action: 'run' }))) }, 202),
  );
}

/** Stands outside of `/api`: a hook's caller has a secret of its own. */
function addHooks(app: Hono, { hooks }: TaskApiDeps): void {
  const tooLarge = () => refuse(413, 'too_large', `the body is larger than ${MAX_HOOK_BYTES} bytes`).getResponse();
  app.post('/hooks/:id', bodyLimit({ maxSize: MAX_HOOK_BYTES, onError: tooLarge }), async (c) => {
    const id = parse(z.coerce.number().int().nonnegative(), c.req.param('id'));
    const body = Buffer.from(await c.req.arrayBuffer());
    const { status, message } = hooks.receive({ id, header: (name) => c.req.header(name), body });
    if (status === 429) c.header('retry-after', '60');
    return c.json({ message }, status);
  });
}
