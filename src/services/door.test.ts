// The door to services as a program in a container has it: real clients, a real gateway, servers on this machine.
import http, { type ServerResponse } from 'node:http';
import { connect, createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listen } from '../egress/testing/inside.js';
import { run, type Site, startTlsSite } from '../egress/testing/sites.js';
import { type Serve, type ServicesHome, startHome, startService } from './testing/home.js';

const TOKEN = 'tok-0123456789';
const MB = 1024 * 1024;
let serve: Serve;
let site: Site;
let home: ServicesHome;
let api: (more?: object) => object;

beforeEach(async () => {
  serve = (request, response, body) => void response.end(`${request.method} ${request.url} ${body}\n`);
  ({ site, api } = await startService((...asked) => serve(...asked)));
  home = await startHome(api());
});
afterEach(async () => {
  await home.end();
  site.close();
});

const url = (path: string) => `${home.base}/api${path}`;
const seenHeader = (name: string, at = 0) => {
  const raw = site.seen[at]?.rawHeaders ?? [];
  const index = raw.findIndex((one, place) => place % 2 === 0 && one.toLowerCase() === name);
  return index < 0 ? undefined : raw[index + 1];
};

describe('a call', () => {
  test('gets the credential on the host, below the base path of the origin', async () => {
    expect(await home.curl(url('/a/%41?b=c%20d'))).toBe('GET /v1/a/A?b=c%20d \n');
    expect(seenHeader('authorization')).toBe(`Bearer ${TOKEN}`);
    expect(seenHeader('host')).toBe(`127.0.0.1:${site.port}`);
    expect(await home.curl(url(''))).toBe('GET /v1/ \n');
  });

  test.each([
    [{ basic: ['USER_NAME', 'PASSWORD'] }, 'authorization', `Basic ${btoa('olga:pass-word-77')}`],
    [{ header: ['X-Api-Key', 'TOKEN'] }, 'x-api-key', TOKEN],
  ])('with %j', async (auth, name, value) => {
    home.write(api({ auth }));
    await home.curl('-H', 'x-api-key: mine', url('/'));
    expect(seenHeader(name)).toBe(value);
  });

  test('has no header of the container but those that tell what is asked', async () => {
    home.write(api({ headers: ['x-own'] }));
    const headers = {
      ...{
        authorization: 'Bearer mine',
        cookie: 'a=1',
        'x-forwarded-for': '1.2.3.4',
        forwarded: 'for=1',
        host: 'evil.example',
      },
      ...{
        'x-http-method-override': 'DELETE',
        'x-method-override': 'DELETE',
        'x-original-url': '/admin',
        'x-rewrite-url': '/admin',
      },
      ...{
        te: 'trailers',
        'proxy-authorization': 'x',
        'x-other': '1',
        connection: 'x-own2',
        'x-own2': '1',
        destination: '/b',
      },
      ...{
        accept: 'text/x',
        'x-own': 'yes',
        'if-none-match': '"1"',
        'notion-version': '2022',
        range: 'bytes=0-1',
        'git-protocol': 'version=2',
      },
    };
    await home.curl(...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]), url('/'));
    const names = (site.seen[0]?.rawHeaders ?? []).filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    expect(names.sort()).toEqual([
      'accept',
      'accept-encoding',
      'authorization',
      'connection',
      'git-protocol',
      'host',
      'if-none-match',
      'notion-version',
      'range',
      'user-agent',
      'x-own',
    ]);
    expect(JSON.stringify(site.seen)).not.toMatch(/mine|evil|DELETE|1\.2\.3/);
  });

  test('is in the timeline without its query, and told what came of it', async () => {
    await home.curl(url('/a?key=hush'));
    await home.curl(url('/b/..'));
    expect(home.serviceEvents()).toMatchObject([
      { service: 'api', method: 'GET', path: '/a', verdict: 'allowed', why: 'no rule', status: 200, bytesDown: 20 },
      { service: 'api', method: 'GET', path: '/b/..', verdict: 'refused', status: 400 },
    ]);
    expect(JSON.stringify(home.serviceEvents())).not.toContain('hush');
  });

  test('of a group that is not listed, or to what is none, is refused in the same words', async () => {
    home.write(api({ groups: ['family'] }));
    const answer = await home.curl('-i', url('/'));
    expect(answer).toContain('HTTP/1.1 404 there is no such service for this group');
    expect((await home.curl('-i', `${home.base}/none/`)).split('\r\n')[0]).toBe(answer.split('\r\n')[0]);
    for (const name of ['', '%61pi', 'API', 'api%2f', '..', '__proto__', 'constructor'])
      expect(await home.curl(`${home.base}/${name}/`)).toContain('there is no such service');
    expect(site.seen).toEqual([]);
  });

  test('a deny is refused, and nothing is sent', async () => {
    home.write(api({ rules: [{ method: '*', path: '/admin/**', do: 'deny' }] }));
    expect(await home.curl('-i', url('/Admin/users'))).toContain("403 the owner's rules do not allow GET here");
    expect(site.seen).toEqual([]);
  });

  test('by tricks of the request line reaches nothing', async () => {
    const raw = (line: string) =>
      new Promise<string>((resolve) => {
        let answer = '';
        const socket = connect(home.port, '127.0.0.1', () =>
          socket.end(`${line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
        );
        socket
          .on('data', (data) => (answer += data))
          .on('error', () => undefined)
          .on('close', () => resolve(answer));
      });
    const lines = [
      'GET /service/api@evil.example/',
      'GET /service/api:80/',
      'GET //service/api/',
      'GET /service//api/',
      'GET /x/../service/api/../../v1',
    ];
    for (const line of [
      ...lines,
      'TRACE /service/api/',
      'GET http://127.0.0.1:1/service/api/',
      'GET /service/api/a%2f..%2fb',
      'GET /service/api/#/..',
      'GET /service/api\\a',
    ])
      expect(await raw(line)).toMatch(/^HTTP\/1\.1 (4\d\d|502)/);
    expect(site.seen).toEqual([]);
  });
});

describe('an answer', () => {
  test('has no header that is not for the container, and the credential nowhere', async () => {
    serve = ({ headers }, response) => {
      response.setHeader('set-cookie', 'session=1');
      for (const name of ['www-authenticate', 'server', 'x-internal', 'authorization', 'refresh'])
        response.setHeader(name, 'x');
      response
        .setHeader('etag', `"${TOKEN}"`)
        .setHeader('x-ratelimit-remaining', '7')
        .setHeader('content-type', 'text/x');
      response
        .writeHead(401)
        .end(
          `you said ${headers.authorization} ${btoa(`${headers.authorization}`)} ${encodeURIComponent(`${headers.authorization}`)}`,
        );
    };
    const answer = await home.curl('-i', url('/'));
    expect(answer).toContain('HTTP/1.1 401');
    expect(answer).toContain('x-ratelimit-remaining: 7');
    expect(answer).toContain('etag: "**************"');
    expect(answer).toContain('you said Bearer **************');
    expect(answer).not.toMatch(/set-cookie|www-auth|server:|x-internal|refresh/i);
    expect(answer).not.toContain(TOKEN);
    expect(answer).not.toContain(btoa(`Bearer ${TOKEN}`).slice(12, -4));
  });

  test('has it nowhere when it comes in pieces, or compressed though nobody asked', async () => {
    serve = async (_request, response) => {
      for (const piece of ['a tok-01', '2345', '6789 b']) {
        response.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      response.end();
    };
    expect(await home.curl(url('/'))).toBe('a ************** b');
    serve = (_request, response) => void response.setHeader('content-encoding', 'gzip').end(gzipSync(`a ${TOKEN} b`));
    expect(await home.curl(url('/'))).toBe('a ************** b');
    serve = (_request, response) => void response.setHeader('content-encoding', 'zstd').end('x');
    expect(await home.curl('-i', url('/'))).toContain(
      '502 the service api cannot be reached: its answer is coded as zstd',
    );
  });

  test.each([
    ['/v1/next?page=2', 'location: /service/api/next?page=2'],
    ['next', 'location: /service/api/a/next'],
    ['../../x', 'the service leads to http://127.0.0.1:PORT/x, which was not followed'],
    ['/v1/%2e%2e/x', 'was not followed'],
    ['http://127.0.0.1:PORT/v1/other', 'location: /service/api/other'],
    ['http://127.0.0.1:PORT/v2/other', 'the service leads to http://127.0.0.1:PORT/v2/other, which was not followed'],
    [
      `https://evil.example/?t=${TOKEN}`,
      'the service leads to https://evil.example/?t=**************, which was not followed',
    ],
    ['//evil.example/v1/', 'the service leads to http://evil.example/v1/, which was not followed'],
    ['http://x@127.0.0.1:PORT/v1/a', 'was not followed'],
  ])('that leads to %s', async (location, expected) => {
    const here = (words: string) => words.replace('PORT', `${site.port}`);
    serve = (_request, response) => void response.writeHead(302, { location: here(location) }).end();
    const answer = await home.curl('-i', url('/a/b'));
    expect(answer).toContain('302');
    expect(answer).toContain(here(expected));
    expect(site.seen).toHaveLength(1);
  });

  test('names its own next pages as the container reaches them', async () => {
    const link = `<http://127.0.0.1:${site.port}/v1/a?page=2>; rel="next"`;
    serve = (_request, response) => void response.setHeader('link', link).end();
    expect(await home.curl('-i', url('/a'))).toContain('link: </service/api/a?page=2>; rel="next"');
  });

  test('taints who works there, unless the service is trusted; then what writes asks', async () => {
    const rules = [{ method: 'POST', path: '/**', do: 'allow' }];
    home.write(api({ rules, trusted: true }));
    expect(await home.curl('-d', 'x', url('/a'))).toContain('POST /v1/a x');
    await home.curl(url('/'));
    expect(await home.curl('-d', 'x', url('/b'))).toContain('POST /v1/b x');
    home.write(api({ rules }));
    await home.curl(url('/'));
    expect(home.store.taints.of('s')?.source).toBe('the service api');
    expect(await home.curl('-d', 'x', url('/c'))).toContain("needs the owner's yes");
    home.write(api({ rules: [{ ...rules[0], always: true }] }));
    expect(await home.curl('-d', 'x', url('/d'))).toContain('POST /v1/d x');
  });
});

describe('bytes', () => {
  test('100 MB go each way with little memory, in the pace of the reader', async () => {
    home.write(api({ trusted: true, rules: [{ method: 'PUT', path: '/**', do: 'allow' }] }));
    site.close();
    let taken = 0;
    const large = http.createServer((request, response) => {
      if (request.method === 'PUT')
        request.on('data', (chunk) => (taken += chunk.length)).on('end', () => response.end('ok'));
      else {
        let left = 100;
        const more = (): void => {
          while (left > 0)
            if (left-- > 0 && !response.write(Buffer.alloc(MB, 'x'))) return void response.once('drain', more);
          response.end();
        };
        more();
      }
    });
    const port = await listen(large);
    home.write({
      api: {
        ...Object(api()).api,
        url: `http://127.0.0.1:${port}/`,
        trusted: true,
        rules: [{ method: 'PUT', path: '/**', do: 'allow' }],
      },
    });
    globalThis.gc?.();
    const before = process.memoryUsage.rss();
    let peak = before;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
    const down = await home.curl('-o', '/dev/null', '-w', '%{size_download}', '--limit-rate', '60M', url('/large'));
    const upload = `head -c ${100 * MB} /dev/zero | curl -sS -m 60 -T - ${url('/large')}`;
    const { out } = await run('sh', ['-c', upload]);
    clearInterval(watch);
    large.close();
    expect([down, out, taken]).toEqual([`${100 * MB}`, 'ok', 100 * MB]);
    console.log(`memory grew by ${Math.round((peak - before) / MB)} MB`);
    expect(peak - before).toBeLessThan(90 * MB);
  });

  test('a service that answers before it read all is heard', async () => {
    const early = http.createServer((_request, response) => void response.writeHead(413).end('too much'));
    home.write(
      api({
        url: `http://127.0.0.1:${await listen(early)}/`,
        rules: [{ method: 'PUT', path: '/**', do: 'allow', always: true }],
      }),
    );
    const upload = `head -c ${20 * MB} /dev/zero | curl -sS -m 60 -i -H expect: -T - ${url('/large')}; echo; curl -sS -m 60 -X PUT -d x ${url('/small')}`;
    const { out } = await run('sh', ['-c', upload]);
    expect(out).toContain('HTTP/1.1 413');
    expect(out.match(/too much/g)).toHaveLength(2);
    early.close();
  });

  test('a container that leaves ends the call', async () => {
    const closed = new Promise<void>((resolve) => {
      serve = (_request, response) => {
        response.write('begin');
        response.on('close', resolve);
      };
    });
    await home.curl('-m', '1', url('/'));
    await closed;
    await expect.poll(home.serviceEvents).toMatchObject([{ verdict: 'allowed', bytesDown: 5 }]);
  });

  test('of an answer that breaks off are no whole answer', async () => {
    serve = (_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('begin');
      setTimeout(() => response.destroy(), 50);
    };
    expect(await home.curl(url('/'))).toMatch(/curl: \((18|56|52)\)/);
  });

  test('only so many calls are open at once', async () => {
    const held: ServerResponse[] = [];
    serve = (_request, response) => void held.push(response);
    const calls = Array.from({ length: 8 }, () => home.curl(url('/')));
    await expect.poll(() => held.length).toBe(8);
    expect(await home.curl('-i', url('/'))).toContain('429 8 calls to services are open');
    for (const response of held) response.end('done');
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 8 }, () => 'done'));
    serve = (_request, response) => void response.end('again');
    expect(await home.curl(url('/'))).toBe('again');
  });
});

describe('a service that is not there', () => {
  test('is tried again when it only was read, and found once it listens', async () => {
    site.close();
    const began = home.curl(url('/'));
    setTimeout(
      () =>
        http
          .createServer((_request, response) => response.end('back'))
          .listen(site.port, '127.0.0.1')
          .unref(),
      100,
    );
    expect(await began).toBe('back');
  });

  test('is told as that', async () => {
    site.close();
    home.write(api({ rules: [{ method: 'POST', path: '/**', do: 'allow' }] }));
    expect(await home.curl('-i', '-d', 'x', url('/'))).toContain('502 the service api cannot be reached: ECONNREFUSED');
  });

  test('a certificate of nobody is refused', async () => {
    const tls = await startTlsSite('tls.example');
    home.write(api({ url: `https://127.0.0.1:${tls.port}/` }));
    expect(await home.curl('-i', url('/'))).toMatch(/502 .*(DEPTH_ZERO|SELF_SIGNED)/);
    expect(tls.seen).toEqual([]);
    tls.close();
  });

  test('and one that speaks no HTTP', async () => {
    const server = createServer((socket) => void socket.end('hello\r\n\r\n'));
    home.write(api({ url: `http://127.0.0.1:${await listen(server)}/` }));
    expect(await home.curl('-i', url('/'))).toMatch(/502 the service api cannot be reached: HPE/);
    server.close();
  });
});

describe('in a dry run', () => {
  const held = () =>
    home.store.events.ofRun(home.runId).flatMap(({ kind, detail }) => (kind === 'held_back' ? [detail] : []));
  beforeEach(() => home.goDry());

  test.each([
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'PROPFIND',
  ])('%s is answered here, though a rule allows it', async (method) => {
    home.write(api({ rules: [{ method: '*', path: '/**', do: 'allow', always: true }] }));
    expect(await home.curl('-X', method, '-d', 'qty=2', url('/orders?a=1'))).toContain('this is a dry run');
    expect(site.seen).toEqual([]);
    expect(held()).toEqual([{ what: 'service', about: `${method} api /orders`, text: '?a=1\nqty=2' }]);
    expect(home.serviceEvents()).toMatchObject([{ verdict: 'held', status: 202 }]);
  });

  test('what reads goes where the rules let it, and nobody is asked about the rest', async () => {
    home.write(
      api({
        rules: [
          { method: 'GET', path: '/mine', do: 'ask' },
          { method: '*', path: '/not', do: 'deny' },
        ],
      }),
    );
    expect(await home.curl(url('/list'))).toBe('GET /v1/list \n');
    expect(await home.curl(url('/mine'))).toContain('this is a dry run');
    expect(await home.curl('-X', 'POST', url('/not'))).toContain('do not allow');
    expect(site.seen.map(({ line }) => line)).toEqual(['GET /v1/list']);
    expect(held()).toEqual([{ what: 'service', about: 'GET api /mine (after your yes)' }]);
    expect(home.store.approvals.open(9)).toEqual([]);
  });
});
