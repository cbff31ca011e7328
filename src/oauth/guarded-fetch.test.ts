// What a hostile server can make us ask, and make us read.
import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { whenBusy } from '../../test/limits.js';
import { listen } from '../egress/testing/inside.js';
import { createGuardedFetch, type Lookup } from './guarded-fetch.js';

let server: Server;
let origin: string;
let asked: string[];
let serve: RequestListener;
beforeEach(async () => {
  asked = [];
  serve = (_request, response) => void response.end('{}');
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    serve(request, response);
  });
  origin = `http://127.0.0.1:${await listen(server)}`;
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const names: Record<string, string[]> = {
  'inside.example': ['127.0.0.1'],
  'both.example': ['93.184.216.34', '10.0.0.7'],
  'metadata.example': ['169.254.169.254'],
};
const lookup: Lookup = async (host) => names[host] ?? [];
const fetchFor = (url: string, written: string[] = []) => createGuardedFetch({ url: new URL(url), written }, lookup);

describe('a public service does not lead to', () => {
  test.each([
    'https://127.0.0.1/x',
    'https://[::1]/x',
    'https://[::ffff:10.0.0.1]/x',
    'https://169.254.169.254/latest',
    'https://192.168.1.1/',
    'https://2130706433/',
    'https://localhost/',
    'https://inside.example/',
    'https://both.example/',
    'https://metadata.example/',
    'http://public.example/',
    'file:///etc/passwd',
    'ftp://public.example/',
  ])('%s', async (url) => {
    const { port } = new URL(origin);
    const there = new URL(url);
    if (/^https?:$/.test(there.protocol)) there.port = port;
    names.localhost = ['127.0.0.1'];
    await expect(fetchFor('https://mcp.example/mcp')(there)).rejects.toMatchObject({ code: 'unsafe' });
    expect(asked).toEqual([]);
  });
});

describe('a service of the own network', () => {
  test('leads to others there, but not to where no network of somebody is', async () => {
    const ask = fetchFor('http://127.0.0.1:9/mcp');
    expect((await ask(`${origin}/x`)).status).toBe(200);
    await expect(ask('https://169.254.169.254/latest')).rejects.toMatchObject({ code: 'unsafe' });
    await expect(ask('http://inside.example/')).rejects.toMatchObject({ code: 'unsafe' });
    expect(asked).toEqual(['/x']);
  });
});

test('what the owner wrote is asked wherever it is', async () => {
  const { port } = new URL(origin);
  const there = `http://inside.example:${port}`;
  const answer = await fetchFor('https://mcp.example/mcp', [`${there}/token`])(`${there}/token`, {
    method: 'POST',
    body: new URLSearchParams({ a: 'b' }),
  });
  expect(answer.status).toBe(200);
});

test('a redirect is an answer, and nobody is asked there', async () => {
  serve = (_request, response) => void response.writeHead(302, { location: `${origin}/elsewhere` }).end();
  expect((await fetchFor(origin)(`${origin}/x`)).status).toBe(302);
  expect(asked).toEqual(['/x']);
});

test('an answer without end is broken off', async () => {
  serve = (_request, response) => {
    const more = (): void => void (response.destroyed || response.write('x'.repeat(65_536), more));
    more();
  };
  await expect(fetchFor(origin)(origin)).rejects.toThrow(/longer than/);
});

test('one that comes byte by byte is broken off in time', async () => {
  serve = (_request, response) => {
    const more = setInterval(() => response.write(' '), 500);
    response.once('close', () => clearInterval(more));
  };
  const startedAt = performance.now();
  await expect(fetchFor(origin)(origin)).rejects.toThrow();
  expect(performance.now() - startedAt).toBeLessThan(whenBusy(20_000));
});
