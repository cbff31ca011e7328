// A published MCP server that answers over HTTP on this machine, as the agent of a real container has it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { PROOF_MS } from '../limits.js';
import { eventually, freePort, newHome } from './harness.js';
import { bash, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

const PACKAGE = '@modelcontextprotocol/server-everything@2026.8.31';
const CANARY = 'canary-of-a-token-0123456789';

let scene: Scene;
let server: ChildProcess;

beforeAll(async () => {
  const packages = mkdtempSync(join(tmpdir(), 'pinch-mcp-http-'));
  execFileSync('npm', ['install', '--prefix', packages, '--ignore-scripts', '--no-audit', '--no-fund', PACKAGE]);
  const port = await freePort();
  const program = join(packages, 'node_modules/.bin/mcp-server-everything');
  server = spawn(program, ['streamableHttp'], { env: { ...process.env, PORT: String(port) }, stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}/mcp`;
  await eventually(
    () =>
      fetch(url).then(
        () => true,
        () => false,
      ),
    'it listens',
  );
  const tools = { '*': 'always', 'get-sum': 'ask', 'get-env': 'deny' };
  const entry = { kind: 'http', mcp: true, url, groups: ['main'], description: 'tries everything', tools };
  const home = newHome();
  const list = { all: { ...entry, auth: { bearer: 'THE_TOKEN' } } };
  writeFileSync(join(home, 'services.json'), JSON.stringify(list), { mode: 0o600 });
  writeFileSync(join(home, '.env'), `THE_TOKEN=${CANARY}\n`, { mode: 0o600 });
  scene = await startScene({ daemon: { home } });
}, PROOF_MS);
afterAll(async () => {
  await scene.close();
  server.kill();
  if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
});

const use = (name: string, input: object = {}) => ({
  content: [{ type: 'tool_use' as const, name, input: { ...input } }],
});
/** The requests of a run, the last of them with what came of all steps. */
async function work(...steps: Parameters<Scene['model']['push']>) {
  const from = scene.model.requests.length;
  scene.model.push(...steps, { text: 'done' });
  await waitForRun(scene.daemon, await say(scene.daemon, 'go'), ['done']);
  return scene.model.requests.slice(from).map(({ raw }) => raw.toString());
}

test('its tools are listed and called, and no path of it is reached in another way', async () => {
  const requests = await work(
    use('mcp__all__echo', { message: 'hello out there' }),
    use('mcp__all__get-tiny-image'),
    bash('curl -s -X POST -d "{}" -w " %{http_code}" http://127.0.0.1:8080/service/all/'),
    use('mcp__all__get-env'),
  );
  expect(requests[0]).toContain('- all: tries everything\\n');
  expect(requests[0]).toContain('"mcp__all__get-sum"');
  expect(requests[0]).not.toContain('"mcp__all__get-env"');
  const last = requests.at(-1);
  expect(last).toContain('Echo: hello out there');
  expect(last).toContain('"media_type":"image/png"');
  expect(last).toContain('there is no such service for this group');
  expect(requests.join()).not.toContain(CANARY);
  expect(requests.join()).not.toContain('PATH=');
  expect(await scene.daemon.api('GET', '/api/status')).toMatchObject({ body: { servers: ['all'] } });
});

test('what asks is done after the yes, and the agent is told', async () => {
  const asked = await work(use('mcp__all__get-sum', { a: 20, b: 22 }));
  expect(asked.at(-1)).toContain("This needs the owner's yes. Approval 1 (get-sum of the MCP server all): waits");
  const from = scene.model.requests.length;
  scene.model.push({ text: 'told' });
  await scene.daemon.api('POST', '/api/approvals/1', { decision: 'allow' });
  const { raw } = await scene.model.waitForRequest((request) => request.index >= from);
  expect(raw.toString()).toContain('The sum of 20 and 22 is 42');
});

test('its progress is in the timeline, and a run that is stopped cancels its call', async () => {
  await eventually(async () => {
    const { body } = await scene.daemon.api('GET', '/api/status');
    const { runs } = z.object({ runs: z.record(z.string(), z.number()) }).parse(body);
    return !runs.leased && !runs.ready;
  }, 'nothing is worked on');
  scene.model.push(use('mcp__all__trigger-long-running-operation', { duration: 100, steps: 50 }));
  const runId = await say(scene.daemon, 'go');
  const progress = async () => (await runOf(scene.daemon, runId)).events.find(({ kind }) => kind === 'mcp_progress');
  expect(await eventually(progress, 'progress')).toMatchObject({ detail: { service: 'all', total: 50 } });
  await scene.daemon.api('POST', '/api/chat', { text: '/stop' });
  const { events } = await waitForRun(scene.daemon, runId, ['cancelled']);
  expect(events.filter(({ kind }) => kind === 'mcp').at(-1)).toMatchObject({
    detail: { verdict: 'failed', why: expect.stringContaining('was stopped') },
  });
  expect((await work(use('mcp__all__echo', { message: 'still there' }))).at(-1)).toContain('Echo: still there');
});
