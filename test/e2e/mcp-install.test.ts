// Packages of MCP servers from a registry that takes its time: runs go on without their tools and say so, and whatever stops Pinch does not wait.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startRegistry } from '../../src/mcp/testing/registry.js';
import { HANG_MS, whenBusy } from '../limits.js';
import { eventually, newHome } from './harness.js';
import { boxesOf } from './servers.js';
import { chatTexts, type Scene, say, startScene, waitForRun } from './talk.js';

const program = `#!/usr/bin/env node\n${readFileSync(join(import.meta.dirname, '../../src/mcp/testing/server.mjs'), 'utf8')}`;
const manifest = { type: 'module', bin: { 'late-server': 'index.js' } };

let scene: Scene;
let home: string;
let registry: Awaited<ReturnType<typeof startRegistry>>;
let answers: () => void;

beforeEach(async () => {
  const from = new Promise<void>((resolve) => {
    answers = resolve;
  });
  registry = await startRegistry([{ name: 'late-server', manifest, program }], from);
  home = newHome();
  for (const name of ['late', 'here']) {
    mkdirSync(dataOf(name), { recursive: true });
    writeFileSync(join(dataOf(name), 'script.json'), '{}', { mode: 0o644 });
  }
});
afterEach(async () => {
  await scene.close();
  registry.close();
});

const dataOf = (name: string) => join(home, 'data/mcp', name, 'data');
async function start(list: object): Promise<void> {
  writeFileSync(join(home, 'services.json'), JSON.stringify(list), { mode: 0o600 });
  scene = await startScene({ daemon: { home, env: { npm_config_registry: registry.base } } });
}
const server = (script: string, more: object = {}) => ({
  ...{ kind: 'mcp', groups: ['main'], packages: ['late-server@1.0.0'], tools: { '*': 'always' } },
  ...{ command: ['late-server', script], ...more },
});
const late = { late: server('/data/script.json') };
const call = (name: string) => ({ content: [{ type: 'tool_use' as const, name, input: { text: 'you' } }] });

/** Returns the requests of the run. */
async function work(...steps: Parameters<Scene['model']['push']>) {
  const before = scene.model.requests.length;
  scene.model.push(...steps);
  await waitForRun(scene.daemon, await say(scene.daemon, 'go'), ['done']);
  return scene.model.requests.slice(before).map(({ raw }) => raw.toString());
}
const isInstalling = () => eventually(async () => registry.seen.length > 0, 'it is being installed');

test('a run that comes meanwhile says so, and a later one has its tools', async () => {
  await start(late);
  const [first] = await work({ text: 'later' });
  expect(first).toContain('- late: [it is being started; its tools are there for a later run]');
  expect(first).not.toContain('mcp__late__echo');
  expect(await boxesOf(home, 'late')).toHaveLength(1);
  answers();
  await scene.daemon.waitForLog(({ msg }) => msg === 'MCP server started');
  const [second, third] = await work(call('mcp__late__echo'), { text: 'done' });
  expect(second).not.toContain('is being started');
  expect(third).toContain('you said you');
});

test('the emergency stop ends the install; it is begun anew when all goes on', async () => {
  await start(late);
  const tried = scene.daemon.api('POST', '/api/services/late/test');
  await isInstalling();
  await scene.daemon.api('POST', '/api/stop');
  const begun = Date.now();
  await eventually(async () => (await boxesOf(home)).length === 0, 'no container is left');
  expect(Date.now() - begun).toBeLessThan(whenBusy(2_000));
  expect(await tried).toMatchObject({ status: 400 });
  answers();
  expect(await scene.daemon.api('POST', '/api/services/late/test')).toMatchObject({ status: 400 });
  await scene.daemon.api('POST', '/api/resume');
  expect(await scene.daemon.api('POST', '/api/services/late/test')).toMatchObject({ body: { state: 'running' } });
});

test('the end of Pinch does not wait for it', async () => {
  await start(late);
  void scene.daemon.api('POST', '/api/services/late/test').catch(() => undefined);
  await isInstalling();
  const begun = Date.now();
  await scene.daemon.kill('SIGTERM');
  expect(await scene.daemon.exited).toEqual({ code: 0, signal: null });
  expect(Date.now() - begun).toBeLessThan(whenBusy(10_000));
  expect(await boxesOf(home)).toEqual([]);
});

test('with "host" packages are installed in a container, run on the machine itself, and the owner is warned', async () => {
  await start({ here: server(join(dataOf('here'), 'script.json'), { host: true }) });
  const tried = scene.daemon.api('POST', '/api/services/here/test');
  await isInstalling();
  expect(await boxesOf(home, 'here')).toHaveLength(1);
  answers();
  expect(await tried).toMatchObject({ body: { state: 'running', host: true } });
  expect(await boxesOf(home)).toEqual([]);
  const [, answered] = await work(call('mcp__here__env'), { text: 'done' });
  expect(answered).toContain(dataOf('here'));
  const warned = async () =>
    (await chatTexts(scene.daemon, 'out')).some((text) => /here.*runs on this machine itself/.test(text));
  await eventually(warned, 'the owner is warned', HANG_MS);
});
