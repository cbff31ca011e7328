// Published MCP servers as the agent of a real container has them: found, called, asked for, denied, stopped, killed, changed. The agent's container
// never holds what they are given.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { PROOF_MS } from '../limits.js';
import { eventually, newHome } from './harness.js';
import { bash, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

const CANARY = 'canary-of-mcp-0123456789';
const VERSION = '2026.8.31';
/** Where the servers run: on this machine, or each in a container of its own. */
const HOST = true;

let scene: Scene;
let home: string;
let packages: string;
let files: string;
let script: string;

beforeAll(async () => {
  [home, packages] = [newHome(), mkdtempSync(join(tmpdir(), 'pinch-mcp-packages-'))];
  [files, script] = [join(packages, 'files'), join(packages, 'script.json')];
  mkdirSync(files);
  const names = ['everything', 'filesystem', 'memory'].map((name) => `@modelcontextprotocol/server-${name}@${VERSION}`);
  if (HOST)
    execFileSync('npm', ['install', '--prefix', packages, '--ignore-scripts', '--no-audit', '--no-fund', ...names]);
  const list = {
    all: server('everything', [], {
      env: { GIVEN: 'MCP_SECRET' },
      tools: { '*': 'allow' },
      description: 'tries everything',
    }),
    files: server('filesystem', [HOST ? files : '/data'], { tools: { write_file: 'allow', move_file: 'deny' } }),
    memory: server('memory', [], {
      ...{ trusted: true, tools: { create_entities: 'allow', read_graph: 'allow', delete_relations: 'deny' } },
      env: { MEMORY_FILE_PATH: { value: HOST ? join(files, 'memory.jsonl') : '/data/memory.jsonl' } },
    }),
    own: {
      ...{ kind: 'mcp', groups: ['main'], host: true, tools: { '*': 'always' } },
      command: ['node', join(import.meta.dirname, '../../src/mcp/testing/server.mjs'), script],
    },
  };
  behave({});
  writeFileSync(join(home, 'services.json'), JSON.stringify(list), { mode: 0o600 });
  writeFileSync(join(home, '.env'), `MCP_SECRET=${CANARY}\n`, { mode: 0o600 });
  scene = await startScene({ daemon: { home } });
}, PROOF_MS);
afterAll(async () => {
  await scene.close();
  rmSync(packages, { recursive: true, force: true });
});

function server(name: string, args: string[], more: object) {
  const program = `mcp-server-${name}`;
  const common = { kind: 'mcp', groups: ['main'], ...more };
  if (!HOST)
    return { ...common, packages: [`@modelcontextprotocol/server-${name}@${VERSION}`], command: [program, ...args] };
  return { ...common, host: true, command: [join(packages, 'node_modules/.bin', program), ...args] };
}
const behave = (how: object) => writeFileSync(script, JSON.stringify({ log: join(packages, 'log'), ...how }));
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

/** Processes of this machine whose command has these words. */
function processesOf(words: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(words);
      } catch {
        return false;
      }
    });
}

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

test('what a server is given is not in the container of the agent, nor in what the server tells', async () => {
  const { said } = await work(
    bash(
      `{ env; cat /proc/*/environ; grep -r ${CANARY.slice(0, 12)} /workspace /sessions; } >/workspace/seen.txt 2>&1`,
    ),
    use('mcp__all__get-env'),
  );
  expect(readFileSync(join(home, 'groups/main/seen.txt'), 'utf8')).not.toContain(CANARY);
  expect(said[1]).toContain('GIVEN');
  expect(said[1]).toContain('*****');
  expect(JSON.stringify(scene.model.requests.map(({ raw }) => raw.toString()))).not.toContain(CANARY);
  expect(scene.daemon.logs.map((line) => JSON.stringify(line)).join()).not.toContain(CANARY);
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
  const { said } = await work(use('mcp__files__write_file', { path: join(files, 'a.txt'), content: 'x' }));
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

test('a server that is killed is there again for a later call', async () => {
  await work(use('mcp__own__echo', { text: 'one' }));
  for (const pid of processesOf(script)) process.kill(pid, 'SIGKILL');
  await eventually(async () => (await service('own'))?.state === 'resting', 'it ended');
  expect(await service('own')).toMatchObject({ lastError: expect.stringContaining('it ended with SIGKILL') });
  const said = async () => (await work(use('mcp__own__echo', { text: 'two' }))).said[0];
  await eventually(async () => (await said())?.includes('you said two'), 'it answers again');
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
  expect((await work(use('mcp__notes__read_graph'))).said[0]).toContain('entities');
});

test('the emergency stop ends all servers, and so does the end of Pinch, even by kill -9', async () => {
  expect(processesOf(script)).not.toEqual([]);
  await scene.daemon.api('POST', '/api/stop');
  await eventually(() => processesOf(script).length === 0 && processesOf(packages).length === 0, 'none runs');
  await scene.daemon.api('POST', '/api/resume');
  await work(use('mcp__own__echo', { text: 'back' }));
  expect(processesOf(script)).not.toEqual([]);
  await scene.daemon.kill('SIGKILL');
  await eventually(() => processesOf(script).length === 0 && processesOf(packages).length === 0, 'none is left');
});
