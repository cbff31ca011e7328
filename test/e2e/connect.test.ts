// `pinch connect` as the owner has it: a daemon, a terminal, a real authorization server, and his browser.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type AuthorizationServer, browse, CLIENT, startAuthorizationServer } from '../../src/oauth/testing/server.js';
import { addressIn } from '../../src/services/testing/owner.js';
import { type DaemonProcess, newHome, removeHome, startDaemon } from './harness.js';

let server: AuthorizationServer;
let daemon: DaemonProcess;
const terminals: ChildProcessWithoutNullStreams[] = [];

beforeAll(async () => {
  server = await startAuthorizationServer();
  const { issuer } = server;
  const home = newHome();
  const client = { tokenUrl: `${issuer}/token`, clientId: CLIENT.id, clientSecret: 'SECRET', scopes: ['openid'] };
  const service = { kind: 'http', url: `${issuer}/v1`, groups: ['main'] };
  const list = {
    tv: { ...service, auth: { oauth2: { ...client, deviceUrl: `${issuer}/device/auth` } } },
    inbox: { ...service, mcp: true, url: `${issuer}/mcp`, auth: { oauth2: {} } },
  };
  writeFileSync(join(home, 'services.json'), JSON.stringify(list), { mode: 0o600 });
  writeFileSync(join(home, '.env'), `SECRET=${CLIENT.secret}\n`, { mode: 0o600 });
  daemon = await startDaemon({ home });
});
afterEach(() => {
  for (const terminal of terminals.splice(0)) terminal.kill('SIGKILL');
});
afterAll(async () => {
  await daemon.kill('SIGTERM');
  removeHome(daemon.home);
  server.close();
});

function connect(name: string) {
  const program = `import('./dist/cli.js').then(({ runCli }) => runCli(['connect', '${name}'])).then((code) => process.exit(code))`;
  const env = { ...process.env, PINCH_HOME: daemon.home, PINCH_PORT: `${daemon.port}` };
  const terminal = spawn(process.execPath, ['-e', program], { cwd: join(import.meta.dirname, '../..'), env });
  terminals.push(terminal);
  let shown = '';
  for (const stream of [terminal.stdout, terminal.stderr]) stream.on('data', (chunk: Buffer) => (shown += chunk));
  const ended = once(terminal, 'close');
  return { terminal, ended, shown: () => shown };
}

const connected = async (name: string): Promise<boolean | undefined> => {
  const { body } = await daemon.api('GET', '/api/services');
  const { services } = z
    .object({ services: z.array(z.object({ name: z.string(), connected: z.boolean() })) })
    .parse(body);
  return services.find((one) => one.name === name)?.connected;
};

test('a code typed on another device; Ctrl-C before that leaves nothing', async () => {
  const first = connect('tv');
  await expect.poll(first.shown).toMatch(/type there: \S+/);
  first.terminal.kill('SIGINT');
  expect(await first.ended).toEqual([null, 'SIGINT']);
  expect(await connected('tv')).toBe(false);
  const second = connect('tv');
  await expect.poll(second.shown).toMatch(/type there: \S+\n/);
  const [, userCode = ''] = /type there: (\S+)/.exec(second.shown()) ?? [];
  await browse(addressIn(second.shown()) ?? '', { userCode });
  expect(await second.ended).toEqual([0, null]);
  expect(second.shown()).toContain('tv is connected.');
  expect(await connected('tv')).toBe(true);
  for (const { shown } of [first, second]) expect(shown()).not.toContain(CLIENT.secret);
});

test('an MCP server of which only the address is known', async () => {
  const { shown, ended } = connect('inbox');
  await expect.poll(() => addressIn(shown())).toBeDefined();
  await browse(addressIn(shown()) ?? '');
  expect(await ended).toEqual([0, null]);
  expect(await connected('inbox')).toBe(true);
  expect(JSON.stringify(daemon.logs)).not.toMatch(/client_secret|refresh_token|Bearer /);
});
