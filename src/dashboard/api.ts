// The JSON API about runs, groups, chats, costs and control (design §8). Reads rows and enqueues rows; sends and runs nothing.
import type { Hono } from 'hono';
import { z } from 'zod';
import { folderProblem } from '../decide/commands.js';
import { startOfDay } from '../decide/day.js';
import { findChat } from '../gateway/host-api.js';
import type { CostRow } from '../store/usage.js';
import { type Chat, type Run, runState, sendersPolicy } from '../types.js';
import type { DashboardDeps } from './deps.js';
import { limitParameter, readBody, readId, readQuery, refuse } from './http.js';
import { metricsText } from './metrics.js';

const DAY_MS = 86_400_000;
const nothing = z.object({});

export function addApi(app: Hono, deps: DashboardDeps): void {
  addControl(app, deps);
  addRuns(app, deps);
  addChats(app, deps);
  const { store } = deps;
  app.get('/api/outbox', (c) => {
    const { limit } = readQuery(c, z.object({ limit: limitParameter }));
    return c.json({ outbox: store.outbox.list(limit) });
  });
  app.get('/api/costs', (c) => c.json(costs(deps)));
  app.get('/metrics', (c) =>
    c.text(metricsText(deps), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }),
  );
}

function addControl(app: Hono, deps: DashboardDeps): void {
  const { store, wake } = deps;
  app.get('/api/status', (c) => c.json(deps.status()));
  app.get('/api/pairing', (c) => {
    const open = deps
      .status()
      .channels.map((channel) => channel.name)
      .filter((name) => name !== 'web' && deps.config.owner?.channel !== name && !store.groups.hasOwner(name));
    return c.json({ pairing: open.map((channel) => ({ channel, code: deps.pairing.code(channel) })) });
  });
  app.post('/api/stop', async (c) => {
    const { reason } = await readBody(c, z.object({ reason: z.string().max(500).optional() }));
    deps.emergencyStop(reason ?? 'asked on the dashboard');
    wake.emit('changed');
    return c.json({ stopped: true });
  });
  app.post('/api/resume', async (c) => {
    await readBody(c, nothing);
    deps.resume();
    wake.emit('changed');
    return c.json({ stopped: false });
  });
}

function addRuns(app: Hono, deps: DashboardDeps): void {
  const { store, wake, clock } = deps;
  const findRun = (id: number): Run => {
    const run = store.runs.get(id);
    if (!run) throw refuse('not_found', `there is no run ${id}`);
    return run;
  };
  const ring = () => {
    wake.emit('runs');
    wake.emit('changed');
  };
  app.get('/api/runs', (c) => {
    const { state, limit } = readQuery(c, z.object({ state: runState.optional(), limit: limitParameter }));
    return c.json({ runs: store.runs.list(state ?? null, limit) });
  });
  app.get('/api/runs/:id', (c) => {
    const run = findRun(readId(c));
    return c.json({
      run,
      messages: store.messages.ofRun(run.id),
      events: store.events.ofRun(run.id),
      modelCalls: store.usage.ofRun(run.id),
      outbox: store.outbox.ofRun(run.id),
    });
  });
  app.post('/api/runs/:id/retry', async (c) => {
    await readBody(c, nothing);
    const run = findRun(readId(c));
    store.transaction(() => {
      if (!store.runs.revive(run.id, clock.now())) {
        throw refuse('conflict', `run ${run.id} is ${run.state}`, 'only a dead or cancelled run can be retried');
      }
      store.events.add(run.id, clock.now(), 'retried', { was: run.state });
    });
    ring();
    return c.json({ run: findRun(run.id) });
  });
  app.post('/api/runs/:id/replay', async (c) => {
    await readBody(c, nothing);
    const id = replay(deps, findRun(readId(c)));
    ring();
    return c.json({ run: findRun(id) });
  });
}

/** The same messages once more, in a fresh session; the answer goes to the same chat. Returns the new run's id. */
function replay({ store, clock }: DashboardDeps, run: Run): number {
  if (run.state === 'ready' || run.state === 'leased') {
    throw refuse('conflict', `run ${run.id} is ${run.state}`, 'wait until it has ended, or stop it');
  }
  const { groupId, chatId } = run;
  const now = clock.now();
  return store.transaction(() => {
    for (let n = 1; ; n += 1) {
      const names = { key: `replay:${run.id}:${n}`, session: `replay-${run.id}-${n}` };
      const id = store.runs.enqueue({ ...names, kind: 'replay', groupId, chatId, runAt: now, now });
      if (id === undefined) continue;
      store.runs.copyMessages(run.id, id);
      store.events.add(id, now, 'replay_of', { runId: run.id });
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
  const { store } = deps;
  app.get('/api/groups', (c) =>
    c.json({ groups: store.groups.all().map((group) => ({ ...group, chats: store.groups.chatsOf(group.id) })) }),
  );
  app.get('/api/chats', (c) => {
    const folders = new Map(store.groups.all().map((group) => [group.id, group.folder]));
    const folderOf = (chat: Chat) => (chat.groupId === null ? null : (folders.get(chat.groupId) ?? null));
    return c.json({ chats: store.groups.chats().map((chat) => ({ ...chat, folder: folderOf(chat) })) });
  });
  app.post('/api/chats/:id/register', async (c) => {
    const wanted = await readBody(c, registration);
    const problem = folderProblem(wanted.folder);
    if (problem) throw refuse('bad_request', problem);
    const chat = store.transaction(() => register(deps, c.req.param('id'), wanted));
    deps.wake.emit('changed');
    return c.json({ chat: { ...chat, folder: wanted.folder } });
  });
}

function register(deps: DashboardDeps, name: string, wanted: z.infer<typeof registration>): Chat | undefined {
  const { groups } = deps.store;
  const chat = findChat(deps.store, name) ?? firstSight(deps, name);
  // The main group is the owner's: made as such also when this is the first time anybody names it.
  const group = groups.ensure(wanted.folder, wanted.folder === 'main', deps.clock.now());
  groups.assignChat(chat.id, group.id);
  groups.setSenders(chat.id, wanted.senders, wanted.listed);
  return groups.chat(chat.id);
}

/** A chat that has not written yet can be registered beforehand by its address. Throws `not_found` for anything else. */
function firstSight({ store, clock, status }: DashboardDeps, name: string): Chat {
  const [, channel = '', address = ''] = /^([a-z][a-z0-9_-]{0,31}):(\S{1,200})$/.exec(name) ?? [];
  const known = status().channels.map((state) => state.name);
  if (address === '') {
    throw refuse('not_found', `there is no chat "${name}"`, 'GET /api/chats lists them; or use <channel>:<address>');
  }
  if (!known.includes(channel)) {
    throw refuse('not_found', `there is no channel "${channel}"`, `channels that are on: ${known.join(', ')}`);
  }
  // Group ids are negative on Telegram and end in @g.us on WhatsApp.
  const kind = address.startsWith('-') || address.endsWith('@g.us') ? 'group' : 'direct';
  return store.groups.seenChat({ channel, address, kind, title: address, now: clock.now() });
}

function costs({ store, clock, config }: DashboardDeps) {
  const now = clock.now();
  const period = (since: number) => {
    const rows = store.usage.byModel(since).map(({ folder, ...row }) => ({ group: folder, ...priced(row) }));
    return { since, calls: sum(rows, 'calls'), ...priced({ costMicroUsd: sum(rows, 'costMicroUsd') }), rows };
  };
  return {
    today: period(startOfDay(now, config.timeZone)),
    last30Days: period(startOfDay(now - 29 * DAY_MS, config.timeZone)),
  };
}

const priced = <T extends { costMicroUsd: number }>(row: T) => ({ ...row, costUsd: row.costMicroUsd / 1e6 });
const sum = (rows: Pick<CostRow, 'calls' | 'costMicroUsd'>[], field: 'calls' | 'costMicroUsd') =>
  rows.reduce((total, row) => total + row[field], 0);
