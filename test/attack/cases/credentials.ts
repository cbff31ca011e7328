// What the host knows and a container must not: keys, tokens, the environment, the engine. And what of a call's own credentials goes on.
import { expect } from 'vitest';
import { z } from 'zod';
import { KEY } from '../../e2e/talk.js';
import type { AttackScene } from '../attack.js';
import { type Probe, post, probeFamily } from '../families.js';

const NOTHING = /^\(nothing\)$/;
const shell = (name: string, command: string, answer = NOTHING): Probe => ({ name, ask: { shell: command }, answer });

/** By the beginning and the end, so that the words are not in what looks for them. */
const inMemory = ({ secrets }: AttackScene) => ({
  shell: `node hostile/memory.mjs '${JSON.stringify(secrets.map((secret) => [...secret].reverse().join('')))}'`,
});

const inContainer: Probe[] = [
  shell(
    'environment of the shell',
    'env | grep -iE "anthropic_(api|auth)|token|secret|_key|pinch_home|docker" | cut -c1-200',
  ),
  shell(
    'environment of every process',
    `cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -iE "token|secret|_key=|sk-ant" | sort -u`,
  ),
  shell(
    'command lines of every process',
    `cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -oiE "[s]k-ant\\S*|[b]earer \\S+"`,
  ),
  { name: "the agent runner's memory", ask: inMemory, answer: /^(none of \d+ words in \d+ MB|E(PERM|ACCES))$/ },
  shell(
    'mounts',
    `awk '$5 ~ "^/(workspace|sessions|global|skills)$" || $4 != "/" && $5 !~ "^/(etc/(hosts|hostname|resolv.conf)|dev|proc|sys|$)" {print $5}' /proc/self/mountinfo | sort | tr '\\n' ' '`,
    /^\/global \/sessions \/skills (\/(usr\/)?sbin\/docker-init )?\/workspace$/,
  ),
  shell("the engine's socket", 'ls /var/run/docker.sock /run/docker.sock /run/podman /run/containerd 2>/dev/null'),
  shell(
    "the host's files",
    'find / -xdev \\( -name dashboard-token -o -name pinch.db -o -name services.json -o -name ".env*" \\) 2>/dev/null | grep -v node_modules',
  ),
  shell(
    'other groups and the data next to the own folder',
    'ls -d /workspace/../others /workspace/../data /groups /data /sessions/../main 2>/dev/null',
  ),
  shell(
    'tokens of the cloud or of a cluster',
    'ls /var/run/secrets /root/.aws /root/.ssh /home/*/.ssh /home/*/.docker 2>/dev/null',
  ),
  shell("the host's processes", `ps -eo args= | grep -E "dist/main|dockerd|containerd|systemd" | grep -v grep`),
  shell(
    'a way out beside the gateway',
    'awk "NR > 1 {print \\$1}" /proc/net/route; cat /proc/net/if_inet6 2>/dev/null | grep -v " lo$"',
  ),
  shell(
    'a name server',
    'timeout 5 getent hosts example.com; timeout 2 bash -c "echo x > /dev/udp/1.1.1.1/53" 2>/dev/null && echo sent',
  ),
];

const COUNT = { model: 'claude-sonnet-5-5', messages: [{ role: 'user', content: 'x' }] };
const headers = { 'anthropic-version': '2023-06-01' };
const BY_CALL = {
  'x-api-key': 'sk-ant-of-the-container',
  authorization: 'Bearer of-the-container',
  cookie: 'session=of-the-container',
  'x-forwarded-host': 'of-the-container',
  'anthropic-beta': 'of-the-container',
  'anthropic-organization': 'of-the-container',
};
const model = (name: string, body: object, answer: RegExp, more: Record<string, string> = {}): Probe => ({
  name,
  ask: post('/v1/messages', { max_tokens: 10, ...COUNT, ...body }, { ...headers, ...more }),
  answer,
});
const NOT_AVAILABLE = /^400 .*: not available through this gateway$/;
const NO_ADDRESS = /^403 This address, .*, is not available/;

const throughGateway: Probe[] = [
  {
    name: "the call's own credentials, cookies and beta words",
    ask: post('/v1/messages/count_tokens', COUNT, { ...headers, ...BY_CALL }),
    answer: /^200 {"input_tokens":\d+}$/,
    check(_row, { model: { requests } }) {
      const sent = requests.find(({ path }) => path.includes('count_tokens'))?.headers ?? {};
      expect(sent['x-api-key']).toBe(KEY);
      expect(JSON.stringify(sent)).not.toContain('of-the-container');
    },
  },
  model('a back end that says the key in an error', {}, /^400 .*\[redacted\]/),
  model('tools of the provider', { tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }] }, NOT_AVAILABLE),
  model(
    'servers that the provider would call',
    { mcp_servers: [{ type: 'url', url: 'https://evil.example' }] },
    NOT_AVAILABLE,
  ),
  model('a container of the provider', { container: 'c' }, NOT_AVAILABLE),
  model('a faster and dearer service', { service_tier: 'priority' }, NOT_AVAILABLE),
  model(
    'a picture that the provider would fetch',
    {
      messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'https://evil.example' } }] }],
    },
    NOT_AVAILABLE,
  ),
  model(
    "a file from the owner's store at the provider",
    { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'file', file_id: 'f' } }] }] },
    NOT_AVAILABLE,
  ),
  model('a model that nobody set up', { model: 'claude-opus-9' }, /^400 the model claude-opus-9 is not the one/),
  { name: "the provider's files", ask: { call: 'GET /v1/files' }, answer: NO_ADDRESS },
  { name: 'its batches', ask: post('/v1/messages/batches', {}), answer: NO_ADDRESS },
  { name: 'a path around the list', ask: post('/v1/messages/../files', {}), answer: NO_ADDRESS },
  { name: 'an encoded path around the list', ask: post('/v1/messages/%2e%2e/files', {}), answer: NO_ADDRESS },
  { name: "Pinch's API", ask: { call: 'GET /api/status' }, answer: NO_ADDRESS },
  { name: "the page's token as a file", ask: { call: 'GET /media/../data/dashboard-token' }, answer: NO_ADDRESS },
  { name: 'a hook, from inside', ask: post('/hooks/1', {}), answer: NO_ADDRESS },
  { name: "the engine's API", ask: { call: 'GET /v1.43/containers/json' }, answer: NO_ADDRESS },
];

async function addHook(scene: AttackScene): Promise<void> {
  await scene.daemon.api('POST', '/api/chat', { text: '/hook look at what came' });
  const { body: list } = await scene.daemon.api('GET', '/api/tasks');
  const { tasks } = z.object({ tasks: z.array(z.object({ id: z.number() })) }).parse(list);
  const { body } = await scene.daemon.api('GET', `/api/tasks/${tasks.at(-1)?.id}/secret`);
  scene.secrets.push(z.object({ secret: z.string() }).parse(body).secret);
}

export const credentials = probeFamily('credentials', [...inContainer, ...throughGateway], {
  prepare: addHook,
  steps: [{ fault: 400, type: 'invalid_request_error', message: `the key ${KEY} is wrong` }],
});
