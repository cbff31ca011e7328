// Token endpoints that lie, ramble or say our own secrets back: what is taken, and what anybody is told of it.
import { createServer, type RequestListener, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listen } from '../egress/testing/inside.js';
import { createGuardedFetch } from './guarded-fetch.js';
import { askForTokens, type OAuthClient } from './token-request.js';

const SECRET = 'geheim-0123456789';
let server: Server;
let client: OAuthClient;
let serve: RequestListener;
let got: { body: URLSearchParams; authorization: string | undefined };
beforeEach(async () => {
  server = createServer(async (request, response) => {
    got = { body: new URLSearchParams(await text(request)), authorization: request.headers.authorization };
    serve(request, response);
  });
  const url = `http://127.0.0.1:${await listen(server)}/token`;
  client = {
    ...{ service: 'api', client: 'x', tokenUrl: url, clientId: 'pinch:1', secret: SECRET, isRegistered: false },
    ...{
      authMethod: 'client_secret_post',
      resource: null,
      fetch: createGuardedFetch({ url: new URL(url), written: [] }),
    },
  };
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const ask = () => askForTokens(client, { grant_type: 'refresh_token', refresh_token: 'refresh-0123456789' });
const says = (answer: object | string, status = 200) => {
  const body = typeof answer === 'string' ? answer : JSON.stringify(answer);
  serve = (_request, response) => void response.writeHead(status).end(body);
};

test.each([
  [3_600, 3_600_000],
  ['3600', 3_600_000],
  [0.0004, 0],
  [0, null],
  [-5, null],
  ['soon', null],
  [null, null],
  [undefined, null],
  [1e300, 10 * 366 * 86_400_000],
])('expires_in %s: %s ms', async (seconds, livesMs) => {
  says({ access_token: 'a', token_type: 'Bearer', expires_in: seconds });
  expect(await ask()).toEqual({ kind: 'tokens', tokens: { accessToken: 'a', refreshToken: null, livesMs } });
});

test.each([
  ['HTML', '<html>Sign in</html>'],
  ['nothing', ''],
  ['a list', '[]'],
  ['another type of token', { access_token: 'a', token_type: 'DPoP' }],
  ['a token that ends a header', { access_token: 'a\r\nx: y', token_type: 'bearer' }],
  ['no token', { token_type: 'bearer' }],
  ['more than anybody reads', 'x'.repeat(300_000)],
])('%s is no token', async (_name, answer) => {
  says(answer);
  expect(await ask()).toMatchObject({ kind: 'failed' });
});

test('a redirect is not followed, whoever it leads to', async () => {
  serve = (_request, response) => void response.writeHead(307, { location: '/elsewhere' }).end();
  expect(await ask()).toEqual({ kind: 'failed', why: 'status 307' });
});

test.each([
  [{ error: 'invalid_grant', error_description: `${SECRET} refresh-0123456789` }, 'invalid_grant'],
  [{ error: `x-${SECRET}` }, 'an error'],
  [{ error: 'refresh-0123456789' }, 'an error'],
])('of a refusal only its name is told: %j', async (answer, error) => {
  says(answer, 400);
  expect(await ask()).toEqual({ kind: 'refused', error });
});

test.each([
  [{ error: 'server_error' }, 503],
  [{ error: 'two words' }, 400],
  ['<html>', 404],
])('what is no refusal may be asked again: %j', async (answer, status) => {
  says(answer, status);
  expect(await ask()).toEqual({ kind: 'failed', why: `status ${status}` });
});

test('who we are is said in one way', async () => {
  says({ access_token: 'a' });
  await ask();
  expect(got.body.get('client_secret')).toBe(SECRET);
  client = { ...client, authMethod: 'client_secret_basic', secret: 'a:b %', resource: 'https://mcp.example/mcp' };
  await ask();
  expect(Buffer.from(got.authorization?.split(' ')[1] ?? '', 'base64').toString()).toBe('pinch%3A1:a%3Ab+%25');
  expect(got.body.get('client_id')).toBeNull();
  expect(got.body.get('resource')).toBe('https://mcp.example/mcp');
  client = { ...client, authMethod: 'none' };
  await ask();
  expect([...got.body.keys()]).toEqual(['grant_type', 'refresh_token', 'resource', 'client_id']);
});
