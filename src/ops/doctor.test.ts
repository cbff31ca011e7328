// Each finding on a machine that is broken in that one way; the engine and the model are small servers on 127.0.0.1.
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { startModelServer } from '../../test/fakes/model-windows.js';
import { loadConfig } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { openStore } from '../store.js';
import { examine, showFindings, type Watcher } from './doctor.js';
import { fileFindings, wallFindings } from './doctor-walls.js';
import type { CheckDeps } from './finding.js';

const KEY = 'canary-sk-ant-0123456789';
const HOUR_MS = 3_600_000;
let home: string;
let clock: FakeClock;
let servers: Server[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pinch-doctor-'));
  mkdirSync(join(home, 'data'), { mode: 0o700 });
  mkdirSync(join(home, 'dist'));
  writeFileSync(join(home, 'dist/agent-image.json'), '{"tag":"pinch-agent:1"}');
  clock = createFakeClock(Date.now());
  servers = [];
});

afterEach(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener, host = '127.0.0.1'): Promise<number> {
  const server = createServer(listener).listen(0, host);
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

const json = (status: number, body: unknown): RequestListener => {
  return (_request, response) => void response.writeHead(status).end(JSON.stringify(body));
};

/** An engine with one image, whose clock is off by `skewMs`. */
async function startEngine({ skewMs = 0, images = [{}] }: { skewMs?: number; images?: object[] } = {}) {
  const answers: Record<string, unknown> = {
    version: { Version: '28.1' },
    info: { SystemTime: new Date(clock.now() + skewMs).toISOString(), DefaultRuntime: 'runc', Runtimes: { runc: {} } },
    containers: [],
    images,
  };
  const port = await serve((request, response) => {
    const [, step] = /containers\/(create|[\w-]+\/\w+)/.exec(request.url ?? '') ?? [];
    if (step === 'create') return void writeAsInside(request).then(() => json(201, { Id: 'probe' })(request, response));
    if (step) return json(200, step.endsWith('logs') ? wellWalled : { StatusCode: 0 })(request, response);
    const [, name = ''] = /^\/(?:v[\d.]+\/)?(\w+)/.exec(request.url ?? '') ?? [];
    json(200, answers[name])(request, response);
  });
  return { DOCKER_HOST: `tcp://127.0.0.1:${port}` };
}

/** Does what the container that is asked for would do in its folder. */
async function writeAsInside(request: IncomingMessage): Promise<void> {
  const asked = z.object({
    User: z.string(),
    HostConfig: z.object({ Mounts: z.array(z.object({ Source: z.string() })) }),
  });
  const { User, HostConfig } = asked.parse(JSON.parse(await text(request)));
  const [uid, gid] = User.split(':').map(Number);
  const file = join(HostConfig.Mounts[0]?.Source ?? '', 'made');
  writeFileSync(file, '');
  if (uid !== undefined && gid !== undefined) chownSync(file, uid, gid);
}

/** What a container sees of itself where every wall holds. */
const wellWalled = {
  ...{
    uid: 1000,
    route: 'ENETUNREACH',
    root: 'ro,relatime',
    memory: '1073741824',
    processes: '256',
    cpu: '100000 100000',
  },
  status: { CapEff: '0000000000000000', CapBnd: '0000000000000000', NoNewPrivs: '1', Seccomp: '2' },
  ...{ uidMap: '0 100000 65536', profile: 'docker-default (enforce)', kernel: '6.1.0' },
  wrote: 'done',
};

const running = {
  version: '0.1.0',
  startedAt: Date.now() - 2 * HOUR_MS,
  lastEnd: null,
  stopped: false,
  channels: [{ name: 'web', state: 'open', detail: '' }],
};

interface Situation extends Partial<Omit<CheckDeps, 'config'>> {
  env?: Record<string, string>;
  watcher?: Watcher;
}

/** The findings of one check, or of all. Whatever is said, nobody is left without a way on, and no key is in it. */
async function findings(only?: string, { env, watcher, ...rest }: Situation = {}) {
  const own = { PINCH_HOME: home, XDG_CONFIG_HOME: join(home, 'settings'), DOCKER_HOST: 'unix:///nowhere' };
  const config = { ...loadConfig({ ...own, ...env }, home) };
  const deps: CheckDeps = {
    config,
    clock,
    ask: async () => running,
    service: () => ({ label: 'pinch', file: '', installed: true, running: true, detail: 'active' }),
    isFull: false,
    mayCall: async () => true,
    ...rest,
  };
  const all = await examine(deps, watcher);
  for (const finding of all)
    expect(finding.fix === undefined, JSON.stringify(finding)).toBe(/ok|skipped/.test(finding.state));
  expect(showFindings(all) + JSON.stringify(all)).not.toContain('canary');
  return all.filter(({ check }) => only === undefined || check === only);
}

const states = async (check: string, situation?: Situation) =>
  (await findings(check, situation)).map(({ state }) => state);

test('on a machine where all is well each check says so in a line', async () => {
  const file = join(home, 'data/pinch.db');
  const store = openStore(file);
  mkdirSync(join(home, 'data/backups'));
  await store.backup(join(home, 'data/backups/pinch-1.db'));
  writeFileSync(join(home, '.env'), 'TZ=Asia/Tokyo', { mode: 0o600 });
  const all = await findings(undefined, { env: await startEngine() });
  store.close();
  expect(all.filter(({ state }) => state !== 'ok')).toEqual([]);
  const checks =
    'node settings docker image walls mounts services proxies disk permissions clock database daemon channels service port model'.split(
      ' ',
    );
  expect(all.map(({ check }) => check)).toEqual(checks);
  expect(showFindings(all)).toMatch(
    /^✓ node: v\d+\.\d+\.\d+\n✓ settings: .*\n✓ docker: Docker 28\.1 at tcp:.*\n✓ image: pinch-agent:1\n/,
  );
  expect(showFindings(all)).toMatch(/✓ clock: \d{4}-\d\d-\d\d [\d:]+ Asia\/Tokyo\n/);
});

describe('the engine', () => {
  test('is not there: the image is unknown then', async () => {
    expect(await findings('docker')).toEqual([
      {
        check: 'docker',
        state: 'failure',
        detail: expect.stringContaining('Docker does not answer'),
        fix: expect.stringContaining('start Docker'),
      },
    ]);
    expect(await states('image')).toEqual(['skipped']);
  });

  test('hangs: it is not waited for', async () => {
    const port = await serve(() => void clock.advance(60_000));
    expect((await findings('docker', { env: { DOCKER_HOST: `tcp://127.0.0.1:${port}` } }))[0]?.detail).toContain(
      'no answer within 5 s',
    );
  });

  test('has a clock of its own that was left behind by a sleep', async () => {
    expect(await states('docker', { env: await startEngine({ skewMs: -90_000 }) })).toEqual(['ok', 'warning']);
  });

  test('lacks the image, or it was never built', async () => {
    const env = await startEngine({ images: [] });
    expect(await states('image', { env })).toEqual(['failure']);
    writeFileSync(join(home, 'dist/agent-image.json'), '');
    expect((await findings('image', { env }))[0]?.detail).toContain('never built');
  });

  test('is not used: agents have no sandbox', async () => {
    const env = { PINCH_RUNTIME: 'process', PINCH_UNSAFE: '1' };
    expect([await states('docker', { env }), await states('image', { env })]).toEqual([['warning'], ['skipped']]);
  });
});

describe('the walls', () => {
  const engine = {
    runtime: 'runc',
    kernel: '6.1.0',
    limits: { memory: true, processes: true, cpu: true },
  };
  const of = (seen: object, more: object = {}) => wallFindings({ ...wellWalled, ...seen }, { ...engine, ...more });

  test('that hold are named, and those that nobody built here', () => {
    expect(of({ uidMap: '0 0 4294967295', profile: '' }).map(({ detail }) => detail)).toEqual([
      'runc: no network, not root, read-only root, no capabilities, no new privileges, seccomp, 1 GiB of memory, 256 processes, 1 processor; ' +
        'not on this machine: user namespace, AppArmor or SELinux, a kernel of its own',
    ]);
    const rootless = of({ uid: 0, uidMap: '0 1001 1\n1 100000 65536' });
    expect(rootless.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(
        /not root.* user namespace, AppArmor or SELinux; not on this machine: a kernel of its own$/,
      ),
    ]);
  });

  test.each([
    [{ route: 'open' }, 'no network', 'failure'],
    [{ uid: 0, uidMap: '0 0 4294967295' }, 'not root', 'failure'],
    [{ root: 'rw,relatime' }, 'read-only root', 'failure'],
    [{ status: { ...wellWalled.status, CapBnd: '00000000a80425fb' } }, 'no capabilities', 'failure'],
    [{ status: { ...wellWalled.status, NoNewPrivs: '0' } }, 'no new privileges', 'failure'],
    [{ status: { ...wellWalled.status, Seccomp: '0' } }, 'seccomp', 'warning'],
    [{ memory: 'max' }, '1 GiB of memory', 'warning'],
    [{ memory: '9223372036854771712' }, '1 GiB of memory', 'warning'],
    [{ memory: '' }, '1 GiB of memory', 'warning'],
    [{ processes: 'max' }, '256 processes', 'warning'],
    [{ cpu: '-1' }, '1 processor', 'warning'],
    [{ cpu: 'max 100000' }, '1 processor', 'warning'],
  ])('%j is one that is missing', (seen, name, state) => {
    const missing = of(seen).filter((finding) => finding.state !== 'ok');
    expect(missing).toEqual([{ state, detail: `this wall is missing: ${name}`, fix: expect.any(String) }]);
    expect(of(seen)[0]?.detail).not.toContain(name);
  });

  test('of a container with a kernel of its own are those the engine can build', () => {
    const gvisor = { ...{ kernel: '4.4.0', route: 'EHOSTUNREACH', memory: '', processes: '', cpu: '' } };
    const status = { CapEff: '0000000000000000', CapBnd: '0000000000000000', Seccomp: '0' };
    expect(of({ ...gvisor, status }).map(({ state }) => state)).toEqual(['ok']);
    const limits = { memory: false, processes: true, cpu: true };
    expect(of({ ...gvisor, status }, { limits }).map(({ detail }) => detail)[1]).toContain('1 GiB of memory');
  });

  test.each<[wrote: string, owner: number | undefined, found: unknown[]]>([
    ['done', 1000, []],
    ['done', 101_000, [expect.stringContaining('belongs to uid 101000, not to 1000')]],
    ['done', 0, [expect.stringContaining('belongs to uid 0')]],
    ['done', undefined, [expect.stringContaining('does not arrive in /h')]],
    ['EACCES', undefined, [expect.stringContaining('cannot write in /h: EACCES')]],
    ['EROFS', undefined, [expect.stringContaining('EROFS')]],
  ])('a file written inside (%s) that belongs to %s outside', (wrote, owner, found) => {
    expect(fileFindings('/h', { wrote, owner, own: 1000 }).map(({ detail }) => detail)).toEqual(found);
  });

  test('are not looked at without an engine; an OCI runtime it does not have is a failure', async () => {
    expect(await states('walls')).toEqual(['skipped']);
    const env = { ...(await startEngine()), PINCH_OCI_RUNTIME: 'runsc' };
    expect(await findings('walls', { env })).toMatchObject([
      { state: 'failure', detail: expect.stringContaining('it has runc, not runsc') },
    ]);
  });
});

describe('the home', () => {
  test('has a list of folders for containers, and one of them cannot be given', async () => {
    const settings = join(home, 'settings/pinch');
    mkdirSync(settings, { recursive: true, mode: 0o700 });
    const list = { photos: { path: tmpdir(), groups: ['main'] }, etc: { path: '/etc', groups: ['main'] } };
    writeFileSync(join(settings, 'mounts.json'), JSON.stringify(list), { mode: 0o600 });
    const elsewhere = { XDG_CONFIG_HOME: join(home, 'settings') };
    expect(await findings('mounts', { env: elsewhere })).toMatchObject([{ state: 'warning', fix: expect.any(String) }]);
  });

  test('is open to other users', async () => {
    writeFileSync(join(home, '.env'), '');
    chmodSync(join(home, '.env'), 0o644);
    chmodSync(join(home, 'data'), 0o755);
    mkdirSync(join(home, 'groups'), { recursive: true });
    chmodSync(join(home, 'groups'), 0o750);
    const found = await findings('permissions');
    expect(found.map(({ fix }) => fix)).toEqual([
      `chmod 600 '${home}/.env'`,
      `chmod 700 '${home}/data'`,
      `chmod 700 '${home}/groups'`,
    ]);
  });

  test('was written in what is the future now', async () => {
    expect(await states('clock')).toEqual(['ok']);
    const file = join(home, 'data/pinch.db');
    openStore(file).close();
    utimesSync(file, new Date(), new Date(clock.now() + 24 * HOUR_MS));
    expect(await states('clock')).toEqual(['failure']);
  });

  test('has a damaged database, or no fresh backup', async () => {
    expect(await states('database')).toEqual(['skipped']);
    const file = join(home, 'data/pinch.db');
    openStore(file).close();
    expect(await states('database')).toEqual(['ok', 'warning']);
    writeFileSync(file, Buffer.alloc(8_192, 'x'));
    expect((await findings('database'))[0]).toMatchObject({ state: 'failure', detail: `${file} is damaged` });
  });

  test('has a large database: it is read whole when that is asked for, and as long as it is known to be damaged', async () => {
    const file = join(home, 'data/pinch.db');
    openStore(file).close();
    const db = new Database(file);
    const rows = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)';
    db.exec(
      `CREATE TABLE big (id INTEGER PRIMARY KEY, text BLOB); ${rows} INSERT INTO big SELECT i, zeroblob(100000) FROM n`,
    );
    db.close();
    const said = async (situation?: Situation) => (await findings('database', situation))[0]?.detail;
    expect(await said()).toMatch(/MiB, can be read \(`pinch doctor --full` reads all of it\)/);
    expect(await said({ isFull: true })).toContain('MiB, intact');
    expect(await said()).toMatch(/can be read; all of it was intact \d{4}-/);
    const middle = statSync(file).size / 2;
    const whole = readFileSync(file);
    // Where overflowing rows of the middle lie.
    writeFileSync(
      file,
      Buffer.concat([whole.subarray(0, middle), Buffer.alloc(4096 * 40, 7), whole.subarray(middle + 4096 * 40)]),
    );
    expect(await states('database')).toEqual(['ok', 'warning']);
    expect(await states('database', { isFull: true })).toEqual(['failure']);
    expect(await states('database')).toEqual(['failure']);
    writeFileSync(file, whole);
    expect(await states('database')).toEqual(['ok', 'warning']);
    // Without a sound beginning nobody needs all of it.
    writeFileSync(file, Buffer.concat([Buffer.alloc(8_192, 'x'), whole.subarray(8_192)]));
    expect(await states('database')).toEqual(['failure']);
  });

  test('is looked at aloud: each check is named before it begins, and what it found is told at once', async () => {
    const told: string[] = [];
    const watcher = {
      begins: (check: string) => void told.push(check),
      found: (some: object[]) => void told.push(`${some.length > 0}`),
    };
    await findings('node', { watcher });
    expect(told.slice(0, 4)).toEqual(['node', 'true', 'settings', 'true']);
  });
});

describe('the daemon', () => {
  const answering = (more: object): Situation => ({ ask: async () => ({ ...running, ...more }) });
  const throwing = (code: string): Situation => ({
    ask: async () => {
      throw new PinchError(code, 'nothing answers', { hint: 'npm start' });
    },
  });

  test('does not run, or has no port to be asked at', async () => {
    expect(await states('daemon', throwing('not_running'))).toEqual(['warning']);
    expect(await states('daemon', throwing('no_port'))).toEqual(['skipped']);
    expect(await states('channels', throwing('not_running'))).toEqual(['skipped']);
  });

  test('is another program on that port', async () => {
    expect(await states('daemon', { ask: async () => ({ hello: 1 }) })).toEqual(['failure']);
  });

  test('ended by itself before, and is stopped now', async () => {
    const situation = answering({ lastEnd: 'killed', stopped: true });
    expect(await states('daemon', situation)).toEqual(['ok', 'warning', 'warning']);
  });

  test.each([
    ['open', 'ok'],
    ['reconnecting', 'warning'],
    ['linking', 'warning'],
    ['logged-out', 'failure'],
    ['expired-version', 'failure'],
  ])('has a channel that is %s', async (state, wanted) => {
    const channels = [{ name: 'whatsapp', state, detail: '' }];
    expect(await states('channels', answering({ channels }))).toEqual([wanted]);
  });

  test('is a service that is not kept running, or none', async () => {
    const state = { label: 'pinch', file: '', installed: true, running: false, detail: 'spawn scheduled' };
    expect(await states('service', { service: () => state })).toEqual(['failure']);
    expect(await states('service', { service: () => ({ ...state, installed: false }) })).toEqual(['skipped']);
  });
});

describe('the port', () => {
  const outside = Object.values(networkInterfaces())
    .flat()
    .some((address) => address?.internal === false);
  if (!outside) console.log('skipped: a port open to the network (this machine has no network)');

  test.skipIf(!outside)('is open to the network', async () => {
    const port = await serve(json(200, {}), '0.0.0.0');
    expect(await states('port', { env: { PINCH_PORT: String(port) } })).toEqual(['failure']);
  });

  test('is for this machine only, or off', async () => {
    const port = await serve(json(200, {}));
    expect(await states('port', { env: { PINCH_PORT: String(port) } })).toEqual(['ok']);
    expect(await states('port', { env: { PINCH_PORT: '0' } })).toEqual(['skipped']);
  });
});

describe('the model', () => {
  test.each([
    [200, {}, 'ok'],
    [401, { error: `invalid x-api-key ${KEY}` }, 'failure'],
    [404, { error: 'no such model' }, 'failure'],
    [400, { error: `${'x'.repeat(380)} ${KEY}` }, 'failure'],
    [429, {}, 'warning'],
    [529, {}, 'warning'],
  ])('says %i %j', async (status, body, wanted) => {
    const seen: unknown[] = [];
    const port = await serve((request, response) => {
      seen.push([request.url, request.headers['x-api-key']]);
      json(status, body)(request, response);
    });
    const env = { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}/v1` };
    expect(await states('model', { env })).toEqual([wanted]);
    expect(seen).toEqual([['/v1/messages', KEY]]);
  });

  test('is not asked unless somebody agreed, and costs nothing without an account', async () => {
    const questions: string[] = [];
    const mayCall = async (question: string) => {
      questions.push(question);
      return false;
    };
    const env = { ANTHROPIC_AUTH_TOKEN: KEY, ANTHROPIC_BASE_URL: `http://canary-user:${KEY}@127.0.0.1:1` };
    expect(await states('model', { env, mayCall })).toEqual(['skipped']);
    expect(questions.join()).toMatch(/^Ask .* at 127\.0\.0\.1:1 for one word/);
    expect(await states('model', { mayCall })).toEqual(['ok']);
    expect(questions).toHaveLength(1);
    expect(await states('model', { env })).toEqual(['failure']);
  });

  test.each([
    ['ollama', 4_096, 'failure', 'OLLAMA_CONTEXT_LENGTH=32768'],
    ['lm-studio', 8_192, 'warning', '--context-length 32768'],
    ['llama.cpp', 65_536, 'ok', undefined],
    ['vllm', 2_048, 'failure', '--max-model-len 32768'],
    ['other', 2_048, 'skipped', undefined],
  ] as const)('of %s with a window of %i tokens: %s', async (kind, window, state, setting) => {
    const server = await startModelServer({ kind, model: 'qwen3', window, isLoaded: false });
    const env = { ANTHROPIC_BASE_URL: server.url, PINCH_MODEL: 'qwen3' };
    const [answers, found] = await findings('model', { env });
    server.close();
    expect([answers?.state, found?.state]).toEqual(['ok', state]);
    expect(found?.detail).toContain(state === 'skipped' ? 'does not say' : `${window} tokens`);
    expect(found?.fix ?? '').toContain(setting ?? '');
  });

  test('that works while the first is overloaded is asked as well', async () => {
    const server = await startModelServer({ kind: 'other', model: 'any' });
    const env = { ANTHROPIC_BASE_URL: server.url, PINCH_MODEL_FALLBACK: 'claude-haiku-5-5' };
    const found = await findings('model', { env });
    server.close();
    expect(found.map(({ detail }) => detail.split(' ')[0])).toEqual(['claude-sonnet-5-5', 'claude-haiku-5-5']);
  });
});
