// The JSON API about runs, groups, chats, costs and control (design §8). Reads rows and enqueues rows; sends and runs nothing.
import { once } from 'node:events';
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { needsPerson } from '../channels/channel.js';
import { folderProblem } from '../chats/command-words.js';
import { cancelRuns, resolveListed } from '../chats/commands.js';
import { startOfDay } from '../core/day.js';
import { parse, readBody, refuse } from '../core/http.js';
import { type Chat, type Run, runState, sendersPolicy } from '../core/types.js';
import { findChat } from '../runs/calls.js';
import type { DashboardDeps } from './deps.js';
import { metricsText } from './metrics.js';

const DAY_MS = 86_400_000;
const LINK_WAIT_MS = 10_000;

const listQuery = z.object({
  state: runState.nullable().default(null),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export function addApi(app: Hono, deps: DashboardDeps): void {
  const { store } = deps;
  addRuns(app, deps);
  addChats(app, deps);
  app.get('/api/status', (c) => c.json(deps.status()));
  app.get('/api/outbox', (c) => c.json({ outbox: store.outbox.list(parse(listQuery, c.req.query()).limit) }));
  app.get('/api/costs', (c) => c.json(costs(deps)));
  app.get('/metrics', (c) => c.text(metricsText(deps), 200, { 'content-type': 'text/plain; version=0.0.4' }));
  app.get('/api/pairing', (c) => c.json(pairing(deps)));
  app.post('/api/pairing', async (c) => {
    deps.link();
    const over = AbortSignal.timeout(LINK_WAIT_MS);
    const isAsking = () => deps.status().channels.some(({ state, link }) => state === 'linking' && !link);
    while (isAsking() && !over.aborted) await once(deps.wake, 'changed', { signal: over }).catch(() => undefined);
    return c.json(pairing(deps));
  });
  app.post('/api/stop', async (c) => {
    const { reason } = await readBody(c, z.object({ reason: z.string().max(500).default('asked on the dashboard') }));
    deps.emergencyStop(reason);
    return c.json({ stopped: true });
  });
  app.post('/api/resume', (c) => {
    deps.resume();
    return c.json({ stopped: false });
  });
}

/** What makes somebody the owner of a channel, and what links a channel to its account. */
function pairing({ status, config, store, pairing: codes }: DashboardDeps) {
  const { channels } = status();
  const open = channels.filter(
    ({ name }) => name !== 'web' && config.owner?.channel !== name && !store.groups.hasOwner(name),
  );
  return {
    pairing: open.map(({ name }) => ({ channel: name, code: codes.code(name) })),
    linking: channels.flatMap(({ name, state, detail, link }) =>
      link || needsPerson(state) ? [{ channel: name, detail, ...link }] : [],
    ),
  };
}

function addRuns(app: Hono, deps: DashboardDeps): void {
  const { store, wake, clock } = deps;
  const findRun = (c: Context): Run => {
    const id = c.req.param('id');
    const run = store.runs.get(Number(id));
    if (!run) throw refuse(404, 'not_found', `there is no run ${id}`);
    return run;
  };
  app.get('/api/runs', (c) => {
    const { state, limit } = parse(listQuery, c.req.query());
    return c.json({ runs: store.runs.list(state, limit) });
  });
  app.get('/api/runs/:id', (c) => {
    const run = findRun(c);
    return c.json({
      run,
      messages: store.messages.ofRun(run.id),
      events: store.events.ofRun(run.id),
      modelCalls: store.usage.ofRun(run.id),
      outbox: store.outbox.ofRun(run.id),
    });
  });
  app.post('/api/runs/:id/retry', (c) => {
    const run = findRun(c);
    store.transaction(() => {
      if (!store.runs.revive(run.id, clock.now())) {
        throw refuse(409, 'conflict', `run ${run.id} is ${run.state}`, 'only a dead or cancelled run can be retried');
      }
      store.tasks.reopenSlot(run.id);
      store.events.add(run.id, clock.now(), 'retried', { was: run.state });
    });
    wake.emit('runs');
    return c.json({ run: findRun(c) });
  });
  app.post('/api/runs/:id/replay', (c) => {
    const id = replay(deps, findRun(c));
    wake.emit('runs');
    return c.json({ run: store.runs.get(id) });
  });
}

/** The same messages once more, in a fresh session; the answer goes to the same chat. Returns the new run's id. */
function replay({ store, clock }: DashboardDeps, { id: first, state, groupId, chatId, taskId }: Run): number {
  if (state === 'ready' || state === 'leased') {
    throw refuse(409, 'conflict', `run ${first} is ${state}`, 'wait until it has ended, or stop it');
  }
  const now = clock.now();
  const input = store.runs.input(first);
  return store.transaction(() => {
    for (let n = 1; ; n += 1) {
      const name = { key: `replay:${first}:${n}`, session: `replay-${first}-${n}` };
      const id = store.runs.enqueue({ ...name, kind: 'replay', groupId, chatId, taskId, input, runAt: now, now });
      if (id === undefined) continue;
      store.runs.copyMessages(first, id);
      store.events.add(id, now, 'replay_of', { runId: first });
      return id;
    }
  });
}

const registration = z.object({
  folder: z.string(),
  senders: sendersPolicy.default('all'),
  listed: z.array(z.string().min(1).max(200)).max(500).default([]),
});

function addChats(app: Hono, deps: DashboardDeps): void {
  const { groups } = deps.store;
  app.get('/api/groups', (c) =>
    c.json({ groups: groups.all().map((group) => ({ ...group, chats: groups.chatsOf(group.id) })) }),
  );
  app.get('/api/chats', (c) => {
    const folderOf = ({ groupId }: Chat) => (groupId === null ? undefined : groups.get(groupId)?.folder) ?? null;
    return c.json({ chats: groups.chats().map((chat) => ({ ...chat, folder: folderOf(chat) })) });
  });
  app.post('/api/chats/:id/register', async (c) => {
    const { folder, senders, listed } = await readBody(c, registration);
    const problem = folderProblem(folder);
    if (problem) throw refuse(400, 'bad_request', problem);
    const chat = deps.store.transaction(() => {
      const before = findChat(deps.store, c.req.param('id')) ?? firstSight(deps, c.req.param('id'));
      const { id } = before;
      // The main group is the owner's: made as such also when this is the first time anybody names it.
      const group = groups.ensure(folder, folder === 'main', deps.clock.now());
      // What works or waits belongs to the old group: its answer must not come out of the new one.
      if (before.groupId !== group.id) cancelRuns(deps, before, null);
      groups.assignChat(id, group.id);
      groups.setSenders(id, senders, resolveListed(deps.store, before, listed).ids);
      return groups.chat(id);
    });
    return c.json({ chat: { ...chat, folder } });
  });
}

/** A chat that has not written yet can be registered beforehand by its address. Throws `not_found` for anything else. */
function firstSight({ store, clock, status }: DashboardDeps, name: string): Chat {
  const [, channel, address] = /^([^:]+):(\S{1,200})$/.exec(name) ?? [];
  if (channel === undefined || address === undefined || !status().channels.some((known) => known.name === channel)) {
    const hint = 'GET /api/chats lists them; one that has not written yet is <channel>:<address>';
    throw refuse(404, 'not_found', `there is no chat "${name}"`, hint);
  }
  // Group ids are negative on Telegram and end in @g.us on WhatsApp.
  const kind = address.startsWith('-') || address.endsWith('@g.us') ? 'group' : 'direct';
  return store.groups.seenChat({ channel, address, kind, title: address, now: clock.now() });
}

function costs({ store, clock, config }: DashboardDeps) {
  const priced = <Row extends { costMicroUsd: number }>(row: Row) => ({ ...row, costUsd: row.costMicroUsd / 1e6 });
  const period = (firstDay: number) => {
    const since = startOfDay(firstDay, config.timeZone);
    const rows = store.usage.byModel(since).map(({ folder, ...row }) => priced({ group: folder, ...row }));
    const calls = rows.reduce((sum, row) => sum + row.calls, 0);
    return priced({ since, calls, costMicroUsd: store.usage.spent(since, null), rows });
  };
  return { today: period(clock.now()), last30Days: period(clock.now() - 29 * DAY_MS) };
}
