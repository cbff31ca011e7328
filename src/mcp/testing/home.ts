// A home with MCP servers, and a program in a container of the group `main` that asks for their tools; the servers are programs of the test.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Hono } from 'hono';
import { pino } from 'pino';
import { systemClock } from '../../core/clock.js';
import { type Config, loadConfig } from '../../core/config.js';
import { startHome } from '../../services/testing/home.js';
import { mcpTool } from '../../wire.js';
import { createMcpModule } from '../module.js';

const program = join(import.meta.dirname, 'server.mjs');

const noContainer = () => Promise.reject(new Error('there are no containers here'));

export type McpHome = Awaited<ReturnType<typeof startMcpHome>>;

/** `more`: fields of the server `test` in services.json. */
export async function startMcpHome(more: object = {}) {
  let entry = more;
  const home = await startHome({}, 'TOKEN=tok-0123456789\nPIN=1234-canary-xyz\n');
  const script = join(home.home, 'script.json');
  const list = () => ({
    test: { kind: 'mcp', groups: ['main'], host: true, command: ['node', program, script], ...entry },
  });
  const behave = (how: object) => writeFileSync(script, JSON.stringify({ log: join(home.home, 'log'), ...how }));
  behave({});
  home.write(list());
  const config: Config = { ...loadConfig({ PINCH_HOME: home.home, TZ: 'UTC' }, home.home), idleMs: 60_000 };
  const stop = { now: false };
  const notices: string[] = [];
  const deps = {
    ...{ store: home.store, clock: systemClock, log: pino({ enabled: false }), config },
    ...{ approvals: home.approvals, services: home.module.services, guards: home.guards, secrets: home.secrets },
    stopSwitch: { stopped: () => stop.now },
    boxes: { openBox: noContainer, installServer: noContainer, killAll: async () => undefined },
    notifyOwner: (key: string, said: string) => notices.push(`${key}: ${said}`),
  };
  const start = () => createMcpModule(deps);
  const mcp = start();
  home.gateway.add(mcp.routes);
  const app = new Hono();
  mcp.api(app);
  home.module.api(mcp.view)(app);
  const post = async (path: string, body: object, signal?: AbortSignal) => {
    const url = `http://127.0.0.1:${home.port}${path}`;
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(body), ...(signal && { signal }) });
    const said = response.body ? await text(Readable.fromWeb(response.body)) : '';
    return {
      status: response.status,
      lines: said
        .split('\n')
        .filter(Boolean)
        .map((line): unknown => JSON.parse(line)),
    };
  };
  return {
    ...home,
    ...{ mcp, app, stop, post, behave, notices, start },
    /** Other fields of the server in services.json. */
    configure(fields: object): void {
      entry = fields;
      home.write(list());
    },
    heard: () => readFileSync(join(home.home, 'log'), 'utf8'),
    tools: async () => {
      const { lines } = await post('/mcp/tools', { runId: home.runId });
      const { problems } = Object(lines[0]);
      const tools = lines.slice(1).map((line) => mcpTool.parse(line));
      return { names: tools.map(({ name }) => name), tools, problems };
    },
    call: (name: string, input: object = {}, signal?: AbortSignal) =>
      post('/mcp/call', { runId: home.runId, name: `mcp__test__${name}`, input }, signal),
    api: async (path: string, method = 'GET') => Object(await (await app.request(path, { method })).json()),
    mcpEvents: () =>
      home.store.events
        .ofRun(home.runId)
        .filter(({ kind }) => kind.startsWith('mcp'))
        .map(({ detail }) => detail),
    async end() {
      await mcp.stop();
      await home.end();
      rmSync(home.home, { recursive: true, force: true });
    },
  };
}
