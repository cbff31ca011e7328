// The programs that agents use to reach the outside, each as it comes, in a real container: what each does where the owner allowed the host, and
// what the model is told where nobody did.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startForge } from '../fakes/forge.js';
import { HANG_MS } from '../limits.js';
import { type Scene, say, startScene, waitForRun } from './talk.js';

const HOST = 'tls.example';
let scene: Scene;
let forge: Awaited<ReturnType<typeof startForge>>;
let site: string;
beforeAll(async () => {
  [scene, forge] = await Promise.all([startScene(), startForge(HOST)]);
  site = `${HOST}:${forge.port}`;
  await scene.daemon.api('POST', '/api/egress', { host: HOST, ports: [forge.port], address: '127.0.0.1' });
  copyFileSync(forge.ca, join(scene.daemon.home, 'groups/main/ca.pem'));
});
afterAll(async () => {
  await scene.close();
  forge.close();
});

const toolResult = z.object({ type: z.literal('tool_result'), content: z.unknown() });
/** The site's certificate is no known authority's, so each program is told where to find it. */
const TRUST = ['CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE']
  .map((name) => `export ${name}=/workspace/ca.pem`)
  .join('; ');

/** What the model is told of each command; they run one after the other in one run. */
async function told(commands: Record<string, string>): Promise<Record<string, string>> {
  const content = Object.values(commands).map((command) => ({
    type: 'tool_use' as const,
    name: 'bash',
    input: { command: `${TRUST}; cd "$(mktemp -d)"; ${command}` },
  }));
  scene.model.push({ content }, { text: 'done' });
  const runId = await say(scene.daemon, 'go');
  await waitForRun(scene.daemon, runId, ['done'], 3 * HANG_MS);
  const last = scene.model.requests.at(-1)?.body?.messages.findLast(({ role }) => role === 'user')?.content;
  const results = z
    .array(z.unknown())
    .parse(last)
    .flatMap((block) => toolResult.safeParse(block).data ?? []);
  return Object.fromEntries(Object.keys(commands).map((name, at) => [name, String(results[at]?.content)]));
}

/** `cases`: a command, and what the model must be told of it. */
async function check(cases: Record<string, [command: string, expected: string]>): Promise<void> {
  const outputs = await told(Object.fromEntries(Object.entries(cases).map(([name, [command]]) => [name, command])));
  const wrong = Object.entries(cases).filter(([name, [, expected]]) => !outputs[name]?.includes(expected));
  expect(wrong.map(([name, [, expected]]) => ({ name, expected, told: outputs[name] }))).toEqual([]);
}

test(
  'an allowed site is reached by what speaks HTTP',
  async () => {
    const url = `https://${site}/page`;
    const said = `you asked for ${site}/page`;
    await check({
      curl: [`curl -sS ${url}`, said],
      wget: [`wget -qO- --ca-certificate=/workspace/ca.pem ${url}`, said],
      'Node fetch': [`node -e "fetch('${url}').then((r) => r.text()).then(console.log)"`, said],
      'Node https': [`node -e "require('https').get('${url}', (r) => r.pipe(process.stdout))"`, said],
      'Node WebSocket': [
        `node -e "const s = new WebSocket('wss://${site}/'); s.onopen = () => s.send('a'); s.onmessage = (e) => { console.log(e.data); s.close(); }"`,
        'echo a',
      ],
      'Python urllib': [`python3 -c "import urllib.request as u; print(u.urlopen('${url}').read().decode())"`, said],
      'git clone': [`git clone -q https://${site}/repo.git && cat repo/README`, 'hello from git'],
    });
  },
  4 * HANG_MS,
);

test(
  'packages are installed from an allowed registry, and their commands found',
  async () => {
    const greets = `node -e "const { WebSocket } = require('ws'); const s = new WebSocket('wss://${site}/', { agent: require('https').globalAgent, createConnection: undefined }); s.on('open', () => s.send('b')).on('message', (data) => { console.log(String(data)); s.close(); })"`;
    await check({
      'npm install, and ws as the skill says': [`npm install --registry https://${site}/ ws && ${greets}`, 'echo b'],
      'npm install -g': [
        `npm install -g --registry https://${site}/ ws && ls "$(npm root -g)/ws/package.json"`,
        '/tmp/.local/lib/node_modules/ws/package.json',
      ],
      'pip install': [
        `pip install -q --index-url https://${site}/simple/ hello-pinch && hello-pinch`,
        'hello from pip',
      ],
      'pip in a venv': [
        `python3 -m venv v && v/bin/pip install -q --index-url https://${site}/simple/ hello-pinch && v/bin/hello-pinch`,
        'hello from pip',
      ],
    });
  },
  4 * HANG_MS,
);

test(
  'of a refusal the model is told why, as far as the program shows it, or how to see it',
  async () => {
    const why = 'egress to other.example is not allowed yet';
    const how = '`curl -sSI <url>` shows why';
    const url = 'https://other.example/x';
    await check({
      curl: [`curl -sS ${url}`, how],
      'curl -I': [`curl -sSI ${url}`, `403 ${why}`],
      'curl, http': ['curl -sS http://other.example/', why],
      wget: [`wget -q ${url}; wget ${url}`, `Proxy tunneling failed: ${why}`],
      'wget, http': ['wget http://other.example/', `ERROR 403: ${why}`],
      git: ['git clone https://other.example/a.git', how],
      'git, http': ['git clone http://other.example/a.git', `remote: ${why}`],
      'git as for ssh, of a host with an https address': ['git clone git@github.com:a/b.git', how],
      'git over ssh': ['git clone git@other.example:a/b.git', 'use the https:// address'],
      npm: [`npm install --registry ${url} ws`, `403 ${why}`],
      pip: [`pip install --index-url ${url} other-package`, `Tunnel connection failed: 403 ${why}`],
      'Node fetch': [`node -e "fetch('${url}')"`, how],
      'Node https': [`node -e "require('https').get('${url}')"`, `403 ${why}`],
      'Python urllib': [`python3 -c "import urllib.request as u; u.urlopen('${url}')"`, `403 ${why}`],
      'what resolves names itself': [
        `node -e "require('net').connect(443, 'other.example')"`,
        '/skills/network/SKILL.md',
      ],
      'what connects by itself': [
        'python3 -c "import socket; socket.create_connection((\'1.1.1.1\', 80))"',
        '/skills/network/SKILL.md',
      ],
    });
  },
  4 * HANG_MS,
);
