// The door as programs inside use it: real clients, a real gateway, sites on this machine. The owner's rules lead to them by a fixed address.
import { connect, createServer, type Socket } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { whenBusy } from '../../test/limits.js';
import { createConnections } from './connections.js';
import { createGroupPolicy } from './group-policy.js';
import { DAY_MS } from './rows.js';
import { type Inside, listen, startInside } from './testing/inside.js';
import { run, type Site, startSite, startTlsSite } from './testing/sites.js';

let inside: Inside;
let site: Site;
beforeEach(async () => {
  inside = await startInside();
  site = await startSite();
});
afterEach(async () => {
  await inside.close();
  site.close();
});

const env = () => ({ http_proxy: inside.proxy, https_proxy: inside.proxy, HTTPS_PROXY: inside.proxy });
const curl = (...args: string[]) => run('curl', ['-sS', '-m', '60', ...args], env());

/** One connection on which `text` is said; what comes back, until the other side ends or `until` is in it. */
function say(text: string, until?: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(inside.port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (data) => {
      answer += data;
      if (until && answer.includes(until)) socket.destroy();
    });
    socket.on('error', () => socket.destroy()).on('close', () => resolve(answer));
  });
}
const connectTo = (target: string) => say(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\n\r\n`, 'HTTP/1.1 200');
const statusOf = (answer: string) => Number(answer.slice(9, 12));

describe('a host that a rule allows', () => {
  test('is reached with curl over http, with Host as its URL says and nothing meant for the proxy', async () => {
    inside.allow('site.example', [site.port]);
    const url = `http://SITE.example:${site.port}/a/../b?c=%20d`;
    const { code, out } = await curl(
      '-H',
      'x-own: 1',
      '-H',
      'te: trailers',
      '-H',
      'connection: x-hop',
      '-H',
      'x-hop: 1',
      url,
    );
    expect({ code, out }).toEqual({ code: 0, out: `you asked for site.example:${site.port}/b?c=%20d\n` });
    const headers = JSON.stringify(site.seen[0]?.rawHeaders).toLowerCase();
    expect(headers).toContain('x-own');
    for (const gone of ['proxy-connection', 'x-hop', '"te"']) expect(headers).not.toContain(gone);
  });

  test('gets a body with its length, and one in chunks', async () => {
    inside.allow('site.example', [site.port]);
    const url = `http://site.example:${site.port}/`;
    expect((await curl('-d', 'hello', url)).out).toContain('/hello');
    expect((await curl('-H', 'transfer-encoding: chunked', '-d', 'hello', url)).out).toContain('/hello');
    expect((await curl('-X', 'GET', '-H', 'transfer-encoding: chunked', '-d', 'get', url)).out).toContain('/get');
    expect((await curl('-I', url)).out).toContain('200 OK');
    expect((await curl('-i', url)).out.match(/set-cookie/g)).toHaveLength(2);
    expect(site.seen.map(({ line }) => line)).toEqual(['POST /', 'POST /', 'GET /', 'HEAD /', 'GET /']);
  });

  test('is reached over https, its certificate checked by the program inside', async () => {
    const tls = await startTlsSite('tls.example');
    inside.allow('tls.example', [tls.port]);
    const url = `https://tls.example:${tls.port}/x`;
    expect(await curl('--cacert', tls.ca, url)).toEqual({ code: 0, out: `you asked for tls.example:${tls.port}/x\n` });
    expect((await curl(url)).code).toBe(60);
    const python = `import urllib.request; print(urllib.request.urlopen('${url}').read().decode())`;
    const { out } = await run('python3', ['-c', python], { ...env(), SSL_CERT_FILE: tls.ca });
    expect(out).toContain('you asked for tls.example');
    tls.close();
    expect(inside.events()[0]).toMatchObject({
      host: 'tls.example',
      port: tls.port,
      address: '127.0.0.1',
      verdict: 'allowed',
    });
  });

  test('is in the timeline with bytes and time', async () => {
    inside.allow('site.example', [site.port]);
    await curl(`http://site.example:${site.port}/`);
    await expect
      .poll(inside.events)
      .toEqual([
        expect.objectContaining({ host: 'site.example', address: '127.0.0.1', verdict: 'allowed', why: 'rule' }),
      ]);
    const [event] = inside.events();
    for (const name of ['bytesUp', 'bytesDown', 'durationMs'])
      expect(event?.[name]).toBeGreaterThan(name === 'durationMs' ? -1 : 50);
  });

  test('is no longer reached once the rule is gone', async () => {
    const rule = inside.allow('site.example', [site.port]);
    expect(statusOf(await connectTo(`site.example:${site.port}`))).toBe(200);
    inside.store.egress.remove(rule?.id ?? 0);
    expect(statusOf(await connectTo(`site.example:${site.port}`))).toBe(403);
  });
});

describe('a host that nobody allowed', () => {
  const reason = 'egress to other.example is not allowed yet. Approval 1 (reach other.example on the internet): waits';
  test('is refused, and curl shows why', async () => {
    expect((await curl('http://other.example/')).out).toContain(reason);
    const tunnel = await curl('-v', 'https://other.example/');
    expect(tunnel.code).toBe(56);
    expect(tunnel.out).toContain(`HTTP/1.1 403 ${reason}`);
  });

  test('is refused where git and Python show it', async () => {
    const { out } = await run('git', ['ls-remote', 'http://other.example/x.git'], env());
    expect(out).toContain(`remote: ${reason}`);
    const python = `import urllib.request; urllib.request.urlopen('https://other.example/')`;
    expect((await run('python3', ['-c', python], env())).out).toContain(`403 ${reason}`);
  });

  test('is not even looked up: what is in a name would get out', async () => {
    await curl('https://secret-words.other.example/');
    await curl('http://secret-words.other.example/');
    expect(inside.asked).toEqual([]);
    expect(inside.events()).toMatchObject([{ verdict: 'refused', why: 'mode ask' }, { verdict: 'refused' }]);
  });

  test('is reached when somebody who may ask wrote a link to it, for that run', async () => {
    inside.names.set('other.example', ['93.184.216.34']);
    inside.say('look at https://other.example/page', { forwarded: true });
    inside.say('and https://other.example/page', { mayAsk: false });
    expect(statusOf(await connectTo('other.example:443'))).toBe(403);
    inside.say('please read https://other.example/page');
    // Nothing answers there: that it was tried is what counts.
    expect(statusOf(await connectTo('other.example:443'))).not.toBe(403);
    inside.store.runs.requestCancelAll();
    expect(statusOf(await connectTo('other.example:443'))).toBe(403);
  });

  test('is refused again when the link was taken out of the message', async () => {
    inside.names.set('other.example', ['93.184.216.34']);
    inside.say('read https://other.example/', { platformId: 'm1' });
    expect(statusOf(await connectTo('other.example:443'))).not.toBe(403);
    inside.say('read nothing', { platformId: 'm1#7#abcdefghij', edited: true });
    expect(statusOf(await connectTo('other.example:443'))).toBe(403);
    inside.say('read https://third.example/', { platformId: 'm1#8#abcdefghij', edited: true });
    inside.names.set('third.example', ['93.184.216.34']);
    expect(statusOf(await connectTo('third.example:443'))).not.toBe(403);
  });
});

describe('an address that is not public', () => {
  beforeEach(() => inside.store.egress.setMode(inside.group.id, 'open'));

  test.each([
    ...['169.254.169.254', '0xa9fea9fe', '2852039166', '0251.0376.0251.0376', '169.254.43518', '169.254.169.254.'],
    ...['127.0.0.1', '127.1', '0', 'localhost', '[::1]', '[::ffff:169.254.169.254]'],
  ])('%s is refused in mode open', async (host) => {
    inside.names.set('localhost', ['127.0.0.1', '::1']);
    const target = `${host}:${site.port}`;
    for (const answer of [
      await connectTo(target),
      await say(`GET http://${target}/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
    ])
      expect([400, 403]).toContain(statusOf(answer));
    expect(site.seen).toEqual([]);
  });

  test.each([
    ['loopback', ['127.0.0.1']],
    ['loopback among public ones', ['93.184.216.34', '127.0.0.1']],
    ['an IPv4 address in IPv6', ['::ffff:127.0.0.1']],
    ['NAT64 of the metadata service', ['64:ff9b::a9fe:a9fe']],
    ['the network at home', ['192.168.1.1']],
  ])('a name that resolves to %s is refused, also with a rule', async (_what, addresses) => {
    inside.names.set('rebind.example', addresses);
    inside.allow('rebind.example', [site.port], null);
    const answer = await connectTo(`rebind.example:${site.port}`);
    expect(answer).toMatch(/^HTTP\/1.1 403 egress to rebind.example is refused: it is a private or special address/);
    expect(site.seen).toEqual([]);
  });

  test('a name that changes between two look-ups gains nothing: there is one', async () => {
    inside.names.set('rebind.example', ['93.184.216.34']);
    inside.allow('rebind.example', [site.port], null);
    const answer = connectTo(`rebind.example:${site.port}`);
    await expect.poll(() => inside.asked).toEqual(['rebind.example']);
    inside.names.set('rebind.example', ['127.0.0.1']);
    expect(statusOf(await answer)).not.toBe(200);
    expect(inside.asked).toEqual(['rebind.example']);
    expect(site.seen).toEqual([]);
  });
});

describe('what is no proper request', () => {
  test.each([
    ['a URL with a user', 'GET http://user@site.example/ HTTP/1.1\r\nhost: x'],
    ['a URL with a password', 'GET http://u:p@site.example/ HTTP/1.1\r\nhost: x'],
    ['https in absolute form', 'GET https://site.example/ HTTP/1.1\r\nhost: x'],
    ['ftp', 'GET ftp://site.example/ HTTP/1.1\r\nhost: x'],
    ['a coding we do not know', 'POST http://site.example/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked'],
    ['CONNECT without a port', 'CONNECT site.example HTTP/1.1\r\nhost: x'],
    ['CONNECT to a path', 'CONNECT /hello HTTP/1.1\r\nhost: x'],
    [
      'a length and chunks',
      'POST http://site.example/ HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked',
    ],
    ['two lengths', 'POST http://site.example/ HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4'],
  ])('%s is refused', async (_what, head) => {
    inside.allow('site.example', [80, site.port]);
    expect(await say(`${head}\r\nconnection: close\r\n\r\n0\r\n\r\n`)).toMatch(/^(HTTP\/1.1 400 |$)/);
    expect(site.seen).toEqual([]);
  });

  test.each([
    ['GET', 'content-length: 5', 'hello'],
    ['POST', 'content-length: 5', 'hello'],
    ['GET', 'transfer-encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
  ])('a body stays one, and no second request, when Connection takes its framing away: %s, %s', async (method, framing, body) => {
    inside.allow('site.example', [site.port]);
    const [name] = framing.split(':');
    const head = [
      `${method} http://site.example:${site.port}/ HTTP/1.1`,
      'host: x',
      framing,
      `connection: close, ${name}`,
    ];
    expect(await say(`${head.join('\r\n')}\r\n\r\n${body}`)).toMatch(/^HTTP\/1.1 200 /);
    expect(site.seen).toMatchObject([{ line: `${method} /`, body: 'hello' }]);
  });

  test('the Host header decides nothing', async () => {
    inside.allow('site.example', [site.port]);
    const answer = await say(
      `GET http://site.example:${site.port}/ HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n`,
    );
    expect(answer).toContain(`you asked for site.example:${site.port}/`);
  });

  test("the gateway's own calls go on, and are no way out", async () => {
    expect(await say('GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toContain('hello');
    expect(await say('GET /http://site.example/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toContain('403');
  });

  test('an answer that is none costs nothing but itself', async () => {
    for (const [answer, status] of [
      ['HTTP/1.1 000 Odd\r\n\r\n', 502],
      ['nonsense\r\n\r\n', 502],
      ['HTTP/1.1 200 OK\r\nx: \u0001\r\n\r\n', 502],
      ['HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 502],
      ['', 502],
      ['HTTP/1.1 204 No\r\n\r\n', 204],
    ] as const) {
      const odd = createServer(
        (socket) => void socket.on('error', () => socket.destroy()).once('data', () => socket.end(answer)),
      );
      const port = await listen(odd);
      inside.allow('odd.example', [port]);
      const seen = await say(`GET http://odd.example:${port}/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      expect([answer, statusOf(seen)]).toEqual([answer, status]);
      odd.close();
    }
  });
});

describe('within bounds', () => {
  /** A server that takes connections, and what it got. */
  async function startSink(serve: (socket: Socket) => void = () => undefined) {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket.on('error', () => socket.destroy()));
      serve(socket);
    });
    const port = await listen(server);
    inside.allow('sink.example', [port]);
    const close = () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    };
    return { port, sockets, close, target: `sink.example:${port}` };
  }
  const open = (target: string): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = connect(inside.port, '127.0.0.1', () =>
        socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: x\r\n\r\n`),
      );
      socket.on('error', () => socket.destroy()).once('data', () => resolve(socket));
    });

  test('24 connections are open at a time, and one that ends makes room', async () => {
    const sink = await startSink();
    const sockets = await Promise.all(Array.from({ length: 24 }, () => open(sink.target)));
    expect(statusOf(await connectTo(sink.target))).toBe(429);
    sockets[0]?.destroy();
    await expect.poll(async () => statusOf(await connectTo(sink.target))).toBe(200);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => sink.sockets.every(({ destroyed }) => destroyed)).toBe(true);
    sink.close();
  });

  test('a peer that does not read holds little in this process', async () => {
    const sink = await startSink((socket) => void socket.write(Buffer.alloc(64 * 1024 * 1024)));
    const socket = await open(sink.target);
    socket.pause();
    const before = sink.sockets[0]?.writableLength;
    await expect.poll(() => sink.sockets[0]?.writableLength).toBeLessThanOrEqual(before ?? 0);
    // What the kernel holds is not this process's: some megabytes at most, of 64.
    expect(sink.sockets[0]?.writableLength).toBeGreaterThan(40 * 1024 * 1024);
    socket.destroy();
    sink.close();
  });

  test('what a server says first, and what a client says early, arrives', async () => {
    const sink = await startSink((socket) => {
      socket.write('220 ready\r\n');
      socket.on('data', (data) => socket.end(`got ${data}`));
    });
    const answer = await say(`CONNECT ${sink.target} HTTP/1.1\r\nhost: x\r\n\r\nearly`);
    expect(answer).toContain('220 ready\r\ngot early');
    sink.close();
  });

  test.each([
    ['silent for too long', { idleMs: 3_000 }, 'nothing went through it'],
    ['open for too long', { ageMs: 3_000 }, 'it lasted too long'],
    ['too large', { bytes: 5 }, 'it carried too many bytes'],
  ])('one that is %s is ended, and the timeline says so', async (_what, limit, why) => {
    await inside.close();
    const clock = createFakeClock();
    inside = await startInside({
      clock,
      limits: { atOnce: 24, dayBytes: 1_000, bytes: 1_000, ageMs: 60_000, idleMs: 60_000, ...limit },
    });
    const sink = await startSink((socket) => void socket.write('0123456789'));
    const socket = await open(sink.target);
    const closed = new Promise((resolve) => socket.on('close', resolve).resume());
    await expect
      .poll(async () => clock.advance(1_000).then(inside.events))
      .toMatchObject([{ why: `rule, ended because ${why}` }]);
    await closed;
    sink.close();
  });

  test('what a group moves in a day is bounded, over restarts too, until the day is over', async () => {
    const limits = { atOnce: 24, dayBytes: 1_000, bytes: 1_000, ageMs: 60_000, idleMs: 60_000 };
    await inside.close();
    const clock = createFakeClock();
    inside = await startInside({ clock, limits });
    const sink = await startSink((socket) => void socket.end(Buffer.alloc(600)));
    for (let n = 1; n <= 2; n += 1) {
      expect(statusOf(await say(`CONNECT ${sink.target} HTTP/1.1\r\nhost: x\r\n\r\n`))).toBe(200);
      await expect.poll(inside.events).toHaveLength(n);
    }
    const until = new Date(clock.now() + DAY_MS).toISOString();
    const refused = `this group has moved what it may in a day; more from ${until} on`;
    expect(await connectTo(sink.target)).toMatch(`HTTP/1.1 429 ${refused}`);
    await expect.poll(inside.events).toContainEqual(expect.objectContaining({ why: 'too many bytes in a day' }));
    const { store, link } = inside;
    const policy = createGroupPolicy({ store, clock, config: { egressMode: 'ask' }, askOwner: () => 'no' });
    const again = createConnections({ policy, clock, limits, log: pino({ enabled: false }), lookup: async () => [] });
    expect(await again.open(link, { host: 'sink.example', port: sink.port })).toMatchObject({ status: 429 });
    await clock.advance(DAY_MS);
    expect(statusOf(await connectTo(sink.target))).toBe(200);
    sink.close();
  });

  test('one that moves too much for the day of its group is ended while it does', async () => {
    await inside.close();
    const clock = createFakeClock();
    const room = { atOnce: 24, bytes: 2 ** 30, ageMs: 60_000, idleMs: 60_000 };
    inside = await startInside({ clock, limits: { ...room, dayBytes: 20 * 2 ** 20 } });
    const sink = await startSink((socket) => void socket.write(Buffer.alloc(64 * 2 ** 20)));
    const socket = await open(sink.target);
    const closed = new Promise((resolve) => socket.on('close', resolve).resume());
    await expect
      .poll(async () => clock.advance(1_000).then(inside.events))
      .toMatchObject([{ why: 'rule, ended because its group moved too much in a day' }]);
    await closed;
    expect(inside.store.egress.today({ groupId: inside.group.id, now: clock.now() })?.bytes).toBeGreaterThan(2 ** 24);
    sink.close();
  });

  test('in mode open the first site makes the second one a question, which says so', async () => {
    const sink = await startSink();
    inside.store.egress.setMode(inside.group.id, 'open');
    (await open(sink.target)).destroy();
    for (const target of ['second.example:443', 'mail.example:25'])
      expect(await connectTo(target)).toMatch(/^HTTP\/1.1 403 egress to \S+ is not allowed yet. Approval/);
    const [port, tainted] = inside.store.approvals.list('open', 9).map(({ detail }) => detail);
    expect(tainted).toMatch(/mode open, which asks once anything was read that nobody vouched for, the first site too/);
    expect(tainted).toMatch(/It may act on what it was given: the site /);
    expect(port).toContain('I ask because of mode open, which is for the ports 80 and 443.');
    expect(inside.asked).not.toContain('second.example');
    sink.close();
  });

  test('a name server that is silent holds nobody for more than 4 s', async () => {
    inside.store.egress.setMode(inside.group.id, 'open');
    inside.names.set('slow.example', new Promise(() => undefined));
    const began = Date.now();
    expect(await connectTo('slow.example:443')).toMatch(
      /^HTTP\/1.1 502 slow.example:443 cannot be reached: its name could not be looked up in time/,
    );
    expect(Date.now() - began).toBeLessThan(whenBusy(4_000));
  });

  test('a client that leaves while its host is looked up leaves nothing behind', async () => {
    const sink = await startSink();
    let resolve: (addresses: string[]) => void = () => undefined;
    inside.names.set('late.example', new Promise<string[]>((done) => (resolve = done)));
    inside.store.egress.setMode(inside.group.id, 'open');
    const socket = connect(inside.port, '127.0.0.1', () =>
      socket.write('CONNECT late.example:80 HTTP/1.1\r\nhost: x\r\n\r\n'),
    );
    await expect.poll(() => inside.asked).toEqual(['late.example']);
    socket.destroy();
    resolve(['93.184.216.34']);
    await expect.poll(inside.events).toHaveLength(1);
    sink.close();
  });

  test('a line that cannot be written, the disk is full, ends nothing', async () => {
    const sink = await startSink();
    const socket = await open(sink.target);
    inside.store.close();
    socket.destroy();
    await expect.poll(() => sink.sockets.every(({ destroyed }) => destroyed)).toBe(true);
    expect(await connectTo(sink.target)).toBe('');
    sink.close();
  });

  test('a flood of refusals does not fill the timeline', async () => {
    for (let n = 0; n < 2_050; n += 1) await inside.connections.open(inside.link, { host: 'no.example', port: 443 });
    expect(inside.events().length).toBeLessThanOrEqual(2_000);
  });
});

describe('in a dry run', () => {
  beforeEach(() => {
    inside.goDry();
    inside.allow('site.example', [site.port]);
  });
  const held = () =>
    inside.store.events.ofRun(inside.runId).flatMap(({ kind, detail }) => (kind === 'held_back' ? [detail.about] : []));

  test('http pages are read, with headers that only say what is wanted', async () => {
    const odd = ['-H', 'x-http-method-override: DELETE', '-H', 'authorization: x', '-b', 'a=1', '-A', 'me'];
    expect(await curl(...odd, `http://site.example:${site.port}/a`)).toMatchObject({ code: 0 });
    await curl('-I', `http://site.example:${site.port}/b`);
    expect(site.seen.map(({ line }) => line)).toEqual(['GET /a', 'HEAD /b']);
    const headers = JSON.stringify(site.seen[0]?.rawHeaders).toLowerCase();
    expect(headers).toContain('"user-agent","me"');
    expect(headers).not.toMatch(/override|authorization|cookie/);
    expect(held()).toEqual([]);
  });

  test.each([
    ['POST', 'content-length: 1\r\n\r\nx'],
    ['GET', 'content-length: 1\r\n\r\nx'],
    ['HEAD', 'transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n'],
    ['DELETE', '\r\n'],
    ['get', '\r\n'],
  ])('%s with %j is not', async (method, rest) => {
    const target = `http://site.example:${site.port}/`;
    const answer = await say(`${method} ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${rest}`);
    expect(answer).toMatch(/^HTTP\/1\.1 (403 dry run|400)/);
    expect(site.seen).toEqual([]);
  });

  test('no tunnel is made, to a site that a rule allows neither; nobody is asked about others', async () => {
    expect(await connectTo(`site.example:${site.port}`)).toContain('403 dry run: nobody can look into a tunnel');
    expect((await curl('http://unknown.example/')).out).toContain('this dry run asks nobody');
    expect(held()).toEqual([`site.example:${site.port}`, 'reach unknown.example:80']);
    expect(inside.store.approvals.open(9)).toEqual([]);
    expect(inside.asked).toEqual([]);
  });
});
