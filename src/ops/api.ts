// The JSON API about the daemon as a whole: its state and figures, the outbox, emergency stop and resume.
import type { Hono } from 'hono';
import { z } from 'zod';
import type { Config, Env } from '../core/config.js';
import { listLimit, parse, readBody } from '../core/http.js';
import type { SetAside } from '../core/set-aside.js';
import type { PromptPart } from '../groups/prompt-part.js';
import { readList } from '../mounts/list.js';
import { allSettings } from './config-command.js';
import type { Control } from './control.js';
import { createDoctor } from './doctor-apart.js';
import { logFile } from './log-file.js';
import { searchLogs } from './logs.js';
import { type MachineDeps, machineFacts } from './machine.js';
import { type MetricsDeps, metricsText } from './metrics.js';

const logQuery = z.object({
  text: z.string().max(200).default(''),
  last: z.coerce.number().int().min(1).max(1_000).default(100),
});

export interface OpsApiDeps extends MetricsDeps, MachineDeps {
  config: Config;
  /** The process's own, over what `.env` says. */
  environment: Env;
  control: Control;
  setAside: Pick<SetAside, 'list'>;
  /** What services and their like add to the prompt. */
  promptParts(): PromptPart[];
}

export const opsApi = (deps: OpsApiDeps) => (app: Hono) => {
  addDaemon(app, deps);
  addMachine(app, deps);
};

function addDaemon(app: Hono, deps: OpsApiDeps): void {
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
}

/** What stands around it: settings, folders, disk, log, and what the doctor finds. */
function addMachine(app: Hono, deps: OpsApiDeps): void {
  const { config, environment, clock, store } = deps;
  const { home, dataDir, timeZone } = config;
  const doctor = createDoctor({ clock, signals: store.signals });
  app.get('/api/settings', (c) => c.json({ home, dataDir, timeZone, settings: allSettings(environment, home) }));
  app.get('/api/mounts', (c) => c.json(readList(config)));
  app.get('/api/machine', async (c) => c.json(await machineFacts(deps)));
  app.get('/api/logs', async (c) => {
    const { text, last } = parse(logQuery, c.req.query());
    return c.json({ lines: (await searchLogs(logFile(dataDir), text, last)) ?? null });
  });
  app.get('/api/doctor', (c) => {
    // Whoever asks first has it look.
    if (doctor.state().lookedAt === null) doctor.look();
    return c.json(doctor.state());
  });
  app.post('/api/doctor', (c) => {
    doctor.look();
    return c.json(doctor.state(), 202);
  });
}
