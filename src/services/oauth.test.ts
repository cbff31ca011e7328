// A service with OAuth 2: connected by the owner in a browser, renewed in time by one at a time, told once when it was taken back.
import { createHash } from 'node:crypto';
import http, { type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { Hono } from 'hono';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../core/clock.js';
import { listen } from '../egress/testing/inside.js';
import { createGuards } from '../secrets/guards.js';
import { createSecrets } from '../secrets/secrets.js';
import { type ServicesHome, startHome } from './testing/home.js';
import { addressIn, connectAt } from './testing/owner.js';

let server: Server;
let home: ServicesHome;
/** What the authorization server knows: the challenge of each code, and the refresh token that counts. */
let codes: Map<string, string>;
let refreshToken: string | undefined;
let expiresIn: number;
let grants: string[];
let hold: Promise<void> | undefined;
let known: Set<string>;
let tokenUrl: string;

beforeEach(async () => {
  [codes, known, grants, refreshToken, expiresIn, hold] = [new Map(), new Set(), [], undefined, 3_600, undefined];
  server = http.createServer(async (request, response) => {
    const body = new URLSearchParams(await text(request));
    if (request.url !== '/token') {
      const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
      return void response.writeHead(known.has(token) ? 200 : 401).end(`${request.url} ${token}`);
    }
    grants.push(body.get('grant_type') ?? '');
    await hold;
    const refuse = (error: string) => response.writeHead(400).end(JSON.stringify({ error }));
    if (
      request.method !== 'POST' ||
      body.get('client_id') !== 'pinch' ||
      body.get('client_secret') !== 'tok-0123456789'
    )
      return refuse('invalid_client');
    if (body.get('grant_type') === 'authorization_code') {
      const challenge = createHash('sha256')
        .update(body.get('code_verifier') ?? '')
        .digest('base64url');
      if (codes.get(body.get('code') ?? '') !== challenge || !body.get('redirect_uri')?.startsWith('http://127.0.0.1:'))
        return refuse('invalid_grant');
      codes.delete(body.get('code') ?? '');
    } else if (body.get('refresh_token') !== refreshToken) return refuse('invalid_grant');
    refreshToken = `refresh-${grants.length}-secret`;
    const token = `access-${grants.length}-secret`;
    known.add(token);
    response.end(
      JSON.stringify({ access_token: token, refresh_token: refreshToken, expires_in: expiresIn, token_type: 'bearer' }),
    );
  });
  const origin = `http://127.0.0.1:${await listen(server)}`;
  tokenUrl = `${origin}/token`;
  home = await startHome({ api: api(origin) });
});
afterEach(async () => {
  await home.end();
  server.close();
  server.closeAllConnections();
});

const api = (origin: string, more: object = {}) => ({
  ...{ kind: 'http', url: `${origin}/v1`, groups: ['main'] },
  auth: {
    oauth2: {
      tokenUrl: `${origin}/token`,
      authorizeUrl: 'https://login.example/auth?access_type=offline',
      clientId: 'pinch',
      clientSecret: 'TOKEN',
      scopes: ['read', 'write'],
      ...more,
    },
  },
});
const call = () => home.curl('-i', `${home.base}/api/x`);

/** The owner at a terminal; `browse` has the address that is shown. */
const connect = (browse: (url: URL, type: (line: string) => void) => void): Promise<string> =>
  connectAt(
    home.module.api(() => ({})),
    'api',
    {
      onSay: (shown, type) => {
        const url = addressIn(shown);
        if (url) browse(new URL(url), type);
      },
    },
  );
/** The server says yes, and the browser comes back with a code. */
function approve(url: URL): string {
  const get = (name: string) => url.searchParams.get(name) ?? '';
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    response_type: 'code',
    client_id: 'pinch',
    code_challenge_method: 'S256',
    access_type: 'offline',
    scope: 'read write',
  });
  codes.set('the-code', get('code_challenge'));
  return `${get('redirect_uri')}?code=the-code&state=${get('state')}`;
}
const connected = () => connect((url) => void fetch(approve(url)));

test('not connected yet, a call is refused, and nothing is sent', async () => {
  expect(await call()).toContain('503 this service has no credential now');
  expect(home.serviceEvents()[0]?.why).toBe('the service api is not connected');
  const app = new Hono();
  home.module.api(() => ({}))(app);
  const listed = async () => Object(await (await app.request('/api/services')).json()).services[0];
  expect(await listed()).toMatchObject({ auth: 'oauth2', connected: false, variables: [{ name: 'TOKEN', set: true }] });
  await connected();
  expect(await listed()).toMatchObject({ connected: true });
  expect(JSON.stringify(await listed())).not.toMatch(/-secret|tok-/);
});

test('connected in a browser, calls have a token that does not come back', async () => {
  expect(await connected()).toBe('api is connected.');
  expect(await call()).toContain('/v1/x ***************');
  expect(grants).toEqual(['authorization_code']);
});

test('where the browser runs elsewhere, its address is pasted', async () => {
  expect(await connect((url, type) => [type('nonsense'), type(approve(url))])).toBe('api is connected.');
});

test('an answer of somebody else is none, a no is told', async () => {
  const wrong: number[] = [];
  const done = connect(async (url) => {
    const right = approve(url);
    for (const other of [
      right.replace(/state=.*/, 'state=guess'),
      right.replace(/\?.*/, ''),
      right.replace('code=', 'c='),
    ])
      wrong.push((await fetch(other)).status);
    await fetch(right);
  });
  expect(await done).toBe('api is connected.');
  expect(wrong).toEqual([404, 404, 404]);
  await expect(
    connect((url) => void fetch(approve(url).replace('code=the-code', 'error=access_denied'))),
  ).rejects.toThrow(/access_denied/);
  await expect(connect((url) => void fetch(approve(url).replace('the-code', 'another')))).rejects.toThrow(
    /taken back, or has ended/,
  );
});

test('it is renewed before it ends, once for all who wait', async () => {
  expiresIn = 30;
  await connected();
  expiresIn = 3_600;
  let go = (): void => undefined;
  hold = new Promise((resolve) => {
    go = resolve;
  });
  const calls = [call(), call(), call()];
  await expect.poll(() => grants.length).toBe(2);
  await new Promise((resolve) => setTimeout(resolve, 200));
  go();
  for (const answer of await Promise.all(calls)) expect(answer).toContain('HTTP/1.1 200');
  expect(grants).toEqual(['authorization_code', 'refresh_token']);
  await call();
  expect(grants).toHaveLength(2);
});

test('tokens are secrets of the host at once, renewed and after a restart', async () => {
  const tokens = (at: number) => [`access-${at}-secret`, `refresh-${at}-secret`];
  const names = ['access token of the service api', 'refresh token of the service api'];
  expect(home.secrets.namesIn(tokens(1))).toEqual([]);
  expiresIn = 30;
  await connected();
  expect(home.secrets.namesIn(tokens(1))).toEqual(names);
  expiresIn = 3_600;
  await call();
  // The old ones may still be good.
  for (const at of [1, 2]) expect(home.secrets.namesIn(tokens(at))).toEqual(names);
  const secrets = createSecrets();
  createGuards({ secrets, store: home.store, clock: systemClock, log: pino({ enabled: false }) });
  expect(secrets.namesIn(tokens(2))).toEqual(names);
});

test('one that the service does not take any more is asked for anew', async () => {
  await connected();
  known.clear();
  expect(await call()).toContain('HTTP/1.1 401');
  expect(await call()).toContain('HTTP/1.1 200');
});

test('taken back, the owner is told once, and it is not tried again', async () => {
  expiresIn = 30;
  await connected();
  refreshToken = 'another';
  for (const _ of [1, 2]) expect(await call()).toContain('503');
  expect(home.notices).toEqual([expect.stringContaining('`npm run -s pinch -- connect api`')]);
  expect(grants).toHaveLength(2);
});

test('while the server is away the tokens stay', async () => {
  expiresIn = 30;
  await connected();
  const { port } = Object(server.address());
  server.close();
  server.closeAllConnections();
  expect(await call()).toContain('503');
  expect(home.notices).toEqual([]);
  server.listen(port, '127.0.0.1');
  await expect.poll(call).toContain('HTTP/1.1 200');
});

test('another server in services.json does not get them', async () => {
  await connected();
  home.write({ api: api(tokenUrl.replace('/token', ''), { tokenUrl: 'https://evil.example/token' }) });
  expect(await call()).toContain('503');
  expect(grants).toHaveLength(1);
});
