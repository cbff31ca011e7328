// An API of the owner as the agent's shell has it: curl and git in a real container, the servers on this machine, the approval answered by the owner.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { listen } from '../../src/egress/testing/inside.js';
import { startTlsSite } from '../../src/egress/testing/sites.js';
import { eventually, newHome, startDaemon } from './harness.js';
import { bash, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

const TOKEN = 'canary-token-0123456789';
let scene: Scene;
let home: string;
let repositories: string;
let api: Server;
let tls: Awaited<ReturnType<typeof startTlsSite>>;
let seen: { line: string; authorization: string | undefined; body: string }[];
let hold: Promise<void> | undefined;

beforeAll(async () => {
  [home, repositories, seen] = [newHome(), mkdtempSync(join(tmpdir(), 'pinch-git-')), []];
  api = createServer(async (request, response) => {
    const { method, url = '', headers } = request;
    const line = `${method} ${url}`;
    if (url.startsWith('/git/')) {
      seen.push({ line, authorization: headers.authorization, body: '' });
      return void serveGit(request, response);
    }
    seen.push({ line, authorization: headers.authorization, body: await text(request) });
    await hold;
    response.end(`you are ${headers.authorization}\n`);
  });
  const port = await listen(api);
  tls = await startTlsSite('localhost');
  const sh = (command: string) => execFileSync('sh', ['-ec', command], { cwd: repositories, stdio: 'pipe' });
  sh(
    'git init -q work && cd work && echo hello >a && git add a && git -c user.name=x -c user.email=x@x commit -qm a && cd .. && git clone -q --bare work x.git',
  );
  const service = { kind: 'http', auth: { bearer: 'API_TOKEN' }, groups: ['main'] };
  const list = {
    issues: { ...service, url: `http://127.0.0.1:${port}/v1`, description: 'the issues of the owner' },
    tls: { ...service, url: `https://localhost:${tls.port}/v1` },
    forge: { ...service, url: `http://127.0.0.1:${port}/git`, git: true, trusted: true },
  };
  writeFileSync(join(home, 'services.json'), JSON.stringify(list), { mode: 0o600 });
  writeFileSync(join(home, '.env'), `API_TOKEN=${TOKEN}\n`, { mode: 0o600 });
  scene = await startScene({ daemon: { home, env: { NODE_EXTRA_CA_CERTS: tls.ca } } });
});
afterAll(async () => {
  await scene.close();
  api.close();
  tls.close();
  api.closeAllConnections();
  rmSync(repositories, { recursive: true, force: true });
});

/** Git's own server program behind CGI. */
function serveGit(request: IncomingMessage, response: ServerResponse): void {
  const [path = '', query = ''] = (request.url ?? '').replace('/git', '').split('?');
  const { 'content-type': type = '', 'content-encoding': coding = '', 'git-protocol': protocol = '' } = request.headers;
  const cgi = {
    GIT_PROJECT_ROOT: repositories,
    GIT_HTTP_EXPORT_ALL: '1',
    REMOTE_USER: 'x',
    PATH_INFO: path,
    QUERY_STRING: query,
  };
  const head = {
    REQUEST_METHOD: request.method,
    CONTENT_TYPE: type,
    HTTP_CONTENT_ENCODING: coding,
    GIT_PROTOCOL: `${protocol}`,
  };
  const backend = spawn('git', ['http-backend'], { env: { PATH: process.env.PATH, ...cgi, ...head } });
  request.pipe(backend.stdin);
  void buffer(backend.stdout).then((output) => {
    const end = output.indexOf('\r\n\r\n');
    const lines = output
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((one) => one.split(': '));
    const headers = Object.fromEntries(lines);
    response.writeHead(Number.parseInt(headers.Status ?? '200', 10), headers).end(output.subarray(end + 4));
  });
}

/** What a command in the container prints. */
async function shell(command: string): Promise<{ out: string; runId: number }> {
  scene.model.push(bash(`{ ${command}\n} >/workspace/out.txt 2>&1`), { text: 'done' });
  const runId = await say(scene.daemon, 'go');
  await waitForRun(scene.daemon, runId, ['done']);
  return { out: readFileSync(join(home, 'groups/main/out.txt'), 'utf8'), runId };
}
const base = 'http://127.0.0.1:8080/service';

test('curl reads with a credential that is nowhere in the container, and the timeline tells it', async () => {
  const { out, runId } = await shell(`curl -sS '${base}/issues/list?q=1'; env; pinch service; cat /proc/*/environ`);
  expect(seen.at(-1)).toMatchObject({ line: 'GET /v1/list?q=1', authorization: `Bearer ${TOKEN}` });
  expect(out).toContain('you are Bearer ***********************');
  expect(out).toContain('issues: the issues of the owner\n  http://127.0.0.1:8080/service/issues/');
  expect(out).not.toContain(TOKEN);
  const { events } = await runOf(scene.daemon, runId);
  expect(events.filter(({ kind }) => kind === 'service')).toMatchObject([
    { detail: { service: 'issues', method: 'GET', path: '/list', status: 200, verdict: 'allowed' } },
  ]);
  expect(JSON.stringify(scene.model.requests.at(-1))).toContain('- issues: the issues of the owner');
});

test('over https the certificate is checked on the host', async () => {
  expect((await shell(`curl -sS ${base}/tls/x`)).out).toBe(`you asked for localhost:${tls.port}/v1/x\n`);
  expect(JSON.stringify(tls.seen[0]?.rawHeaders)).toContain(TOKEN);
});

const approvals = z.object({
  approvals: z.array(z.object({ id: z.number(), state: z.string(), subject: z.string(), detail: z.string() })),
});
const list = async () => approvals.parse((await scene.daemon.api('GET', '/api/approvals')).body).approvals;
const yes = (id: number) => scene.daemon.api('POST', `/api/approvals/${id}`, { decision: 'allow' });

test('git clones from the host of a service through it', async () => {
  const url = `http://127.0.0.1:${Object(api.address()).port}/git/x.git`;
  const push = 'echo more >b; git add b; git -c user.name=x -c user.email=x@x commit -qm b; git push -q';
  const { out } = await shell(`cd /tmp && git clone -q ${url} cloned && cd cloned && cat a && ${push}`);
  expect(out).toMatch(/^hello\n[\s\S]*403/);
  const lines = seen.filter(({ line }) => line.includes('/git/')).map(({ line }) => line);
  expect(lines).toContain('POST /git/x.git/git-upload-pack');
  expect(lines).not.toContain('POST /git/x.git/git-receive-pack');
  expect(seen.at(-1)?.authorization).toBe(`Bearer ${TOKEN}`);
  expect((await list())[0]).toMatchObject({ state: 'open', subject: `POST ${url}/git-receive-pack` });
  await scene.daemon.api('POST', '/api/approvals/1', { decision: 'deny' });
});

test('what changes something waits for the owner; `pinch wait` has what came back', async () => {
  const command = `curl -sS -o /dev/null -w '%{http_code} %{time_total}' -d title=x '${base}/issues/new'; pinch wait 2`;
  scene.model.push(bash(`{ ${command}\n} >/workspace/out.txt 2>&1`), { text: 'done' });
  const runId = await say(scene.daemon, 'go');
  const asked = async () => (await list()).find(({ id }) => id === 2);
  const approval = await eventually(asked, 'the owner is asked');
  expect(approval).toMatchObject({ state: 'open', detail: expect.stringContaining('title=x') });
  await yes(2);
  await waitForRun(scene.daemon, runId, ['done']);
  const out = readFileSync(join(home, 'groups/main/out.txt'), 'utf8');
  expect(out).toMatch(/^403 [0-3]\./);
  expect(out).toContain('yes, and it is done. The service `issues` answered with status 200.');
  expect(out).toContain('you are Bearer ***********************');
  expect(seen.filter(({ line }) => line === 'POST /v1/new')).toMatchObject([{ body: 'title=x' }]);
});

test('killed between the yes and the end it says that nobody knows, and does it no second time', async () => {
  await shell(`curl -sS -o /dev/null -d title=y '${base}/issues/new'`);
  let release = (): void => undefined;
  hold = new Promise((resolve) => {
    release = resolve;
  });
  await yes(3);
  await eventually(() => seen.some(({ body }) => body === 'title=y'), 'it is sent');
  expect((await list())[0]).toMatchObject({ id: 3, state: 'allowed' });
  await scene.daemon.kill('SIGKILL');
  release();
  hold = undefined;
  scene.daemon = await startDaemon({ home, env: scene.env });
  const { body } = await scene.daemon.api('GET', '/api/approvals');
  expect(Object(body).approvals[0]).toMatchObject({
    id: 3,
    state: 'failed',
    result: expect.stringContaining('not known'),
  });
  expect(seen.filter((one) => one.body === 'title=y')).toHaveLength(1);
});

test('the owner’s side: list, test, doctor', async () => {
  const { body } = await scene.daemon.api('GET', '/api/services');
  expect(body).toMatchObject({
    problems: [],
    services: [{ name: 'issues', variables: [{ name: 'API_TOKEN', set: true }] }, { name: 'tls' }, { name: 'forge' }],
  });
  const program = `import('./dist/cli.js').then(({ runCli }) => runCli(process.argv.slice(1))).then((code) => process.exit(code))`;
  const env = { ...process.env, PINCH_HOME: home, PINCH_PORT: `${scene.daemon.port}` };
  const pinch = (...args: string[]) =>
    promisify(execFile)('node', ['-e', program, ...args], { cwd: join(import.meta.dirname, '../..'), env }).then(
      ({ stdout }) => stdout,
    );
  expect(await pinch('service', 'list')).toContain('issues  http://127.0.0.1:');
  expect(await pinch('service', 'test', 'issues')).toContain('issues answers a GET with status 200: it works');
  expect(await pinch('service', 'body', '2')).toMatch(/^POST http:.*\/v1\/new\n[\s\S]*\n\ntitle=x\n$/);
  for (const output of [JSON.stringify(body), await pinch('service', 'list', '--json')])
    expect(output).not.toContain(TOKEN);
});
