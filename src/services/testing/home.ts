// A home with services of the owner, and a program in a container of the group `main` that calls them; the services are servers of the test.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { HANG_MS } from '../../../test/limits.js';
import { type Clock, systemClock } from '../../core/clock.js';
import { startInside } from '../../egress/testing/inside.js';
import { run, startSite } from '../../egress/testing/sites.js';
import { createServiceModule } from '../module.js';

export type Serve = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A site that keeps what it was asked and answers as `serve` says, and `api`: services.json with it below `/v1`, with a token of the owner. */
export async function startService(serve: Serve) {
  const site = await startSite(async (seen, request, response) => {
    const body = await text(request);
    seen.push({ line: `${request.method} ${request.url}`, rawHeaders: request.rawHeaders, body });
    serve(request, response, body);
  });
  const origin = { kind: 'http', url: `http://127.0.0.1:${site.port}/v1`, auth: { bearer: 'TOKEN' }, groups: ['main'] };
  return { site, api: (more: object = {}): object => ({ api: { ...origin, ...more } }) };
}

export type ServicesHome = Awaited<ReturnType<typeof startHome>>;

/** `list`: services.json, or what stands there instead. */
export async function startHome(
  list: object | string,
  env = 'TOKEN=tok-0123456789\nUSER_NAME=olga\nPASSWORD=pass-word-77\n',
  clock: Clock = systemClock,
) {
  const inside = await startInside();
  const home = mkdtempSync(join(tmpdir(), 'pinch-services-'));
  const write = (now: object | string) =>
    writeFileSync(join(home, 'services.json'), typeof now === 'string' ? now : JSON.stringify(now), { mode: 0o600 });
  writeFileSync(join(home, '.env'), env, { mode: 0o600 });
  write(list);
  const notices: string[] = [];
  const keys = new Set<string>();
  const config = { home, groupsDir: join(home, 'groups'), dataDir: join(home, 'data') };
  const { store, approvals, secrets, guards } = inside;
  const module = createServiceModule({
    ...{ store, approvals, secrets, guards, clock, log: pino({ enabled: false }), environment: {} },
    config,
    notifyOwner: (key, text) => (keys.has(key) ? undefined : notices.push(text) && void keys.add(key)),
  });
  inside.gateway.add(module.routes);
  return {
    ...inside,
    ...{ home, config, module, notices, write },
    base: `http://127.0.0.1:${inside.port}/service`,
    /** As the agent's shell does, the path as it is written. */
    curl: async (...args: string[]) => (await run('curl', ['-sS', '-m', '60', '--path-as-is', '-g', ...args])).out,
    serviceEvents: () =>
      store.events
        .ofRun(inside.runId)
        .filter(({ kind }) => kind === 'service')
        .map(({ detail }) => detail),
    told: () => store.messages.ofRun(inside.runId).map(({ text }) => text),
    yes: (id: number) => approvals.decide(id, { decision: 'allow', by: 'the owner' }),
    /** The owner's yes to what was asked last, and what came of it. */
    async yesToLast() {
      const [last] = store.approvals.list('open', 1);
      if (!last) throw new Error('nothing waits for the owner');
      approvals.decide(last.id, { decision: 'allow', by: 'the owner' });
      return approvals.wait(last.id, HANG_MS);
    },
    async end() {
      await inside.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
