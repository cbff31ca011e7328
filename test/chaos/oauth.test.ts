// kill -9 while a token is renewed at a server that takes each refresh token once: afterwards it works, or the owner is asked once to connect again.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { build } from 'esbuild';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { type AuthorizationServer, browse, CLIENT, startAuthorizationServer } from '../../src/oauth/testing/server.js';
import { createSecrets } from '../../src/secrets/secrets.js';
import { servicesApi } from '../../src/services/api.js';
import { createServices } from '../../src/services/services.js';
import { addressIn, connectAt } from '../../src/services/testing/owner.js';
import { openStore } from '../../src/store.js';

const root = join(import.meta.dirname, '../..');
/** What the process that is killed is made of. */
const built = mkdtempSync(join(tmpdir(), 'pinch-oauth-built-'));
let server: AuthorizationServer;
let home: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  const names = ['store.ts', 'core/clock.ts', 'secrets/secrets.ts', 'services/services.ts'];
  const entries = {
    entryPoints: names.map((name) => join(root, 'src', name)),
    outbase: join(root, 'src'),
    outdir: built,
  };
  await build({ ...entries, bundle: true, splitting: true, format: 'esm', platform: 'node', packages: 'external' });
  cpSync(join(root, 'src/core/migrations'), join(built, 'migrations'), { recursive: true });
  cpSync(join(root, 'src/egress/presets.json'), join(built, 'presets.json'));
  symlinkSync(join(root, 'node_modules'), join(built, 'node_modules'));
  writeFileSync(join(built, 'package.json'), '{"type":"module"}');
});
afterAll(() => rmSync(built, { recursive: true }));

beforeEach(async () => {
  server = await startAuthorizationServer();
  home = mkdtempSync(join(tmpdir(), 'pinch-oauth-killed-'));
  const { issuer } = server;
  const oauth2 = {
    authorizeUrl: `${issuer}/auth`,
    tokenUrl: `${issuer}/token`,
    clientId: CLIENT.id,
    clientSecret: 'SECRET',
    scopes: ['openid'],
  };
  const api = { kind: 'http', url: `${issuer}/v1`, groups: ['main'], auth: { oauth2 } };
  writeFileSync(join(home, 'services.json'), JSON.stringify({ api }), { mode: 0o600 });
  writeFileSync(join(home, '.env'), `SECRET=${CLIENT.secret}\n`, { mode: 0o600 });
  server.ttl.AccessToken = 30;
  await connect();
  server.ttl.AccessToken = 3_600;
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  server.close();
  rmSync(home, { recursive: true, force: true });
});

const config = () => ({ home, groupsDir: join(home, 'groups'), dataDir: join(home, 'data') });

async function connect(): Promise<void> {
  const store = openStore(join(home, 'pinch.db'));
  const base = { store, config: config(), clock: systemClock, log: pino({ enabled: false }), environment: {} };
  const services = createServices({ ...base, notifyOwner: () => undefined, secrets: createSecrets() });
  const api = servicesApi({ services, store, clock: systemClock, viewServer: () => ({}) });
  let browsing: Promise<string> | undefined;
  const onSay = (shown: string) => {
    browsing = browse(addressIn(shown) ?? '');
  };
  await connectAt(api, 'api', { onSay });
  await browsing;
  store.close();
}

/** A daemon, as far as it matters here: asks for the credential once, says what it got and what the owner was told. */
function daemon(): { child: ChildProcess; said: Promise<string> } {
  const script = `
    import { openStore } from ${JSON.stringify(`${built}/store.js`)};
    import { systemClock } from ${JSON.stringify(`${built}/core/clock.js`)};
    import { createSecrets } from ${JSON.stringify(`${built}/secrets/secrets.js`)};
    import { createServices } from ${JSON.stringify(`${built}/services/services.js`)};
    const log = { warn() {}, debug() {} };
    const services = createServices({
      store: openStore(${JSON.stringify(join(home, 'pinch.db'))}), config: ${JSON.stringify(config())}, environment: {}, log,
      clock: systemClock, secrets: createSecrets(), notifyOwner: (key) => console.log('told ' + key.replace(/:\\d+$/, '')),
    });
    const [service] = services.list().services;
    await services.credential(service).then(() => console.log('works'), (error) => console.log(error.code));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  return { child, said: text(child.stdout) };
}
async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
/** Holds a token request at one of its two ends; resolves when one is there. */
const held = (end: 'before' | 'after'): Promise<void> =>
  new Promise((there) => {
    server.state[end] = () => {
      there();
      server.state[end] = async () => undefined;
      return new Promise(() => undefined);
    };
  });

test('before the server saw the request: the next start renews it', async () => {
  const there = held('before');
  const { child } = daemon();
  await there;
  await killed(child);
  expect(await daemon().said).toBe('works\n');
});

test('after the server answered: the token was used up, so the owner is told once, and connecting again helps', async () => {
  const there = held('after');
  const { child } = daemon();
  await there;
  await killed(child);
  expect(await daemon().said).toBe('told service-token:api\nrevoked\n');
  expect(await daemon().said).toBe('not_connected\n');
  await connect();
  expect(await daemon().said).toBe('works\n');
});

test('renewed and kept: the next start does not ask again', async () => {
  const { said } = daemon();
  expect(await said).toBe('works\n');
  expect(await daemon().said).toBe('works\n');
  expect(server.grants).toEqual(['authorization_code', 'refresh_token']);
});
