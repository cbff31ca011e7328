// What a hostile container can put on its stdout: raw HTTP/2 frames that the runner would never send. This process must live on
// (vitest fails a run with an uncaught error), and what breaks the protocol must end the link.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { HANG_MS } from '../../test/limits.js';
import { holds } from '../../test/property.js';
import { systemClock } from '../core/clock.js';
import { type HostLink, openHostLink } from './link.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const REQUEST = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

function frame(type: number, flags: number, streamId: number, payload = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const field = (name: string, value: string) =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
// 0x86, 0x84: `:scheme http` and `:path /` of HPACK's static table.
const requestFields = (method: string) =>
  Buffer.concat([field(':method', method), Buffer.from([0x86, 0x84]), field(':authority', 'gateway')]);
const open = (id: number, method = 'POST', flags = 4) => frame(1, flags, id, requestFields(method));
const reset = (id: number) => frame(3, 0, id, u32(8));
const send = (id: number, text: string) => frame(0, 0, id, Buffer.from(text));
const settings = frame(4, 0, 0);
const hello = Buffer.concat([PREFACE, settings]);
const ping = frame(6, 0, 0, Buffer.alloc(8));
const times = (count: number, make: (index: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));

/** A link whose other end is this test. `frozen`: that end reads nothing. `deaf`: nobody reads its connections. */
async function hostileLink({ frozen = false, deaf = false } = {}) {
  const [stdin, stdout] = [new PassThrough({ highWaterMark: frozen ? 1 : 65_536 }), new PassThrough()];
  const server = createServer((_req, res) => res.end('ok'));
  let connections = 0;
  const opening = openHostLink({
    stdin,
    stdout,
    clock: systemClock,
    helloTimeoutMs: HANG_MS,
    onConnection: (connection) => {
      connections += 1;
      if (!deaf) server.emit('connection', connection);
    },
  });
  stdout.write(`${String(await once(stdin, 'data')).trim()}\n`);
  const host: HostLink = await opening;
  closers.push(host.close);
  if (frozen) stdin.pause();
  else stdin.resume();
  return { host, stdin, stdout, connections: () => connections };
}

const harmless: [string, Buffer][] = [
  ['a stream opened and reset in one piece', Buffer.concat([open(1), reset(1)])],
  ['a request reset in one piece', Buffer.concat([open(1), send(1, REQUEST), reset(1)])],
  ['HEAD, which has no body to answer with', Buffer.concat([open(1, 'HEAD'), send(1, REQUEST)])],
  ['a stream that has ended before it began', open(1, 'GET', 5)],
  ['CONNECT', Buffer.concat([open(1, 'CONNECT'), send(1, REQUEST)])],
  ['frames of unknown types', Buffer.concat([frame(0x55, 0, 0, Buffer.alloc(16_000)), frame(0xa, 0, 0)])],
  ['more data than the window', Buffer.concat([open(1), times(64, () => frame(0, 0, 1, Buffer.alloc(16_384)))])],
];

const fatal: [string, Buffer][] = [
  ['garbage in place of HTTP/2', Buffer.alloc(1024 * 1024, 'x')],
  ['garbage after a good beginning', Buffer.concat([hello, Buffer.alloc(1024 * 1024, 'x')])],
  ['a stream and garbage in one piece', Buffer.concat([hello, open(1), Buffer.alloc(1_000, 'x')])],
  ['5,000 streams at once', Buffer.concat([hello, times(5_000, (i) => open(1 + 2 * i))])],
  [
    '20,000 streams opened and reset',
    Buffer.concat([hello, times(20_000, (i) => Buffer.concat([open(1 + 2 * i), reset(1 + 2 * i)]))]),
  ],
  ['200,000 pings', Buffer.concat([hello, times(200_000, () => ping)])],
  ['200,000 settings', Buffer.concat([PREFACE, times(200_000, () => settings)])],
  [
    'headers without end',
    Buffer.concat([hello, frame(1, 0, 1, requestFields('POST')), times(10_000, () => frame(9, 0, 1, field('a', 'b')))]),
  ],
  ['a window beyond 2^31', Buffer.concat([hello, open(1), frame(8, 0, 0, u32(2 ** 31 - 1))])],
  ['goodbye', Buffer.concat([hello, frame(7, 0, 0, Buffer.alloc(8))])],
];

/** What asks for an answer each. */
const floods: [string, Buffer][] = [
  ['settings', settings],
  ['pings', ping],
  ['streams without a method', frame(1, 5, 1)],
];

describe('a hostile container', () => {
  test.each(harmless)('sends %s: only that stream suffers', async (_name, bytes) => {
    const { host, stdout, connections } = await hostileLink();
    stdout.write(Buffer.concat([hello, bytes]));
    const before = connections();
    stdout.write(Buffer.concat([open(101), send(101, REQUEST)]));
    await expect.poll(connections).toBeGreaterThan(before);
    host.close();
    await host.closed;
  });

  test.each(fatal)('sends %s: the link ends', async (_name, bytes) => {
    const { host, stdout } = await hostileLink();
    stdout.on('error', () => undefined).write(bytes);
    expect(await host.closed).toMatch(/link/);
    expect(stdout.destroyed).toBe(true);
  });

  test.each(floods)('that reads nothing and sends %s: the link ends by itself', async (_name, one) => {
    const { host, stdin, stdout } = await hostileLink({ frozen: true });
    stdout.on('error', () => undefined).write(Buffer.concat([hello, times(200_000, () => one)]));
    expect(await host.closed).toMatch(/link/);
    expect(stdout.destroyed).toBe(true);
    expect(stdin.writableLength).toBeLessThan(1024 * 1024);
  });

  test('keeps a byte here for each byte that nobody reads, not all that came with it', async () => {
    const { host, stdout } = await hostileLink({ deaf: true });
    stdout.write(Buffer.concat([hello, open(1)]));
    await sleep(20);
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 1_000; n += 1) {
      const rest = times(4, () => frame(0xfe, 0, 0, Buffer.alloc(15_900)));
      if (!stdout.write(Buffer.concat([send(1, 'x'), rest]))) await once(stdout, 'drain');
    }
    await sleep(50);
    global.gc?.();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(24 * 1024 * 1024);
    host.close();
    await host.closed;
  });

  test('that reads nothing cannot hold up the end of its link', async () => {
    const { host, stdout } = await hostileLink({ frozen: true });
    stdout.write(Buffer.concat([hello, times(900, () => ping)]));
    await sleep(50);
    host.close();
    await host.closed;
    expect(stdout.destroyed).toBe(true);
  });

  test('any mix of frames, cut anywhere, leaves this process alive', async () => {
    const id = fc.integer({ min: 0, max: 6 }).map((n) => (n < 6 ? 2 * n + 1 : 0));
    const known = fc.oneof(
      id.map((n) => open(n)),
      id.map(reset),
      id.map((n) => send(n, REQUEST)),
      id.map((n) => frame(0, 1, n, Buffer.from(REQUEST))),
      fc.tuple(id, fc.constantFrom('HEAD', 'GET', 'CONNECT', '')).map(([n, method]) => open(n, method)),
    );
    const wild = fc
      .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 255 }), id, fc.uint8Array({ maxLength: 40 }))
      .map(([type, flags, n, payload]) => frame(type, flags, n, Buffer.from(payload)));
    const frames = fc.array(fc.oneof({ weight: 6, arbitrary: known }, { weight: 1, arbitrary: wild }), {
      maxLength: 30,
    });
    await holds(
      fc.asyncProperty(frames, fc.array(fc.nat(400), { maxLength: 4 }), async (list, cuts) => {
        const { host, stdout } = await hostileLink();
        const bytes = Buffer.concat([hello, ...list]);
        let from = 0;
        for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
          if (!stdout.destroyed) stdout.write(bytes.subarray(from, cut));
          from = Math.min(cut, bytes.length);
          await sleep(0);
        }
        host.close();
        await host.closed;
      }),
      { numRuns: 300 },
    );
  });
});
