// Published MCP servers, each in its sealed container, as the agent has them: installed by Pinch, found, called, asked for, denied, stopped, killed,
// changed. What they are given is in their own container and nowhere else.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { PROOF_MS, whenBusy } from '../limits.js';
import { containersOf, eventually, newHome, startDaemon } from './harness.js';
import { agentContainerOf, boxesOf, filesWith, inContainer, inspected, killContainer } from './servers.js';
import { bash, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

const VERSION = '2026.8.31';
/** What each server is given, and no other. */
const CANARIES = {
  all: 'canary-of-everything-0123456789',
  files: 'canary-of-the-files-9876543210',
  memory: 'canary-of-the-memory-5647382910',
};
const variable = (name: string) => `SECRET_OF_${name.toUpperCase()}`;

let scene: Scene;
const home = newHome();
const script = join(home, 'data/mcp/own/data/script.json');

beforeAll(async () => {
  const list = {
    all: server('everything', [], {
      env: { GIVEN: variable('all') },
      tools: { '*': 'allow' },
      description: 'tries everything',
    }),
    files: server('filesystem', ['/data'], {
      ...{ env: { GIVEN: variable('files') }, tools: { write_file: 'allow', move_file: 'deny' } },
    }),
    memory: server('memory', [], {
      ...{ trusted: true, tools: { create_entities: 'allow', read_graph: 'allow', delete_relations: 'deny' } },
      env: { GIVEN: variable('memory'), MEMORY_FILE_PATH: { value: '/data/memory.jsonl' } },
    }),
    own: {
      ...{ kind: 'mcp', groups: ['main'], tools: { '*': 'always' }, program: 'src/mcp/testing' },
      command: ['node', '/server/server.mjs', '/data/script.json'],
    },
  };
  mkdirSync(join(script, '..'), { recursive: true });
  behave({});
  writeFileSync(join(home, 'services.json'), JSON.stringify(list), { mode: 0o600 });
  const secrets = Object.entries(CANARIES).map(([name, value]) => `${variable(name)}=${value}\n`);
  writeFileSync(join(home, '.env'), secrets.join(''), { mode: 0o600 });
  scene = await startScene({ daemon: { home } });
  // A run does not wait for a first install.
  for (const name of Object.keys(list))
    expect(await scene.daemon.api('POST', `/api/services/${name}/test`)).toMatchObject({ body: { state: 'running' } });
}, PROOF_MS);
afterAll(() => scene.close());

const server = (name: string, args: string[], more: object) => ({
  ...{ kind: 'mcp', groups: ['main'], packages: [`@modelcontextprotocol/server-${name}@${VERSION}`] },
  ...{ command: [`mcp-server-${name}`, ...args], ...more },
});
const behave = (how: object) => writeFileSync(script, JSON.stringify({ log: '/data/log', ...how }), { mode: 0o644 });
const use = (name: string, input: object = {}) => ({
  content: [{ type: 'tool_use' as const, name, input: { ...input } }],
});

/** Works with these steps of the model; returns what came of the calls. */
async function work(...steps: Parameters<Scene['model']['push']>) {
  const from = scene.model.requests.length;
  scene.model.push(...steps, { text: 'done' });
  const runId = await say(scene.daemon, 'go');
  await waitForRun(scene.daemon, runId, ['done']);
  expect(scene.model.rejections()).toEqual([]);
  const requests = scene.model.requests.slice(from).map(({ body }) => body);
  const results = (requests.at(-1)?.messages ?? []).flatMap(({ content }) => (Array.isArray(content) ? content : []));
  const said = results.filter((part) => part.type === 'tool_result').slice(-steps.length);
  return { runId, requests, said: said.map((part) => JSON.stringify(part)) };
}
const namesOf = (body: Awaited<ReturnType<typeof work>>['requests'][number]) =>
  (body?.tools ?? []).map((tool) => String(Object(tool).name)).filter((name) => name.startsWith('mcp_'));
const service = async (name: string) => {
  const { body } = await scene.daemon.api('GET', '/api/services');
  const { services } = z.object({ services: z.array(z.looseObject({ name: z.string() })) }).parse(body);
  return services.find((one) => one.name === name);
};
const approvals = async () =>
  z
    .object({
      approvals: z.array(z.object({ id: z.number(), state: z.string(), subject: z.string(), detail: z.string() })),
    })
    .parse((await scene.daemon.api('GET', '/api/approvals')).body).approvals;
/** Answers, and waits until the agent was told. */
async function decide(id: number, decision: 'allow' | 'deny'): Promise<string> {
  const from = scene.model.requests.length;
  scene.model.push({ text: 'told' });
  await scene.daemon.api('POST', `/api/approvals/${id}`, { decision });
  const { raw } = await scene.model.waitForRequest(
    (request) => request.index >= from && request.raw.toString().includes(`Approval ${id} (`),
  );
  await eventually(async () => {
    const { body } = await scene.daemon.api('GET', '/api/status');
    const { runs } = z.object({ runs: z.record(z.string(), z.number()) }).parse(body);
    return !runs.leased && !runs.ready;
  }, 'nothing is worked on');
  return raw.toString();
}

/** All that was written into the database, as text. */
function rowsOf(folder: string): string {
  const db = new Database(join(folder, 'data/pinch.db'), { readonly: true });
  try {
    const tables = z
      .array(z.object({ name: z.string() }))
      .parse(db.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).all());
    return tables.map(({ name }) => JSON.stringify(db.prepare(`SELECT * FROM "${name}"`).all())).join();
  } finally {
    db.close();
  }
}

const onlyBox = async (name: string): Promise<string> => {
  const [id, ...more] = await boxesOf(home, name);
  if (id === undefined || more.length > 0) throw new Error(`there is not one container of ${name}`);
  return id;
};

test('each runs sealed in a container of its own, and the status names them', async () => {
  const { body } = await scene.daemon.api('GET', '/api/status');
  expect(body).toMatchObject({ servers: ['all', 'files', 'memory', 'own'] });
  for (const name of ['all', 'files', 'memory', 'own']) {
    const box = (await containersOf(home)).find(({ Config }) => Config.Labels['pinch.server'] === name);
    expect(box).toMatchObject({
      HostConfig: { NetworkMode: 'none', ReadonlyRootfs: true, CapDrop: ['ALL'], PidsLimit: 256 },
    });
    const mounts = (box?.Mounts ?? []).map(({ Destination, RW }) => `${Destination} ${RW ? 'rw' : 'ro'}`);
    expect(mounts.sort()).toEqual(['/data rw', '/server ro']);
  }
});

test('the small lists are in the prompt, a tool of a long one is found and stays', async () => {
  const { requests, said } = await work(
    use('mcp__memory__create_entities', {
      entities: [{ name: 'Olga', entityType: 'person', observations: ['likes tea'] }],
    }),
    use('mcp_search', { query: 'echo a message' }),
    use('mcp__all__echo', { message: 'hello out there' }),
  );
  expect(namesOf(requests[0])).toContain('mcp__memory__create_entities');
  expect(namesOf(requests[0])).not.toContain('mcp__memory__delete_relations');
  expect(namesOf(requests[0])).not.toContain('mcp__all__echo');
  expect(namesOf(requests[2])).toContain('mcp__all__echo');
  expect(JSON.stringify(requests[0]?.system)).toContain('- all: tries everything [mcp_search finds its tools]');
  expect(said[2]).toContain('<untrusted source=\\"the MCP server all\\">\\nEcho: hello out there');
  expect(said[0]).toContain('likes tea');
  expect(said[0]).not.toContain('<untrusted');
  const later = await work(use('mcp__memory__read_graph'));
  expect(namesOf(later.requests[0])).toContain('mcp__all__echo');
  expect(later.said[0]).toContain('likes tea');
});

test('pictures, links, resources and what is only structured reach the model', async () => {
  const { said } = await work(
    use('mcp__all__get-tiny-image'),
    use('mcp__all__get-resource-links', { count: 2 }),
    use('mcp__all__get-structured-content', { location: 'Chicago' }),
    use('mcp__all__get-resource-reference', { resourceType: 'Blob', resourceId: 1 }),
  );
  expect(said[0]).toContain('"media_type":"image/png"');
  expect(said[1]).toContain('a link to');
  expect(said[2]).toContain('temperature');
  expect(said[3]).toMatch(/\/workspace\/\.out\/\S+/);
});

test('a long answer, which is read off the event loop, reaches it too', async () => {
  const { said } = await work(use('mcp__all__echo', { message: `begin ${'long '.repeat(20_000)}` }));
  expect(said[0]).toContain('Echo: begin long long');
});

test('what a server is given is in its own container, and nowhere else', async () => {
  const { said } = await work(bash('env; cat /proc/*/environ'), use('mcp__all__get-env'));
  expect(said[1]).toContain('GIVEN');
  expect(said[1]).toContain('*****');
  const agent = await agentContainerOf(home);
  const outside = {
    agent: await inContainer(
      agent,
      `env; cat /proc/*/environ /proc/*/cmdline; grep -rsaE 'canary-of|${variable('')}' /workspace /sessions /global /skills /tmp /run /etc /opt /home`,
    ),
    agentInspected: await inspected(agent),
    requests: scene.model.requests.map(({ raw }) => raw.toString()).join(),
    logs: JSON.stringify(scene.daemon.logs) + scene.daemon.stderr(),
    status: JSON.stringify(await scene.daemon.api('GET', '/api/services')),
    rows: rowsOf(home),
  };
  for (const [name, canary] of Object.entries(CANARIES)) {
    const box = await onlyBox(name);
    const inside = await inContainer(box, 'cat /proc/*/environ');
    expect(inside, name).toContain(`GIVEN=${canary}`);
    for (const other of Object.values(CANARIES).filter((one) => one !== canary)) expect(inside).not.toContain(other);
    expect(await inContainer(box, `grep -rsa ${canary} /server /data /tmp /run /etc`), name).toBe('');
    expect(await inspected(box), name).not.toContain(canary);
    for (const [place, text] of Object.entries(outside)) expect(text, `${name}: ${place}`).not.toContain(canary);
    expect(filesWith(home, canary), name).toEqual(['.env']);
  }
});

test('what asks waits for the owner, is done once after the yes and told; what is denied is not done', async () => {
  const wished = { entityNames: ['Olga'] };
  const { said } = await work(
    use('mcp__memory__delete_entities', wished),
    use('mcp__files__move_file', { source: 'a', destination: 'b' }),
  );
  expect(said[0]).toContain("This needs the owner's yes. Approval 1 (delete_entities of the MCP server memory): waits");
  expect(said[1]).toContain('"is_error":true');
  const [asked] = await approvals();
  expect(asked).toMatchObject({
    id: 1,
    state: 'open',
    detail: expect.stringContaining('"entityNames": [\n    "Olga"'),
  });
  expect(await decide(1, 'allow')).toMatch(/delete\S*_entities` of `memory` answered/);
  expect((await work(use('mcp__memory__read_graph'))).said[0]).not.toContain('likes tea');
  await work(use('mcp__memory__delete_entities', { entityNames: ['Nobody'] }));
  await decide(2, 'deny');
  expect((await approvals()).find(({ id }) => id === 2)).toMatchObject({ state: 'denied' });
});

test("after a stranger's words what writes asks, though it is allowed", async () => {
  const { said } = await work(use('mcp__files__write_file', { path: '/data/a.txt', content: 'x' }));
  expect(said[0]).toContain("needs the owner's yes");
  expect((await approvals()).find(({ state }) => state === 'open')?.detail).toContain(
    'It may act on what it was given: the MCP server all',
  );
});

test('a run that is stopped cancels its call; its progress is in the timeline, and the server lives on', async () => {
  scene.model.push(use('mcp__all__trigger-long-running-operation', { duration: 100, steps: 50 }));
  const runId = await say(scene.daemon, 'go');
  const progress = async () => (await runOf(scene.daemon, runId)).events.find(({ kind }) => kind === 'mcp_progress');
  expect(await eventually(progress, 'progress')).toMatchObject({ detail: { service: 'all', total: 50 } });
  await scene.daemon.api('POST', '/api/chat', { text: '/stop' });
  const { events } = await waitForRun(scene.daemon, runId, ['cancelled']);
  expect(events.filter(({ kind }) => kind === 'mcp').at(-1)).toMatchObject({
    detail: { verdict: 'failed', why: expect.stringContaining('was stopped') },
  });
  expect(await service('all')).toMatchObject({ state: 'running' });
});

test('a server that is killed, or its container, is there again for a later call', async () => {
  const ends = [
    async () => killContainer(await onlyBox('own')),
    async () => inContainer(await onlyBox('own'), 'kill -9 $(pgrep -f server.mjs)'),
  ];
  for (const end of ends) {
    expect((await work(use('mcp__own__echo', { text: 'one' }))).said[0]).toContain('you said one');
    await end();
    await eventually(async () => (await service('own'))?.state === 'resting', 'it ended');
    expect(await service('own')).toMatchObject({
      lastError: expect.stringMatching(/^exit code 137.*wrote last: .*hello on stderr$/),
    });
    const said = async () => (await work(use('mcp__own__echo', { text: 'two' }))).said[0];
    await eventually(async () => (await said())?.includes('you said two'), 'it answers again');
  }
});

test('tools that a server changes wait for the owner', async () => {
  const fresh = { name: 'fresh', description: 'not seen before', inputSchema: { type: 'object' } };
  behave({ tools: [fresh] });
  expect(await scene.daemon.api('POST', '/api/services/own/restart')).toMatchObject({ status: 200 });
  expect(await scene.daemon.api('POST', '/api/services/own/test')).toMatchObject({ body: { withheld: ['fresh'] } });
  expect((await work(use('mcp__own__fresh'), use('mcp__own__echo', { text: 'still' }))).said).toMatchObject([
    expect.stringContaining('"is_error":true'),
    expect.stringContaining('you said still'),
  ]);
  const open = (await approvals()).find(({ subject }) =>
    subject.includes('new or changed tools of the MCP server own'),
  );
  expect(open?.detail).toContain('+ fresh (new)\ndescription: not seen before');
  await scene.daemon.api('POST', `/api/approvals/${open?.id}`, { decision: 'allow' });
  await eventually(
    async () => (await approvals()).find(({ id, state }) => id === open?.id && state === 'done'),
    'it is done',
  );
  expect((await work(use('mcp__own__fresh'))).said[0]).toContain('fresh did it');
});

test('an agent proposes a server, and it works after the yes', async () => {
  const config = JSON.stringify({ ...server('memory', [], {}), tools: { read_graph: 'allow' }, trusted: true });
  const { said } = await work(bash(`pinch service propose notes <<'EOF'\n${config}\nEOF`));
  const [, id = '0'] = /Approval (\d+) \(a new service notes/.exec(said[0] ?? '') ?? [];
  expect(await decide(Number(id), 'allow')).toContain('The service `notes` is in services.json');
  // It is installed first, for which a run may not wait long enough.
  expect(await scene.daemon.api('POST', '/api/services/notes/test')).toMatchObject({ body: { state: 'running' } });
  expect((await work(use('mcp__notes__read_graph'))).said[0]).toContain('entities');
});

const seconds = async (end: Promise<unknown>): Promise<number> => {
  const begun = Date.now();
  await end;
  return Date.now() - begun;
};
const noBox = () => eventually(async () => (await boxesOf(home)).length === 0, 'no container of a server is left');

test('the emergency stop ends all servers within two seconds', async () => {
  expect((await boxesOf(home)).length).toBeGreaterThan(3);
  // It does not end by itself.
  behave({ stays: true });
  await scene.daemon.api('POST', '/api/stop');
  const took = await seconds(noBox());
  console.info(`gone after ${took} ms`);
  expect(took).toBeLessThan(whenBusy(2_000));
  expect(await scene.daemon.api('GET', '/api/status')).toMatchObject({ body: { servers: [] } });
  behave({});
  await scene.daemon.api('POST', '/api/resume');
});

test('so does the end of Pinch, within ten seconds, and kill -9', async () => {
  const back = async () => {
    expect((await work(use('mcp__own__echo', { text: 'back' }))).said[0]).toContain('you said back');
    expect(await boxesOf(home, 'own')).toHaveLength(1);
  };
  await back();
  // It ignores that its input ends.
  behave({ stays: true });
  const took = await seconds(scene.daemon.kill('SIGTERM'));
  console.info(`ended after ${took} ms`);
  expect(took).toBeLessThan(whenBusy(10_000));
  expect(await scene.daemon.exited).toEqual({ code: 0, signal: null });
  // The engine may take a moment longer to remove what was killed.
  await noBox();
  behave({});
  scene.daemon = await startDaemon({ home, env: scene.env });
  await back();
  await scene.daemon.kill('SIGKILL');
  await noBox();
});
