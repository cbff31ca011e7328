// The way out as the agent's shell has it: programs in a real container, sites on this machine to which rules of the owner lead.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type Site, startSite, startTlsSite } from '../../src/egress/testing/sites.js';
import { bash, chatTexts, nthReply, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

const MB = 1024 * 1024;
let scene: Scene;
let site: Site;
let tls: Site;
let large: Site;
beforeAll(async () => {
  scene = await startScene();
  site = await startSite();
  tls = await startTlsSite('tls.example');
  large = await startSite(async (_seen, _request, response) => void response.end(Buffer.alloc(100 * MB)));
  for (const [host, { port }] of Object.entries({ 'site.example': site, 'tls.example': tls, 'large.example': large }))
    await scene.daemon.api('POST', '/api/egress', { host, ports: [port], address: '127.0.0.1' });
});
afterAll(async () => {
  await scene.close();
  for (const one of [site, tls, large]) one.close();
});

/** What a command in the container prints. */
async function shell(command: string, text = 'go'): Promise<{ out: string; runId: number }> {
  scene.model.push(bash(`{ ${command}\n} >/workspace/out.txt 2>&1`), { text: 'done' });
  const runId = await say(scene.daemon, text);
  await waitForRun(scene.daemon, runId, ['done']);
  return { out: readFileSync(join(scene.daemon.home, 'groups/main/out.txt'), 'utf8'), runId };
}
const egressOf = async (runId: number) =>
  (await runOf(scene.daemon, runId)).events.filter(({ kind }) => kind === 'egress').map(({ detail }) => detail);

test.each([
  ['curl', () => `curl -sS http://site.example:${site.port}/x`, 'site.example'],
  ['curl over https', () => `curl -sSk https://tls.example:${tls.port}/x`, 'tls.example'],
  [
    'fetch of Node',
    () => `node -e "fetch('http://site.example:${site.port}/x').then((r) => r.text()).then(console.log)"`,
    'site.example',
  ],
  [
    'https.get of Node',
    () =>
      `node -e "require('https').get('https://tls.example:${tls.port}/x', { rejectUnauthorized: false }, (r) => r.pipe(process.stdout))"`,
    'tls.example',
  ],
  [
    'Python',
    () =>
      `python3 -c "import urllib.request; print(urllib.request.urlopen('http://site.example:${site.port}/x').read().decode())"`,
    'site.example',
  ],
  ['git', () => `git ls-remote http://site.example:${site.port}/x`, 'is this a git repository'],
])('%s reaches a site that the owner allowed', async (_client, command, expected) => {
  const { out, runId } = await shell(command());
  expect(out).toContain(expected);
  expect(await egressOf(runId)).toContainEqual(expect.objectContaining({ verdict: 'allowed', why: 'rule' }));
});

test('programs have roots to check certificates with: a stranger’s is refused, not the store', async () => {
  const python = `python3 -c "import ssl; print('roots', ssl.create_default_context().cert_store_stats()['x509_ca'])"`;
  const git = `git ls-remote https://tls.example:${tls.port}/x`;
  const { out } = await shell(`curl -sS https://tls.example:${tls.port}/; echo "curl $?"; ${python}; ${git}`);
  expect(out).toContain('curl 60');
  expect(Number(/roots (\d+)/.exec(out)?.[1])).toBeGreaterThan(80);
  expect(out).toContain('server certificate verification failed');
});

test('a program that knows no proxy reaches by its name what a rule named when the container started, and nothing else', async () => {
  const python = (host: string, port: number) =>
    `python3 -c "import socket; s = socket.create_connection(('${host}', ${port}), 10); s.sendall(b'GET /direct HTTP/1.0\\r\\nHost: ${host}\\r\\n\\r\\n'); print(b''.join(iter(lambda: s.recv(4096), b'')).decode(), 'end')"`;
  const openssl = `openssl s_client -connect tls.example:${tls.port} </dev/null 2>&1 | grep 'subject='`;
  const { out, runId } = await shell(`${python('site.example', site.port)}; ${openssl}
    ${python('site.example', site.port + 1)}; ${python('other.example', 80)}; getent hosts localhost`);
  expect(out).toContain('you asked for site.example/direct');
  expect(out).toContain('CN = tls.example');
  expect(out).toContain('ConnectionRefusedError');
  expect(out).toContain('gaierror');
  expect(out).toMatch(/^(127\.0\.0\.1|::1)\s+localhost/m);
  expect(await egressOf(runId)).toContainEqual(
    expect.objectContaining({ host: 'site.example', verdict: 'allowed', why: 'rule' }),
  );
});

test('any other site is refused with words that say what the owner can do, and nothing else leads out', async () => {
  const { out } =
    await shell(`curl -sv https://other.example/; curl -sS http://169.254.169.254/latest/; curl -sS http://2852039166/
    (echo >/dev/tcp/1.1.1.1/80); node -e "fetch('http://127.0.0.1:8080/nothing').then((r) => console.log('gateway', r.status))"`);
  expect(out).toContain(
    '403 egress to other.example is not allowed yet. Approval 1 (reach other.example on the internet): waits',
  );
  expect(out.match(/egress to 169.254.169.254 is refused/g)).toHaveLength(2);
  expect(out).toContain('Network is unreachable');
  expect(out).toContain('gateway 403');
});

test('the owner allows, lists, removes and turns off in the chat', async () => {
  const answer = async (text: string) => {
    const before = (await chatTexts(scene.daemon, 'out')).length;
    await scene.daemon.api('POST', '/api/chat', { text });
    return nthReply(scene.daemon, before + 1);
  };
  expect(await answer('/allow https://Docs.Example.com/page')).toBe(
    'Allowed for the group `main`: `docs.example.com`.',
  );
  expect(await answer('/allow npm all')).toBe('Allowed for every group: `registry.npmjs.org`.');
  expect(await answer('/allow 192.168.1.5')).toContain('private or special address');
  expect(await answer('/allow')).toContain('Write `/allow example.com`');
  const list = await answer('/egress');
  expect(list).toContain('Mode `ask`');
  const number = /- (\d+): `docs\.example\.com`/.exec(list)?.[1];
  expect(await answer(`/egress remove ${number}`)).toContain('Removed: `docs.example.com`');
  expect(await answer('/egress mode none')).toContain('Mode `none`');
  expect((await shell(`curl -sS http://site.example:${site.port}/`)).out).toContain('egress is off in this group');
  expect(await answer('/egress mode listed')).toContain('Mode `listed`');
  expect((await shell(`curl -sS http://site.example:${site.port}/`)).out).toContain('you asked for');
  const { body } = await scene.daemon.api('GET', '/api/egress');
  const { rules, modes } = z
    .object({ rules: z.array(z.object({ host: z.string() })), modes: z.object({ main: z.string() }) })
    .parse(body);
  expect(rules.map(({ host }) => host)).toEqual(['site.example', 'tls.example', 'large.example', 'registry.npmjs.org']);
  expect(modes.main).toBe('listed');
});

test('the terminal allows a machine at home, and lists what is open', async () => {
  const program = `import('./dist/cli.js').then(({ runCli }) => runCli(process.argv.slice(1)))`;
  const env = { ...process.env, PINCH_HOME: scene.daemon.home, PINCH_PORT: `${scene.daemon.port}` };
  const root = join(import.meta.dirname, '../..');
  const pinch = (...args: string[]) =>
    promisify(execFile)('node', ['-e', program, ...args], { cwd: root, env }).then(({ stdout }) => stdout);
  expect(await pinch('allow', 'nas.home:5000=192.168.1.5')).toContain('`nas.home` (ports 5000) at 192.168.1.5');
  expect(await pinch('egress')).toMatch(/main: mode \w+\n[\s\S]*every group: `nas\.home`/);
});

/** In the container: how long calls of the host take, on one connection, without and beside a download. Prints two medians, ms. */
const TIMES = `
const http = require('node:http');
const agent = new http.Agent({ keepAlive: true });
const call = () => new Promise((done, fail) => {
  const began = performance.now();
  const answered = (r) => r.resume().on('end', () => setTimeout(done, 20, performance.now() - began));
  http.get({ host: '127.0.0.1', port: 8080, path: '/nothing', agent }, answered).on('error', fail);
});
async function median(isOver) {
  const times = [];
  while (!isOver(times)) times.push(await call());
  return times.sort((a, b) => a - b)[times.length >> 1];
}
(async () => {
  await median((times) => times.length > 10);
  const idle = await median((times) => times.length > 40);
  let over = false;
  const curl = require('node:child_process').spawn('curl', ['-sS', '-o', '/tmp/large', process.argv[2]]);
  curl.on('exit', () => { over = true; });
  const busy = await median(() => over);
  console.log(JSON.stringify({ idle, busy, bytes: require('node:fs').statSync('/tmp/large').size }));
  process.exit();
})();`;

test('a download of 100 MB goes through while the host’s calls are answered', async () => {
  const program = Buffer.from(TIMES).toString('base64');
  const { out, runId } = await shell(
    `echo ${program} | base64 -d >/tmp/times.cjs; node /tmp/times.cjs http://large.example:${large.port}/`,
  );
  const { idle, busy, bytes } = z
    .object({ idle: z.number(), busy: z.number(), bytes: z.number() })
    .parse(JSON.parse(out));
  console.info(`a call of the host: ${idle.toFixed(1)} ms, beside a download ${busy.toFixed(1)} ms (medians)`);
  expect(bytes).toBe(100 * MB);
  const [event] = await egressOf(runId);
  expect(event?.bytesDown).toBeGreaterThan(100 * MB);
});
