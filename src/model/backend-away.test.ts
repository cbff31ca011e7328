// What each kind of bad back end says about itself to those who wait, through the real proxy.
import http from 'node:http';
import net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { type Closer, caught, closeAll, hello, httpBackend, listen, startProxy } from '../../test/fakes/model-proxy.js';
import type { CallEnd } from './outage.js';

const closers: Closer[] = [];
afterEach(() => closeAll(closers));

const answering = (status: number, body: string, type = 'text/html') =>
  listen(
    http.createServer((_request, response) => response.writeHead(status, { 'content-type': type }).end(body)),
    closers,
  );
const HTML = '<html><body><h1>Bad Gateway</h1></body></html>';

/** A port that takes bytes and says these, or hangs up. */
async function raw(words?: string): Promise<string> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => (words === undefined ? socket.destroy() : socket.end(words)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => void server.close());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

test.each<[string, () => Promise<string> | string, string | undefined]>([
  ['a name that is none', () => 'http://model.invalid', 'its name cannot be found'],
  ['nobody listens', () => 'http://127.0.0.1:9', 'it refuses the connection (ECONNREFUSED)'],
  ['plain HTTP where TLS is spoken to', async () => (await answering(200, '')).replace('http', 'https'), 'secure'],
  ['it hangs up', () => raw(), 'it broke off the connection'],
  ['no HTTP', () => raw('220 mail ready\r\n'), 'does not speak HTTP'],
  ['500 with a page', () => answering(500, HTML), 'it is broken (error 500)'],
  ['502 with a page', () => answering(502, HTML), 'it is broken (error 502)'],
  ['503 with a page', () => answering(503, HTML), 'it is overloaded or down (error 503)'],
  ['529', () => answering(529, '{}', 'application/json'), 'it is overloaded or down (error 529)'],
  ['429', () => answering(429, '{}', 'application/json'), 'error 429'],
  ['the log-in page of a network', () => answering(200, HTML), 'its answer breaks off, or is none'],
  ['429, as money is missing', () => answering(429, '{"error":"insufficient_quota"}', 'application/json'), undefined],
  ['a wrong path', () => answering(404, HTML), undefined],
  ['a refused key', () => answering(401, '{}', 'application/json'), undefined],
])('%s', async (_name, start, why) => {
  const baseUrl = await start();
  const notes: CallEnd[] = [];
  const { client } = await startProxy(closers, { backend: () => httpBackend(baseUrl), note: (end) => notes.push(end) });
  await caught(client.messages.create(hello));
  if (why === undefined) return expect(notes).toEqual([]);
  const { host: server } = new URL(baseUrl);
  expect(notes).toEqual([{ runId: 42, server, why: expect.stringContaining(why) }]);
});

test.each<['cut' | 'end' | 'error', string]>([
  ['cut', 'it broke off the connection'],
  ['end', 'its answer breaks off'],
  ['error', 'it is overloaded'],
])('a stream that ends too early (%s) is no answer; the whole one after it is', async (by, why) => {
  const notes: CallEnd[] = [];
  const { client, fake } = await startProxy(closers, { note: (end) => notes.push(end) });
  const interrupt = by === 'error' ? { after: 3, by, type: 'overloaded_error' } : { after: 3, by };
  fake.push({ text: 'never whole, this one', interrupt }, { text: 'whole' });
  for (const _ of [1, 2]) await caught(client.messages.stream(hello).finalMessage());
  expect(notes).toMatchObject([{ why: expect.stringContaining(why) }, { why: undefined }]);
});

test.each([429, 503, 529])('%i is no outage while the second model may answer', async (status) => {
  const [notes, aside]: [CallEnd[], string[]] = [[], []];
  const baseUrl = await answering(status, '{}', 'application/json');
  const { client, ends } = await startProxy(closers, {
    ...{ backend: () => httpBackend(baseUrl), isCovered: true },
    ...{ note: (end) => notes.push(end), setAside: () => aside.push('aside') },
  });
  await caught(client.messages.create(hello));
  expect({ notes, aside, ends }).toMatchObject({ notes: [], aside: ['aside'], ends: [{ overload: { waitMs: 0 } }] });
});

test('what is no overload is told with a second model too', async () => {
  const notes: CallEnd[] = [];
  const baseUrl = await answering(500, HTML);
  const note = (end: CallEnd) => notes.push(end);
  const { client } = await startProxy(closers, { backend: () => httpBackend(baseUrl), isCovered: true, note });
  await caught(client.messages.create(hello));
  expect(notes).toMatchObject([{ why: 'it is broken (error 500)' }]);
});

test('a caller that leaves says nothing about the back end', async () => {
  const notes: CallEnd[] = [];
  const { client, fake, recorded } = await startProxy(closers, { note: (end) => notes.push(end) });
  fake.push({ text: 'never whole, this one', interrupt: { after: 3, by: 'stall' } });
  const stream = client.messages.stream(hello);
  await new Promise((resolve) => stream.once('streamEvent', resolve));
  stream.abort();
  await caught(stream.finalMessage());
  await recorded(1);
  expect(notes).toEqual([]);
});

test.each<[string, boolean]>([
  ['never answers', false],
  ['stops in the middle', true],
])('one that %s: its silence is noticed while it lasts', async (_name, begins) => {
  const clock = createFakeClock();
  const notes: CallEnd[] = [];
  let reached: () => void = () => undefined;
  const called = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const baseUrl = await listen(
    http.createServer((_request, response) => {
      if (begins) response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
      reached();
    }),
    closers,
  );
  const { client } = await startProxy(closers, {
    clock,
    backend: () => httpBackend(baseUrl),
    note: (end) => notes.push(end),
  });
  const stream = client.messages.stream(hello);
  const ended = caught(stream.finalMessage());
  await called;
  if (begins) await new Promise((resolve) => setTimeout(resolve, 50));
  await clock.advance(80_000);
  expect(notes).toEqual([]);
  const since = clock.now() - 80_000;
  await clock.advance(11_000);
  expect(notes).toEqual([
    { runId: 42, server: new URL(baseUrl).host, why: 'it has been silent for 90 seconds', since },
  ]);
  stream.abort();
  await ended;
});
