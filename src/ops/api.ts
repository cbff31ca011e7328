// The JSON API about the daemon as a whole: its state and figures, the outbox, emergency stop and resume.
import type { Hono } from 'hono';
import { z } from 'zod';
import { listLimit, parse, readBody } from '../core/http.js';
import type { SetAside } from '../core/set-aside.js';
import type { PromptPart } from '../groups/prompt-part.js';
import type { Control } from './control.js';
import { type MetricsDeps, metricsText } from './metrics.js';

export interface OpsApiDeps extends MetricsDeps {
  control: Control;
  setAside: Pick<SetAside, 'list'>;
  /** What services and their like add to the prompt. */
  promptParts(): PromptPart[];
}

export const opsApi = (deps: OpsApiDeps) => (app: Hono) => {
  const { store, control, promptParts, setAside } = deps;
  app.get('/api/status', (c) => c.json(control.status()));
  app.get('/api/prompt', (c) => c.json({ parts: promptParts() }));
  app.get('/api/set-aside', (c) => c.json({ setAside: setAside.list() }));
  app.get('/api/outbox', (c) => {
    const { limit } = parse(z.object({ limit: listLimit }), c.req.query());
    return c.json({ outbox: store.outbox.list(limit) });
  });
  app.get('/metrics', (c) => c.text(metricsText(deps), 200, { 'content-type': 'text/plain; version=0.0.4' }));
  app.post('/api/stop', async (c) => {
    const { reason } = await readBody(c, z.object({ reason: z.string().max(500).default('asked on the page') }));
    control.emergencyStop(reason);
    return c.json({ stopped: true });
  });
  app.post('/api/resume', (c) => {
    control.resume();
    return c.json({ stopped: false });
  });
};
