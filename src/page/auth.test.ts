// Who gets in: the token file, and a table of requests with what is decided about each.
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decideAccess, loadPageToken, pageLink } from './auth.js';

const token = 'a-token-of-at-least-sixteen-characters';

/** A request: its path (with the query), and its headers by their names. */
interface Asked {
  path?: string;
  host?: string | undefined;
  origin?: string;
  'sec-fetch-site'?: string;
  authorization?: string | undefined;
  cookie?: string;
}

const bearer: Asked = { path: '/api/status', host: '127.0.0.1:7462', authorization: `Bearer ${token}` };

function decide(change: Asked, base: Asked): string {
  const { path = '/', ...headers } = { ...base, ...change };
  const url = new URL(path, 'http://127.0.0.1:7462');
  const request = {
    path: url.pathname,
    header: (name: string) => new Map(Object.entries(headers)).get(name),
  };
  return decideAccess(request, {
    port: 7462,
    hosts: ['pinch.tail1234.ts.net', 'home.example:8443'],
    isFrame: (path) => path === '/runs',
    knows: (given) => given === token,
  });
}

describe('every request is decided before a route sees it', () => {
  test.each<[string, Asked, Asked, string]>([
    ['bearer token', {}, bearer, 'allowed'],
    ['localhost', { host: 'LOCALHOST:7462' }, bearer, 'allowed'],
    ['IPv6 loopback', { host: '[::1]:7462' }, bearer, 'allowed'],
    ['another name for this machine (DNS rebinding)', { host: 'evil.example:7462' }, bearer, 'wrong_host'],
    ['another port', { host: '127.0.0.1:80' }, bearer, 'wrong_host'],
    ['no port', { host: '127.0.0.1' }, bearer, 'wrong_host'],
    ['no Host at all', { host: undefined }, bearer, 'wrong_host'],
    ['a name of the settings', { host: 'Pinch.tail1234.ts.net' }, bearer, 'allowed'],
    ['a name of the settings with its port', { host: 'home.example:8443' }, bearer, 'allowed'],
    ['a name of the settings with another port', { host: 'home.example' }, bearer, 'wrong_host'],
    ['a name below one of the settings', { host: 'x.pinch.tail1234.ts.net' }, bearer, 'wrong_host'],
    ['a name that ends like one of the settings', { host: 'evilpinch.tail1234.ts.net' }, bearer, 'wrong_host'],
    ['its https Origin', { origin: 'https://pinch.tail1234.ts.net' }, bearer, 'allowed'],
    ['its Origin with another port', { origin: 'https://home.example:1' }, bearer, 'foreign_origin'],
    ['the frame of a page, without a token', { path: '/runs', authorization: undefined }, bearer, 'allowed'],
    ['a path that is none', { path: '/runs/../metrics', authorization: undefined }, bearer, 'unauthorized'],
    ['a name that begins like ours', { host: '127.0.0.1:7462.evil.example' }, bearer, 'wrong_host'],
    ['wrong Host on an open path', { host: 'evil.example', path: '/healthz' }, bearer, 'wrong_host'],
    ['our own Origin', { origin: 'http://localhost:7462' }, bearer, 'allowed'],
    ['foreign Origin', { origin: 'https://evil.example' }, bearer, 'foreign_origin'],
    ['foreign Origin on an open path', { origin: 'https://evil.example', path: '/healthz' }, bearer, 'foreign_origin'],
    ['Origin of another port here', { origin: 'http://127.0.0.1:3000' }, bearer, 'foreign_origin'],
    ['https Origin', { origin: 'https://127.0.0.1:7462' }, bearer, 'foreign_origin'],
    ['Origin null (sandboxed frame, file)', { origin: 'null' }, bearer, 'foreign_origin'],
    ['an image on another page', { 'sec-fetch-site': 'cross-site' }, bearer, 'foreign_origin'],
    ['a script of another port here', { 'sec-fetch-site': 'same-site' }, bearer, 'foreign_origin'],
    ['a followed link to the page', { 'sec-fetch-site': 'cross-site', path: '/' }, bearer, 'allowed'],
    ['no token', { authorization: undefined }, bearer, 'unauthorized'],
    ['wrong token', { authorization: 'Bearer nope' }, bearer, 'unauthorized'],
    ['an empty bearer', { authorization: 'Bearer ' }, bearer, 'unauthorized'],
    ['another scheme', { authorization: `Basic ${token}` }, bearer, 'unauthorized'],
    ['open path without token', { authorization: undefined, path: '/healthz' }, bearer, 'allowed'],
    ["the page's own files without token", { authorization: undefined, path: '/chat.css' }, bearer, 'allowed'],
    ['a cookie of any kind', { authorization: undefined, cookie: `pinch_session=${token}` }, bearer, 'unauthorized'],
    ['the page itself, which holds no data', { authorization: undefined, path: '/index.html' }, bearer, 'allowed'],
    ['the page by its link', { authorization: undefined, path: '/' }, bearer, 'allowed'],
    ['a page in a folder', { authorization: undefined, path: '/api/index.html' }, bearer, 'unauthorized'],
    [
      'the token in an address of the API',
      { path: `/api/runs?token=${token}`, authorization: undefined },
      bearer,
      'unauthorized',
    ],
    ['a path that begins like an open one', { authorization: undefined, path: '/healthz/x' }, bearer, 'unauthorized'],
  ])('%s', (_name, change, base, expected) => {
    expect(decide(change, base)).toBe(expected);
  });
});

test('the printed link keeps its token out of what is sent to a server', () => {
  const link = new URL(pageLink('http://127.0.0.1:7462', token));
  expect(link.pathname + link.search).toBe('/');
  expect(link.hash).toBe(`#token=${token}`);
});

describe('the token file', () => {
  const newDir = () => mkdtempSync(join(tmpdir(), 'pinch-token-'));

  test('is made once, readable by its owner only, and reused', () => {
    const dir = newDir();
    const first = loadPageToken(dir);
    expect(first).toMatch(/^[\w-]{43}$/);
    expect(loadPageToken(dir)).toBe(first);
    expect(statSync(join(dir, 'dashboard-token')).mode & 0o777).toBe(0o600);
    expect(loadPageToken(newDir())).not.toBe(first);
  });

  test('is closed again when a copy made it readable for others', () => {
    const dir = newDir();
    const file = join(dir, 'dashboard-token');
    writeFileSync(file, `${token}\n`, { mode: 0o644 });
    expect(loadPageToken(dir)).toBe(token);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('an empty one is refused and left alone, not replaced behind the back of scripts that use it', () => {
    const dir = newDir();
    const file = join(dir, 'dashboard-token');
    writeFileSync(file, '\n');
    expect(() => loadPageToken(dir)).toThrow(expect.objectContaining({ code: 'dashboard_token_invalid' }));
    expect(readFileSync(file, 'utf8')).toBe('\n');
  });
});
