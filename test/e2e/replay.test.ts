// A run again, dry: nothing leaves the machine, whatever its container does, and what it would have done stands beside what was done.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { listen } from '../../src/egress/testing/inside.js';
import { type Site, startSite } from '../../src/egress/testing/sites.js';
import { type Family, startFamily } from './family.js';
import { containersOf, eventually, newHome, startDaemon } from './harness.js';
import { bash, chatTexts, nthReply, type Scene, say, startScene, waitForRun } from './talk.js';

const home = newHome();
const workspace = join(home, 'groups/main');
let scene: Scene;
let family: Family;
let env: Record<string, string>;
let shop: Server;
let orders: string[];
let site: Site;

beforeAll(async () => {
  [family, site, orders] = [await startFamily(), await startSite(), []];
  shop = createServer(async (request, response) => {
    orders.push(`${request.method} ${request.url} ${await text(request)}`);
    response.end('{"stock": 3}\n');
  });
  const port = await listen(shop);
  const rules = [{ method: '*', path: '/**', do: 'allow', always: true }];
  const service = { kind: 'http', url: `http://127.0.0.1:${port}/`, groups: ['main'], rules };
  writeFileSync(join(home, 'services.json'), JSON.stringify({ shop: service }), { mode: 0o600 });
  env = { ...family.env, PINCH_MAX_CONTAINERS: '3' };
  scene = await startScene({ daemon: { home, env } });
  await family.tg.waitForPoll();
  family.tg.userSends(family.direct, family.olga, '/help');
  await family.tg.waitForSent((sent) => sent.chat_id === family.direct.id);
  await scene.daemon.api('POST', '/api/egress', { host: 'site.example', ports: [site.port], address: '127.0.0.1' });
  mkdirSync(workspace, { recursive: true });
  writeFileSync(join(workspace, 'kept.txt'), 'old words\n');
});
afterAll(async () => {
  await scene.close();
  await family.tg.close();
  site.close();
  shop.close();
  shop.closeAllConnections();
});

const call = (name: string, input: Record<string, unknown>) => ({ type: 'tool_use' as const, name, input });
const service = 'http://127.0.0.1:8080/service/shop';
/** All that a run can do to the world. */
const work = () => [
  {
    content: [
      call('send_message', { chat: 'telegram:11', text: 'The order is on its way.' }),
      call('task_schedule', { title: 'Water', prompt: 'water the plants', every: '1d' }),
      call('write', { path: 'notes.txt', content: 'two roses\n' }),
    ],
  },
  bash(
    `curl -sS ${service}/stock; curl -sS -d qty=2 ${service}/orders; curl -sS http://site.example:${site.port}/page; echo new >kept.txt`,
  ),
  {
    content: [
      call('send_file', { path: 'notes.txt', caption: 'my notes' }),
      call('ask', { question: 'More?', choices: ['yes', 'no'] }),
    ],
  },
  { text: 'Ordered two roses.' },
];

const act = z.object({ what: z.string(), about: z.string(), text: z.string().optional() });
const detail = z.object({
  run: z.object({ id: z.number(), state: z.string(), dry: z.boolean(), error: z.string().nullable() }),
  events: z.array(z.object({ kind: z.string(), detail: z.record(z.string(), z.unknown()) })),
  outbox: z.array(z.unknown()),
  comparison: z.object({
    of: z.number(),
    dry: z.boolean(),
    did: z.array(act),
    would: z.array(act),
    replay: z.object({ models: z.array(z.string()), costMicroUsd: z.number(), durationMs: z.number().nullable() }),
  }),
});
const made = z.object({ run: z.object({ id: z.number() }) });
async function replay(of: number, body: object = { dry: true }): Promise<number> {
  return made.parse((await scene.daemon.api('POST', `/api/runs/${of}/replay`, body)).body).run.id;
}
async function ended(id: number) {
  await waitForRun(scene.daemon, id, ['done', 'dead', 'cancelled']);
  return detail.parse((await scene.daemon.api('GET', `/api/runs/${id}`)).body);
}

/** All that anybody outside can see of what was done. */
async function world() {
  const rows = async (path: string) => JSON.stringify((await scene.daemon.api('GET', path)).body);
  return {
    telegram: family.tg.sent.length,
    changes: orders.filter((line) => !line.startsWith('GET ')),
    posts: site.seen.filter(({ line }) => !/^(GET|HEAD) /.test(line)).length,
    tasks: await rows('/api/tasks'),
    approvals: await rows('/api/approvals'),
    outbox: await rows('/api/outbox'),
    groups: await rows('/api/groups'),
    files: readdirSync(workspace).map((name) => [name, readFileSync(join(workspace, name), 'utf8')]),
    sessions: readdirSync(join(home, 'data/sessions/main')),
  };
}

let first = 0;

test('nothing of a dry replay leaves the machine, and the difference is shown', async () => {
  scene.model.push(...work());
  first = await say(scene.daemon, 'order two roses');
  await waitForRun(scene.daemon, first, ['done']);
  await family.tg.waitForSent((sent) => sent.plain === 'The order is on its way.');
  await eventually(async () => (await chatTexts(scene.daemon, 'out')).includes('Ordered two roses.'), 'all is sent');
  expect(orders).toEqual(['GET /stock ', 'POST /orders qty=2']);
  writeFileSync(join(workspace, 'kept.txt'), 'old words\n');
  const before = await world();

  scene.model.push(...work());
  const { run, comparison, outbox } = await ended(await replay(first));
  expect(run).toMatchObject({ state: 'done', dry: true });
  expect(await world()).toEqual(before);
  expect(outbox).toEqual([]);
  const { did, would } = comparison;
  expect(comparison).toMatchObject({ of: first, dry: true, replay: { models: ['claude-sonnet-5-5'] } });
  expect(comparison.replay.costMicroUsd).toBeGreaterThan(0);
  const both = [
    { what: 'message', about: expect.stringContaining('to '), text: 'The order is on its way.' },
    { what: 'task', about: 'Water' },
    { what: 'file', about: 'notes.txt' },
    { what: 'question', about: 'More?' },
    { what: 'answer', text: 'Ordered two roses.' },
    { what: 'connection', about: `site.example:${site.port}` },
    { what: 'service', about: 'GET shop /stock' },
  ];
  for (const one of both) {
    expect(did).toContainEqual(expect.objectContaining(one));
    expect(would).toContainEqual(expect.objectContaining(one));
  }
  expect(would).toContainEqual(expect.objectContaining({ what: 'service', about: 'POST shop /orders', text: 'qty=2' }));
  expect(would).toContainEqual(
    expect.objectContaining({ what: 'written file', about: 'kept.txt', text: 'changed, 4 bytes: new\n' }),
  );
  // The model was told, and went on.
  const asked = JSON.stringify(scene.model.requests.slice(-4));
  expect(asked).toContain('This is a dry run');
  expect(asked).toContain('Noted; this is a dry run');
  await eventually(async () => (await containersOf(home)).length === 1, 'its container is gone');
  await eventually(() => !existsSync(join(home, 'data/dry', `${run.id}`)), 'its folder is gone');
});

/** Every call that there is, with bodies that would do something, and every way out. */
const hostile = (newest: number) => `
const http = require('node:http'), net = require('node:net');
const post = (path, body, headers = {}) => new Promise((done) => {
  const request = http.request({ port: 8080, host: '127.0.0.1', path, method: 'POST', headers: { 'content-type': 'application/json', ...headers } }, (answer) => {
    let text = ''; answer.on('data', (piece) => { text += piece; }).on('end', () => done(path + ' ' + answer.statusCode + ' ' + text));
  });
  request.on('error', (error) => done(path + ' ' + error.message)).end(typeof body === 'string' ? body : JSON.stringify(body));
});
const raw = (text) => new Promise((done) => {
  const socket = net.connect(8080, '127.0.0.1', () => socket.write(text));
  let answer = ''; socket.on('data', (piece) => { answer += piece; }).on('close', () => done(answer)).on('error', () => done('broken'));
  setTimeout(() => socket.destroy(), 1500);
});
(async () => {
  const out = [];
  for (let runId = 1; runId <= ${newest} + 4; runId += 1) {
    out.push(await post('/send', { runId, key: 'h1', text: 'leaked', chat: 'telegram:11' }));
    out.push(await post('/ask', { runId, key: 'h2', question: 'leaked?', choices: [] }));
    out.push(await post('/tasks', { runId, key: 'h3', prompt: 'leak', every: '1d' }));
    out.push(await post('/tasks/1', { runId, key: 'h4', action: 'run' }));
    out.push(await post('/file?spec=' + encodeURIComponent(JSON.stringify({ runId, key: 'h5', path: 'x', caption: 'leaked' })), 'leaked'));
    out.push(await post('/mounts', { runId, path: '/etc' }));
    out.push(await post('/skills', { runId, name: 'leak', files: [{ path: 'SKILL.md', text: 'leak' }] }));
    out.push(await post('/skills/left-out', { runId, skills: [{ name: 'x', reason: 'leak' }] }));
    out.push(await post('/mcp/propose', { runId, name: 'leak', config: '{}' }));
    out.push(await post('/groups/register', { runId, chat: 'telegram:11', folder: 'leak' }));
    out.push(await post('/approvals/1/wait', { runId }));
    out.push(await post('/runs/' + runId + '/answer', { text: 'leaked answer', step: 3 }));
  }
  for (let id = 1; id <= ${newest}; id += 1) out.push(await post('/runs/' + id + '/events', { events: [{ kind: 'note', at: 1, detail: { text: 'leaked' } }] }));
  for (const method of ['PUT', 'PATCH', 'DELETE', 'POST'])
    out.push(await raw(method + ' /service/shop/orders HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 1\\r\\nconnection: close\\r\\n\\r\\nx'));
  const site = 'site.example:${site.port}';
  out.push(await raw('CONNECT ' + site + ' HTTP/1.1\\r\\nhost: x\\r\\n\\r\\nPOST /tunnel HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n'));
  out.push(await raw('POST http://' + site + '/p HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 1\\r\\nconnection: close\\r\\n\\r\\nx'));
  out.push(await raw('GET http://' + site + '/p HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 4\\r\\nconnection: close\\r\\n\\r\\nPOST'));
  out.push(await raw('GET http://' + site + '/override HTTP/1.1\\r\\nhost: x\\r\\nx-http-method-override: DELETE\\r\\nauthorization: x\\r\\ncookie: a=1\\r\\nconnection: close\\r\\n\\r\\n'));
  out.push(await raw('GET http://unknown.example/ HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n'));
  require('node:fs').writeFileSync('/workspace/out.txt', out.join('\\n'));
  try { require('node:fs').writeFileSync('/global/leak.txt', 'leaked'); } catch {}
})();`;

test('a hostile container of a dry run gets nothing carried out, whatever it calls', async () => {
  // Another run works beside it, in the container of the group.
  scene.model.push(bash('until [ -e go ]; do sleep 0.1; done'));
  const beside = await say(scene.daemon, 'wait for it');
  await waitForRun(scene.daemon, beside, ['leased']);
  await eventually(
    () => scene.model.requests.some(({ body }) => JSON.stringify(body).includes('wait for it')),
    'it works',
  );
  writeFileSync(join(workspace, 'hostile.cjs'), hostile(beside));
  const before = await world();
  scene.model.push(bash('node hostile.cjs'), { text: 'done' });
  const { run, comparison } = await ended(await replay(first));
  expect(run.state).toBe('done');
  expect(await world()).toEqual(before);
  expect(existsSync(join(home, 'groups/global/leak.txt'))).toBe(false);
  const out = comparison.would.find(({ about }) => about.startsWith('out.txt'));
  expect(out?.text).toContain('Noted; this is a dry run');
  const whats = comparison.would.map(({ what, about }) => `${what}: ${about}`);
  for (const what of [
    'message',
    'question',
    'task',
    'file',
    'folder of the machine',
    'skill',
    'registration of a chat',
    'approval',
  ])
    expect(whats.join('\n')).toContain(what);
  expect(whats).toContain('service: DELETE shop /orders');
  expect(whats).toContain(`connection: POST with a body site.example:${site.port}`);
  const override = site.seen.find(({ line }) => line.includes('override'));
  expect(JSON.stringify(override?.rawHeaders)).not.toMatch(/override|authorization|cookie/i);
  const others = JSON.stringify((await scene.daemon.api('GET', `/api/runs/${beside}`)).body);
  expect(others).not.toContain('leaked');
  scene.model.push({ text: 'I waited.' });
  writeFileSync(join(workspace, 'go'), '');
  await waitForRun(scene.daemon, beside, ['done']);
  await eventually(async () => (await chatTexts(scene.daemon, 'out')).includes('I waited.'), 'all is sent');
});

test('a dry run that kill -9 interrupts stays dry; what is said meanwhile is no part of it', async () => {
  const before = await world();
  scene.model.push(bash('echo draft >draft.txt; sleep 60'));
  const id = await replay(first, { dry: true, prompt: 'order three tulips' });
  await eventually(() => existsSync(join(home, 'data/dry', `${id}`, 'workspace/draft.txt')), 'it writes');
  expect(JSON.stringify(scene.model.requests.at(-1)?.body)).toContain('order three tulips');
  await scene.daemon.kill('SIGKILL');
  await eventually(async () => (await containersOf(home)).length === 0, 'its container is gone');
  scene.model.push(
    { content: [call('send_message', { chat: 'telegram:11', text: 'leaked' })] },
    { text: 'Three tulips.' },
  );
  scene.daemon = await startDaemon({ home, env: { ...scene.env, ...env } });
  const { run, comparison } = await ended(id);
  expect(run).toMatchObject({ state: 'done', dry: true });
  expect(await world()).toEqual(before);
  const would = comparison.would.map(({ what, text: said }) => `${what} ${said}`);
  expect(would).toEqual(
    expect.arrayContaining(['message leaked', 'answer Three tulips.', 'written file new, 6 bytes: draft\n']),
  );
});

test('from the chat: the owner reads there what it would have done', async () => {
  scene.model.push({ text: 'Four lilies.' });
  family.tg.userSends(family.direct, family.olga, `/replay ${first} dry`);
  await family.tg.waitForSent((sent) => /does run \d+ again, dry/.test(sent.plain));
  const report = await family.tg.waitForSent((sent) => /was run \d+ again, dry/.test(sent.plain));
  expect(report.plain).toContain('answer: to its chat — Four lilies.');
  expect(report.plain).toContain('message: to');
});

test('with another model, for real: the answer goes to its chat', async () => {
  scene.model.push({ text: 'From another one.' });
  const { comparison } = await ended(await replay(first, { model: 'claude-opus-5' }));
  expect(comparison).toMatchObject({ dry: false, replay: { models: ['claude-opus-5'] } });
  expect(await nthReply(scene.daemon, (await chatTexts(scene.daemon, 'out')).length)).toBe('From another one.');
});

test('in the terminal: it waits for the run and shows both side by side', async () => {
  scene.model.push({ text: 'Five daisies.' });
  const program = `import('./dist/cli.js').then(async ({ runCli }) => { process.exitCode = await runCli(process.argv.slice(1)) })`;
  const settings = { ...process.env, PINCH_HOME: home, PINCH_PORT: String(scene.daemon.port) };
  const cwd = join(import.meta.dirname, '../..');
  const args = ['-e', program, 'replay', String(first), '--dry'];
  const { stdout } = await promisify(execFile)('node', args, { cwd, env: settings });
  expect(stdout).toMatch(/message: to .*The order is on its way\.\s+\| –/);
  expect(stdout).toMatch(/answer: to its chat — Ordered two roses\.\s+\| answer: to its chat — Five daisies\./);
});
