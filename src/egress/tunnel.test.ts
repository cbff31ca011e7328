// A tunnel whose ends have different speeds, as the link of a busy container makes them.
import http from 'node:http';
import { connect, createServer } from 'node:net';
import { duplexPair } from 'node:stream';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { systemClock } from '../core/clock.js';
import { createProxy } from './proxy.js';
import { listen, startInside } from './testing/inside.js';

const SIZE = 1_000_000;

/** What a slow reader got of a site, and how it ended; `abrupt`: the site breaks off at once. */
async function readSlowly(abrupt: boolean): Promise<{ bytes: number; whole: boolean }> {
  const inside = await startInside();
  const site = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => (abrupt ? socket.resetAndDestroy() : socket.end(Buffer.alloc(SIZE))));
  });
  const port = await listen(site);
  inside.allow('site.example', [port]);
  const [client, socket] = duplexPair();
  socket.on('error', () => socket.destroy());
  await createProxy(inside.connections, inside.guards).connect({
    link: inside.link,
    target: `site.example:${port}`,
    socket,
    head: Buffer.from('go'),
  });
  let bytes = 0;
  let whole = false;
  client.on('end', () => (whole = true));
  client.on('data', (piece: Buffer) => {
    bytes += piece.length;
    client.pause();
    void systemClock.sleep(5).then(() => client.resume());
  });
  await expect.poll(() => whole || socket.destroyed).toBe(true);
  await expect.poll(() => inside.events().length).toBe(1);
  site.close();
  await inside.close();
  return { bytes, whole };
}

test('what a site sent before it closed reaches a slow reader whole', async () => {
  const { bytes, whole } = await readSlowly(false);
  expect({ body: bytes - 'HTTP/1.1 200 Connection established\r\n\r\n'.length, whole }).toEqual({
    body: SIZE,
    whole: true,
  });
});

test('a site that breaks off ends the tunnel, and not as if it were whole', async () => {
  expect(await readSlowly(true)).toMatchObject({ whole: false });
});

test.each([
  ['a tunnel', 'CONNECT site.example:443'],
  ['a request', 'GET http://site.example/'],
])('whoever left before the site of %s was reached leaves nothing open', async (_what, said) => {
  const inside = await startInside();
  const site = createServer((socket) => socket.on('error', () => socket.destroy()));
  const upstream = connect(await listen(site), '127.0.0.1');
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const open = () => reached.then(() => ({ kind: 'allowed' as const, socket: upstream }));
  const proxy = createProxy({ open }, inside.guards);
  const { link } = inside;
  const asked: Promise<void>[] = [];
  const server = http.createServer((request, response) => asked.push(proxy.forward({ link, request, response })));
  server.on('connect', ({ url = '' }, socket, head) => {
    asked.push(proxy.connect({ link, target: url, socket, head }));
    // As the link does when the other end of its stream is gone.
    socket.on('end', () => socket.destroy()).resume();
  });
  const client = connect(await listen(server), '127.0.0.1', () => client.write(`${said} HTTP/1.1\r\nhost: x\r\n\r\n`));
  await expect.poll(() => asked.length).toBe(1);
  client.destroy();
  await expect.poll(() => promisify(server.getConnections.bind(server))()).toBe(0);
  reach();
  await Promise.all(asked);
  await expect.poll(() => upstream.destroyed).toBe(true);
  for (const one of [site, server]) one.close();
  await inside.close();
});
