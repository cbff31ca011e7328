// The page's server over real HTTP: who gets in, what is refused, how it starts and ends.
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type PageFixture, startPageFixture } from '../../test/e2e/page-fixture.js';
import { loadConfig } from '../core/config.js';
import { startPage } from './server.js';

let home: PageFixture;
beforeEach(async () => {
  home = await startPageFixture();
});
afterEach(() => home.close());

interface RawAnswer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

/** fetch does not let anyone set Host. */
function raw(path: string, headers: Record<string, string>, method = 'GET', body = ''): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: home.port, path, method, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => {
        text += piece;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const bearer = () => ({ authorization: `Bearer ${home.token}` });

describe('refused before any route', () => {
  test.each([
    ['foreign Host', '/api/status', { host: 'evil.example' }, 403],
    ['foreign Host, health check', '/healthz', { host: 'evil.example' }, 403],
    ['foreign Host, page', '/', { host: 'evil.example:7462' }, 403],
    ['foreign Origin', '/api/status', { origin: 'https://evil.example' }, 403],
    ['foreign Origin, event stream', '/api/chat/stream', { origin: 'http://127.0.0.1:1' }, 403],
    ['foreign Origin, page file', '/chat.js', { origin: 'https://evil.example' }, 403],
    ['wrong token', '/api/status', { authorization: 'Bearer wrong' }, 401],
    ['wrong token, unknown route', '/api/nothing', { authorization: 'Bearer wrong' }, 401],
    ['wrong token, figures', '/metrics', { authorization: 'Bearer wrong' }, 401],
  ])('%s', async (_name, path, headers, status) => {
    const answer = await raw(path, { ...bearer(), ...headers });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body).error.message).not.toBe('');
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  test('no token: the page, which holds no data, and nothing else', async () => {
    for (const path of ['/api/status', '/api/chat/stream', '/metrics', '/other', '/?token=x&path=/api/status']) {
      const answer = await fetch(home.url + path, { redirect: 'manual' });
      expect(answer.headers.get('set-cookie')).toBeNull();
      if (path.startsWith('/?')) continue;
      expect(answer.status).toBe(401);
      expect(await answer.json()).toMatchObject({ error: { code: 'unauthorized' } });
    }
    const page = await fetch(`${home.url}/`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('/chat.js');
  });
});

test('the page may be reached by the names of PINCH_PAGE_HOSTS, and by no others', async () => {
  const config = loadConfig(
    { PINCH_PAGE_HOSTS: 'Pinch.tail1.ts.net, home.example:8443', PINCH_HOME: home.dataDir },
    '/',
  );
  await home.down();
  Object.assign(home.deps.config, { pageHosts: config.pageHosts });
  await home.up();
  const statusOf = async (host: string, origin: string) =>
    (await raw('/api/status', { ...bearer(), host, origin })).status;
  expect(await statusOf('pinch.tail1.ts.net', 'https://pinch.tail1.ts.net')).toBe(200);
  expect(await statusOf('home.example:8443', 'https://home.example:8443')).toBe(200);
  expect(await statusOf(`127.0.0.1:${home.port}`, 'https://pinch.tail1.ts.net')).toBe(200);
  expect(await statusOf('home.example', 'https://pinch.tail1.ts.net')).toBe(403);
  expect(await statusOf('pinch.tail1.ts.net', 'https://evil.example')).toBe(403);
});

describe('the control room without a token', () => {
  const frames = ['runs', 'approvals', 'tasks', 'costs', 'memory', 'groups', 'health', 'settings'];

  test.each(frames)('/%s is a frame without data; what it shows needs the token', async (name) => {
    home.intake.receiveFromPage('a secret question');
    for (const path of [`/${name}`, `/${name}/1`]) {
      const frame = await fetch(home.url + path);
      expect([frame.status, (await frame.text()).includes('a secret question')]).toEqual([200, false]);
      expect((await fetch(`${home.url}/api/view${path}`)).status).toBe(401);
    }
    expect((await fetch(`${home.url}/api/view/${name}`, { headers: bearer() })).status).toBe(200);
  });

  test('a run that is not there is said so, in whatever way it is named', async () => {
    for (const id of ['999', '-1', '1e3', '1%20OR%201', '..%2f..%2fhealthz'])
      expect((await fetch(`${home.url}/api/view/runs/${id}`, { headers: bearer() })).status).toBe(404);
  });
});

test('every answer forbids foreign code, framing and caching of data', async () => {
  const answers: [string, RequestInit, number][] = [
    ...['/', '/chat.js', '/api/status', '/healthz'].map((path): [string, RequestInit, number] => [path, {}, 200]),
    ['/api/nothing', {}, 404],
    ['/api/chat/stream', {}, 200],
    ['/api/session', { method: 'POST' }, 201],
    ['/api/status', { headers: {} }, 401],
    ['/api/status', { headers: { origin: 'https://evil.example' } }, 403],
    ['/api/chat', { method: 'POST', body: '{' }, 415],
    ['/api/chat', { method: 'POST', body: 'x'.repeat(1_048_577) }, 413],
    ['/hooks/1', { method: 'POST', body: 'ding' }, 401],
    ['/hooks/1', { method: 'POST', body: 'x'.repeat(262_145) }, 413],
  ];
  for (const [path, init, status] of answers) {
    const answer = await fetch(home.url + path, { headers: { ...bearer(), connection: 'close' }, ...init });
    const { headers } = answer;
    await answer.body?.cancel();
    expect(answer.status, path).toBe(status);
    const csp = headers.get('content-security-policy') ?? '';
    expect(csp).toContain("default-src 'none'");
    expect(csp).toContain("frame-ancestors 'none'");
    expect(csp).not.toContain('unsafe');
    expect(headers.get('content-security-policy')).toContain("img-src 'self' blob: data:");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
  }
});

test('the health check needs no token and says whether everything is up', async () => {
  home.state.ready = false;
  expect((await fetch(`${home.url}/healthz`)).status).toBe(503);
  home.state.ready = true;
  const answer = await fetch(`${home.url}/healthz`);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ status: 'ok' });
});

describe('a bad body changes nothing and says why', () => {
  const post = (body: string, contentType = 'application/json') =>
    fetch(`${home.url}/api/chat`, { method: 'POST', headers: { ...bearer(), 'content-type': contentType }, body });

  test.each([
    ['malformed JSON', '{"text":', 400, 'bad_request'],
    ['not an object', '"hello"', 400, 'bad_request'],
    ['no text', '{}', 400, 'bad_request'],
    ['blank text', '{"text":"  \\n"}', 400, 'bad_request'],
    ['an id that is none', '{"text":"x","id":"../x"}', 400, 'bad_request'],
    ['text above the limit', JSON.stringify({ text: 'x'.repeat(100_001) }), 400, 'bad_request'],
    ['a body over 1 MiB', JSON.stringify({ text: 'x'.repeat(1_048_577) }), 413, 'too_large'],
  ])('%s', async (_name, body, status, code) => {
    const answer = await post(body);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ error: { code, message: expect.stringMatching(/\S/) } });
    expect(home.store.groups.chatByAddress('web', 'owner')).toBeUndefined();
  });

  test('a body over 1 MiB whose length is not announced', async () => {
    const headers = { ...bearer(), 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    const answer = await raw('/api/chat', headers, 'POST', JSON.stringify({ text: 'x'.repeat(1_200_000) }));
    expect(answer.status).toBe(413);
  });

  test('a content type that a plain form can send', async () => {
    const answer = await post('{"text":"hello"}', 'text/plain');
    expect(answer.status).toBe(415);
  });
});

test('a body that never ends, and a request that never begins, are cut off', async () => {
  const slow = await startPage({ ...home.deps, port: 0 }, { requestMs: 300, checkMs: 50 });
  const { port } = new URL(slow.url);
  const begun = [
    'GET / HTTP/1.1\r\nHost:',
    ...['/hooks/1', '/api/chat', '/api/session'].map(
      (path) =>
        `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${home.token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    ),
  ];
  const ends = begun.map(async (text) => {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
    socket.resume().write(text);
    await once(socket, 'close');
  });
  await Promise.all(ends);
  await slow.close();
});

test('a taken port is named together with the setting that changes it', async () => {
  await expect(startPage({ ...home.deps, port: home.port })).rejects.toMatchObject({
    code: 'port_taken',
    hint: expect.stringContaining('PINCH_PORT'),
  });
});

test('closing ends open streams and frees the port', async () => {
  const stream = await fetch(`${home.url}/api/chat/stream`, { headers: bearer() });
  expect(stream.status).toBe(200);
  await home.down();
  await expect(stream.text().catch(() => 'cut')).resolves.toBeDefined();
  await home.up();
  expect((await fetch(`${home.url}/healthz`)).status).toBe(200);
});

test('only this machine can reach it', async () => {
  const other = Object.values(networkInterfaces())
    .flat()
    .find((address) => address && !address.internal && address.family === 'IPv4');
  if (!other) return;
  await expect(fetch(`http://${other.address}:${home.port}/healthz`)).rejects.toThrow();
});
