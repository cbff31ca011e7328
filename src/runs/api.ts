// The JSON API about runs: lists them with their timelines, stops one, tries one again, replays one.
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { checked, listLimit, parse, readBody, refuse } from '../core/http.js';
import { oneLine } from '../core/one-line.js';
import { type Run, runState } from '../core/types.js';
import { progressOf } from '../groups/progress.js';
import { stopRun } from './cancelled.js';
import { EVERY_GROUP } from './pauses.js';
import { comparisonOf, type ReplayDeps, replayRequest, startReplay } from './replay.js';
import { type RetryDeps, retryRun } from './retry-run.js';
import { whatOf } from './run-text.js';
import type { StopSwitch } from './stop-switch.js';

const listQuery = z.object({ state: runState.nullable().default(null), limit: listLimit });

export interface RunApiDeps extends ReplayDeps, RetryDeps {
  clock: RetryDeps['clock'];
  stopSwitch: Pick<StopSwitch, 'stopped'>;
}

export const runApi = (deps: RunApiDeps) => (app: Hono) => {
  const { store, clock } = deps;
  const findRun = (c: Context): Run => {
    const id = c.req.param('id');
    const run = store.runs.get(Number(id));
    if (!run) throw refuse(404, 'not_found', `there is no run ${id}`);
    return run;
  };
  /** With what a person knows it by, and what it cost. */
  const shown = (run: Run) => ({
    ...run,
    what: whatOf(store, run, oneLine),
    costMicroUsd: store.usage.spentByRun(run.id),
  });
  app.get('/api/runs', (c) => {
    const { state, limit } = parse(listQuery, c.req.query());
    return c.json({ runs: store.runs.list(state, limit).map(shown) });
  });
  app.get('/api/runs/:id', (c) => {
    const run = findRun(c);
    const events = store.events.ofRun(run.id);
    const ids = (name: string) => events.flatMap(({ kind, detail }) => (kind === name ? [detail.approval] : []));
    const decided = ids('approval_decided');
    return c.json({
      run: shown(run),
      // While it works: what chats are shown of it.
      progress: run.state === 'leased' ? progressOf(events) : null,
      // Approvals it asked for that nobody has answered; it has ended, or does other work. The answer starts a run of its own.
      waitsFor: ids('approval_asked').filter((id) => !decided.includes(id)),
      messages: store.messages.ofRun(run.id),
      events,
      modelCalls: store.usage.ofRun(run.id),
      outbox: store.outbox.ofRun(run.id),
      // Of a replay: what the first run did, and what this one did, or would have done.
      comparison: comparisonOf(store, run),
    });
  });
  app.post('/api/runs/:id/stop', (c) => {
    const run = findRun(c);
    store.transaction(() => {
      if (!stopRun(store, run, clock.now())) {
        throw refuse(409, 'conflict', `run ${run.id} is ${run.state}`, 'only a run that waits or works can be stopped');
      }
    });
    return c.json({ run: findRun(c) });
  });
  app.post('/api/runs/:id/retry', (c) => {
    const run = findRun(c);
    checked(() => retryRun(deps, run));
    return c.json({ run: findRun(c) });
  });
  app.post('/api/runs/:id/replay', async (c) => {
    const request = await readBody(c, replayRequest);
    return c.json({ run: checked(() => startReplay(deps, findRun(c), request)), stopped: deps.stopSwitch.stopped() });
  });
  addPauses(app, deps);
};

/** As `/pause` and `/resume`: `all` stands for every group; whatever holds a group back ends when it is resumed. */
function addPauses(app: Hono, { store, clock }: RunApiDeps): void {
  const groupOf = (c: Context): number => {
    const id = c.req.param('id');
    if (id === 'all') return EVERY_GROUP;
    const group = store.groups.get(Number(id));
    if (!group) throw refuse(404, 'not_found', `there is no group ${id}`, 'GET /api/groups lists them');
    return group.id;
  };
  app.post('/api/groups/:id/pause', (c) => {
    store.pauses.add(groupOf(c), clock.now());
    return c.json({ paused: true });
  });
  app.post('/api/groups/:id/resume', (c) => {
    store.transaction(() => {
      for (const id of [EVERY_GROUP, groupOf(c)]) store.pauses.remove(id);
    });
    for (const changed of ['task', 'run:ready', 'daemon'] as const) store.signal(changed);
    return c.json({ paused: false });
  });
}
