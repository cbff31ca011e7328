import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import { connect } from 'node:net';
import { PassThrough, Transform } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { openLink } from '../../container/agent-runner/src/link.js';
import { HANG_MS } from '../../test/limits.js';
import { systemClock } from '../core/clock.js';
import { type HostLink, openHostLink } from './link.js';

/** As between processes: what is written arrives later, never within the write. */
const pipe = () => new Transform({ transform: (chunk, _encoding, done) => void setImmediate(done, null, chunk) });

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function pair(server: Server, before = '') {
  const [stdin, stdout] = [pipe(), pipe()];
  stdin.write(before);
  let runnerClosed = 0;
  const inside = openLink({ stdin, stdout, port: 0, onClosed: () => runnerClosed++ });
  const host: HostLink = await openHostLink({
    stdin,
    stdout,
    clock: systemClock,
    helloTimeoutMs: HANG_MS,
    onConnection: (connection) => server.emit('connection', connection),
  });
  const { port, close } = await inside;
  closers.push(close, host.close);
  return { host, port, stdin, stdout, runnerClosed: () => runnerClosed };
}

const base = (port: number) => `http://127.0.0.1:${port}`;

describe('the link', () => {
  test('carries plain HTTP, text beyond ASCII, and 64 requests at once', async () => {
    const { port } = await pair(createServer((req, res) => res.end(`grüße ${req.url} 🦞`)));
    const texts = await Promise.all(
      Array.from({ length: 64 }, async (_, i) => (await fetch(`${base(port)}/${i}`)).text()),
    );
    expect(texts).toEqual(Array.from({ length: 64 }, (_, i) => `grüße /${i} 🦞`));
  });

  test('drops what an engine puts in front of stdin', async () => {
    const { port } = await pair(
      createServer((_req, res) => res.end('ok')),
      '{"stream":true,"stdin":true}',
    );
    expect(await (await fetch(base(port))).text()).toBe('ok');
  });

  test('50 MB arrive intact both ways', async () => {
    const bytes = randomBytes(50 * 1024 * 1024);
    const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');
    const server = createServer(async (req, res) => {
      const hash = createHash('sha256');
      for await (const chunk of req) hash.update(chunk);
      res.setHeader('x-digest', hash.digest('hex'));
      res.end(bytes);
    });
    const { port } = await pair(server);
    const response = await fetch(base(port), { method: 'POST', body: bytes });
    expect(response.headers.get('x-digest')).toBe(digest(bytes));
    expect(digest(Buffer.from(await response.arrayBuffer()))).toBe(digest(bytes));
  });

  test('a client that leaves aborts the call on the host', async () => {
    let aborted: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      aborted = resolve;
    });
    const { port } = await pair(
      createServer((_req, res) => {
        res.on('close', () => aborted());
        res.write('first');
      }),
    );
    const call = request(`${base(port)}/`, (res) => res.once('data', () => call.destroy()));
    call.on('error', () => undefined);
    call.end();
    await gone;
  });

  test('a call the host breaks off breaks off inside', async () => {
    const { port } = await pair(createServer((req) => req.socket.destroy()));
    await expect(fetch(base(port))).rejects.toThrow();
  });

  test('a body the host refuses to read does not hold up other calls', async () => {
    const server = createServer((req, res) => {
      if (req.url === '/big') return;
      res.end('ok');
    });
    const { port } = await pair(server);
    const stuck = Array.from({ length: 20 }, () => {
      const call = request(`${base(port)}/big`, { method: 'POST' });
      call.on('error', () => undefined);
      call.write(Buffer.alloc(5 * 1024 * 1024));
      return call;
    });
    for (let i = 0; i < 20; i++) expect(await (await fetch(`${base(port)}/${i}`)).text()).toBe('ok');
    for (const call of stuck) call.destroy();
  });

  test('garbage on stdout ends the link, and the runner hears of it', async () => {
    const { host, stdout, stdin } = await pair(createServer((_req, res) => res.end('ok')));
    stdout.write(Buffer.alloc(1024 * 1024, 'x'));
    expect(await host.closed).toMatch(/link/);
    expect(stdin.writableEnded).toBe(true);
  });

  test('a runner that talks before its hello, or never says it, is given up', async () => {
    const stdout = new PassThrough();
    const opening = openHostLink({
      stdin: new PassThrough(),
      stdout,
      clock: systemClock,
      helloTimeoutMs: 50,
      onConnection: () => undefined,
    });
    await expect(opening).rejects.toMatchObject({ code: 'link_failed' });
    const loud = new PassThrough();
    const second = openHostLink({
      stdin: new PassThrough(),
      stdout: loud,
      clock: systemClock,
      helloTimeoutMs: 60_000,
      onConnection: () => undefined,
    });
    loud.write(Buffer.alloc(100 * 1024, 'no hello here\n'));
    await expect(second).rejects.toMatchObject({ code: 'link_failed' });
  });

  test('when the host closes, everything inside ends', async () => {
    const { host, port, runnerClosed } = await pair(createServer(() => undefined));
    const socket = connect(port, '127.0.0.1');
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    host.close();
    await closed;
    await host.closed;
    expect(runnerClosed()).toBe(1);
  });

  test('a side that has said all it has to say still hears the answer', async () => {
    const [stdin, stdout] = [pipe(), pipe()];
    const inside = openLink({ stdin, stdout, port: 0, onClosed: () => undefined });
    const host = await openHostLink({
      ...{ stdin, stdout, clock: systemClock, helloTimeoutMs: HANG_MS },
      onConnection: (connection) => {
        let heard = 0;
        connection.on('data', (chunk: Buffer) => {
          heard += chunk.length;
        });
        connection.on('end', () => connection.end(`${heard} heard`));
      },
    });
    const { port, close } = await inside;
    closers.push(close, host.close);
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end('x'.repeat(1_000_000));
    expect(await text(socket)).toBe('1000000 heard');
  });

  test('five hundred calls at once all get an answer, also where the host is behind, as often as one likes', async () => {
    const { port, runnerClosed } = await pair(
      createServer((_req, res) => {
        // Longer than a turn: what the runner has done with is over here only after it opened more.
        const until = performance.now() + 2;
        while (performance.now() < until);
        res.end('ok');
      }),
    );
    const call = () =>
      new Promise<string>((resolve) => {
        const asked = request({ port, method: 'POST', agent: false }, (response) => resolve(text(response)));
        asked.on('error', (error) => resolve(error.message)).end('{}');
      });
    for (const round of [1, 2, 3]) {
      const answers = await Promise.all(Array.from({ length: 500 }, call));
      expect([round, new Set(answers)]).toEqual([round, new Set(['ok'])]);
    }
    expect(runnerClosed()).toBe(0);
  });

  test('a script that opens a thousand connections inside loses some, the link goes on', async () => {
    const { port } = await pair(createServer((_req, res) => res.end('ok')));
    const sockets = Array.from({ length: 1_000 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
    await Promise.all(sockets.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])));
    await Promise.race(sockets.map((socket) => once(socket, 'close')));
    for (const socket of sockets) socket.destroy();
    expect(await (await fetch(base(port))).text()).toBe('ok');
  });
});
