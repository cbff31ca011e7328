// OAuth against a real authorization server: by a browser, by another device, by an MCP server that names it; renewed, taken back, clocks that are wrong.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { type AuthorizationServer, browse, startAuthorizationServer } from '../oauth/testing/server.js';
import { type ServicesHome, startHome } from './testing/home.js';
import { addressIn, connectAt } from './testing/owner.js';
import { callService } from './upstream.js';

let server: AuthorizationServer;
let home: ServicesHome;
/** How far off the clock of this machine is. */
let off: number;
const clock: Clock = {
  ...systemClock,
  now: () => Date.now() + off,
  at: (at, fire) => systemClock.at(at - off, fire),
};

beforeEach(async () => {
  off = 0;
  server = await startAuthorizationServer();
  home = await startHome({ api: api() }, undefined, clock);
});
afterEach(async () => {
  await home.end();
  server.close();
});

const api = (more: object = { authorizeUrl: `${server.issuer}/auth` }) => ({
  ...{ kind: 'http', url: `${server.issuer}/v1`, groups: ['main'] },
  auth: {
    oauth2: {
      ...{ tokenUrl: `${server.issuer}/token`, clientId: 'pinch', clientSecret: 'TOKEN', scopes: ['openid'] },
      ...more,
    },
  },
});
const mcp = (oauth2: object = {}) => ({
  ...{ kind: 'http', mcp: true, url: `${server.issuer}/mcp`, groups: ['main'], auth: { oauth2 } },
});
const call = (name = 'api') => home.curl('-i', `${home.base}/${name}/x`);
/** As the host itself does it: no container reaches an MCP server this way. */
async function callMcp(): Promise<string> {
  const { services } = home.module;
  const service = services.named('inbox');
  const over = new AbortController();
  try {
    const credential = await services.credential(service);
    const request = { method: 'GET', path: '/x', query: '', headers: {} };
    const answer = await callService({ service, credential, clock: systemClock }, request, { signal: over.signal });
    await services.answered(service, credential, answer);
    return `HTTP/1.1 ${answer.status}`;
  } catch (error) {
    if (error instanceof PinchError) return '503';
    throw error;
  } finally {
    over.abort();
  }
}
const said: string[] = [];
async function connect(name = 'api', choices: object = {}): Promise<string> {
  let browsing: Promise<string> | undefined;
  const onSay = (text: string): void => {
    said.push(text);
    const url = addressIn(text);
    if (url) browsing = browse(url, { userCode: /type there: (\S+)/.exec(text)?.[1] ?? '', ...choices });
  };
  // A terminal that does not wait.
  const hurry = (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 50), signal);
  try {
    return await connectAt(
      home.module.api(() => ({})),
      name,
      { onSay, clock: { ...systemClock, sleep: hurry } },
    );
  } finally {
    await browsing;
  }
}
const tokens = (name = 'api') => home.store.serviceTokens.get(name);

describe('a browser', () => {
  test('connects, and calls have the token', async () => {
    expect(await connect()).toBe('api is connected.');
    expect(await call()).toContain('HTTP/1.1 200');
    expect(server.grants).toEqual(['authorization_code']);
  });

  test('all who wait have the one new token; with rotation, the grant lives on', async () => {
    server.ttl.AccessToken = 30;
    await connect();
    const first = tokens();
    server.ttl.AccessToken = 3_600;
    const answers = await Promise.all(Array.from({ length: 6 }, () => call()));
    for (const answer of answers) expect(answer).toContain('HTTP/1.1 200');
    expect(server.grants).toEqual(['authorization_code', 'refresh_token']);
    expect(tokens()?.refreshToken).not.toBe(first?.refreshToken);
    home.store.serviceTokens.expire('api', tokens()?.accessToken ?? '');
    expect(await call()).toContain('HTTP/1.1 200');
    expect(home.notices).toEqual([]);
  });

  test('taken back: the owner is told once, and can connect again', async () => {
    await connect();
    const { accessToken = '', refreshToken } = tokens() ?? {};
    expect(await server.revoke(refreshToken ?? '')).toBe(200);
    home.store.serviceTokens.expire('api', accessToken);
    for (const _ of [1, 2]) expect(await call()).toContain('503');
    expect(home.notices).toEqual([expect.stringContaining('`npm run -s pinch -- connect api`')]);
    expect(tokens()).toBeUndefined();
    await connect();
    expect(await call()).toContain('HTTP/1.1 200');
    expect(home.notices).toHaveLength(1);
  });

  test('connected again while the old token is renewed: the new ones stay', async () => {
    server.ttl.AccessToken = 30;
    await connect();
    server.ttl.AccessToken = 3_600;
    let go = (): void => undefined;
    server.state.after = () => new Promise((resolve) => (go = resolve));
    const waiting = call();
    await expect.poll(() => server.grants.length).toBe(2);
    const finish = go;
    server.state.after = async () => undefined;
    await connect();
    const fresh = tokens();
    finish();
    expect(await waiting).toContain('HTTP/1.1 200');
    expect(tokens()).toEqual(fresh);
  });

  test.each([3_600_000, -3_600_000])('a clock that is off by %d ms from the beginning does not matter', async (ms) => {
    off = ms;
    await connect();
    for (const _ of [1, 2]) expect(await call()).toContain('HTTP/1.1 200');
    expect(server.grants).toEqual(['authorization_code']);
  });

  test('a clock set forward renews early; one set back finds out by the first 401', async () => {
    await connect();
    off = 3_600_000;
    expect(await call()).toContain('HTTP/1.1 200');
    expect(server.grants).toEqual(['authorization_code', 'refresh_token']);
    off = 0;
    off = -3_600_000;
    await server.endAccess(tokens()?.accessToken);
    expect(await call()).toContain('HTTP/1.1 401');
    expect(await call()).toContain('HTTP/1.1 200');
  });
});

describe('another device', () => {
  const device = () => home.write({ api: api({ deviceUrl: `${server.issuer}/device/auth` }) });

  test('connects where its code is typed, and nothing secret is shown', async () => {
    device();
    said.length = 0;
    expect(await connect()).toBe('api is connected.');
    expect(await call()).toContain('HTTP/1.1 200');
    expect(said.join()).toMatch(/type there: \w{4}-\w{4}/);
    const { accessToken = '-', refreshToken } = tokens() ?? {};
    for (const secret of [accessToken, refreshToken ?? '-', 'tok-0123456789'])
      expect(said.join()).not.toContain(secret);
    expect(new Set(server.grants)).toEqual(new Set(['urn:ietf:params:oauth:grant-type:device_code']));
  });

  test('a no is told, and so is a code that ended', async () => {
    device();
    await expect(connect('api', { press: 'abort' })).rejects.toThrow(/it was refused/);
    server.ttl.DeviceCode = 1;
    await expect(connect('api', { userCode: 'NOPE-NOPE' })).rejects.toThrow(/the code has ended|in time/);
    expect(tokens()).toBeUndefined();
  });
});

describe('an MCP server', () => {
  beforeEach(() => home.write({ inbox: mcp() }));

  test('names where to ask and what for; we are registered there, with the token for it alone', async () => {
    expect(await callMcp()).toContain('503');
    expect(await connect('inbox')).toBe('inbox is connected.');
    expect(await callMcp()).toContain('HTTP/1.1 200');
    const found = await server.provider.AccessToken.find(tokens('inbox')?.accessToken ?? '');
    expect(found).toMatchObject({ aud: `${server.issuer}/mcp`, scope: 'read' });
    home.store.serviceTokens.expire('inbox', tokens('inbox')?.accessToken ?? '');
    expect(await callMcp()).toContain('HTTP/1.1 200');
    expect(server.grants).toEqual(['authorization_code', 'refresh_token']);
  });

  test('wants further scopes: the owner is told once, and connecting again asks for them', async () => {
    await connect('inbox');
    server.state.challenge = 'Bearer error="insufficient_scope", scope="write"';
    for (const _ of [1, 2]) expect(await callMcp()).toContain('HTTP/1.1 403');
    server.state.challenge = 'Bearer error="insufficient_scope", scope="openid"';
    expect(await callMcp()).toContain('HTTP/1.1 403');
    expect(home.notices).toEqual([expect.stringMatching(/further rights.*`write`.*connect inbox/s)]);
    server.state.challenge = '';
    await connect('inbox');
    const found = await server.provider.AccessToken.find(tokens('inbox')?.accessToken ?? '');
    expect(found?.scope?.split(' ').sort()).toEqual(['read', 'write']);
    // It wants the same again, although it has it: nothing that the owner could do.
    server.state.challenge = 'Bearer error="insufficient_scope", scope="write"';
    expect(await callMcp()).toContain('HTTP/1.1 403');
    expect(home.notices).toHaveLength(1);
  });

  test('forgot us: the owner is told, and connecting registers anew', async () => {
    await connect('inbox');
    const [before] = home.store.serviceClients.all();
    await server.provider.Client.adapter.destroy(before?.clientId ?? '');
    home.store.serviceTokens.expire('inbox', tokens('inbox')?.accessToken ?? '');
    expect(await callMcp()).toContain('503');
    expect(home.notices).toHaveLength(1);
    await connect('inbox');
    expect(await callMcp()).toContain('HTTP/1.1 200');
    expect(tokens('inbox')?.client).not.toBe(before?.client);
  });

  test('another address in services.json does not get its tokens, nor does another authorization server', async () => {
    await connect('inbox');
    home.write({ inbox: { ...mcp(), url: `${server.issuer}/mcp/other` } });
    expect(await callMcp()).toContain('503');
    home.write({ inbox: mcp({ issuer: 'https://login.example' }) });
    expect(await callMcp()).toContain('503');
    await expect(connect('inbox')).rejects.toThrow(/services.json another/);
    home.write({ inbox: mcp() });
    expect(await callMcp()).toContain('HTTP/1.1 200');
  });
});
