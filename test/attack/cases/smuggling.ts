// Requests that are one thing to whoever checks and another to whoever answers: to a site that is allowed, by a whole URL and in a tunnel.
import { expect } from 'vitest';
import type { AttackScene } from '../attack.js';
import { type Probe, probeFamily } from '../families.js';

const BAD_BODY = /^400 (a body has a length, or is chunked|this is no proper HTTP\/1.1 request, or it took too long)$/;
const NO_HTTP = /^400 this is no proper HTTP\/1.1 request/;
const PASSED = /^200 OK$/;
const PASSED_OR_NOT = /^(200 OK|4\d\d .*)$/;
/** Where this word begins a request line of its own, a second request was made of the first. */
const SECOND = 'GET /second HTTP/1.1';

/** `head` goes behind `<method> http://recorder.example:<port>/`; what the site then got is looked at. */
function request(name: string, method: string, head: string, answer: RegExp, body = ''): Probe {
  const ask = ({ sites }: AttackScene) => ({
    say: `${method} http://${sites.recorder}/${encodeURIComponent(name)} HTTP/1.1\r\n${head}\r\nconnection: close\r\n\r\n${body}`,
    waitMs: 1_000,
  });
  return { name, ask, answer, check: (_row, scene) => expectOneRequest(scene, name) };
}

/** One head with the URL's own Host, and in what follows no second one. */
function expectOneRequest({ sites }: AttackScene, name: string): void {
  const got = sites.recorded.filter((text) => text.includes(`/${encodeURIComponent(name)} HTTP`));
  expect(got.length).toBeLessThanOrEqual(1);
  for (const text of got) {
    const [head = '', ...rest] = text.split('\r\n\r\n');
    expect(head.match(/^host: .*$/gim)).toEqual([`Host: ${sites.recorder}`]);
    expect(head.match(/^(transfer-encoding|content-length): .*$/gim)?.length ?? 0).toBeLessThanOrEqual(1);
    if (!/^(transfer-encoding|content-length): /im.test(head)) expect(rest.join('')).toBe('');
  }
}

const length = `content-length: ${SECOND.length + 2}`;
const framings: Probe[] = [
  request(
    'a length and chunks',
    'POST',
    'host: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked',
    BAD_BODY,
    '0\r\n\r\n',
  ),
  request('two lengths', 'POST', 'host: x\r\ncontent-length: 5\r\ncontent-length: 6', BAD_BODY, 'abcde'),
  request('a length twice', 'POST', 'host: x\r\ncontent-length: 5\r\ncontent-length: 5', BAD_BODY, 'abcde'),
  request('two lengths in one line', 'POST', 'host: x\r\ncontent-length: 5, 6', BAD_BODY, 'abcde'),
  request('a negative length', 'POST', 'host: x\r\ncontent-length: -1', BAD_BODY, 'a'),
  request('a length with a sign', 'POST', 'host: x\r\ncontent-length: +5', BAD_BODY, 'abcde'),
  request('a length in hex', 'POST', 'host: x\r\ncontent-length: 0x5', BAD_BODY, 'abcde'),
  request('an unknown coding before chunks', 'POST', 'host: x\r\ntransfer-encoding: x, chunked', BAD_BODY, '0\r\n\r\n'),
  request('chunks twice', 'POST', 'host: x\r\ntransfer-encoding: chunked, chunked', BAD_BODY, '0\r\n\r\n'),
  request(
    'chunks that are not the last coding',
    'POST',
    'host: x\r\ntransfer-encoding: chunked, identity',
    BAD_BODY,
    'a',
  ),
  request(
    'a space before the colon',
    'POST',
    `host: x\r\n${length}\r\ntransfer-encoding : chunked`,
    BAD_BODY,
    '0\r\n\r\n',
  ),
  request(
    'a coding behind a folded line',
    'POST',
    `host: x\r\n${length}\r\ntransfer-encoding:\r\n chunked`,
    BAD_BODY,
    '0\r\n\r\n',
  ),
  request(
    'a vertical tab before the coding',
    'POST',
    `host: x\r\n${length}\r\ntransfer-encoding: \u000bchunked`,
    BAD_BODY,
    '0\r\n\r\n',
  ),
  request(
    'a length that Connection takes away',
    'GET',
    `host: x\r\n${length}\r\nconnection: content-length`,
    PASSED_OR_NOT,
    `${SECOND}\r\n`,
  ),
  request(
    'the same with POST',
    'POST',
    `host: x\r\n${length}\r\nconnection: content-length`,
    PASSED_OR_NOT,
    `${SECOND}\r\n`,
  ),
  request(
    'chunks that Connection takes away',
    'GET',
    'host: x\r\ntransfer-encoding: chunked\r\nconnection: transfer-encoding',
    PASSED_OR_NOT,
    '5\r\nhello\r\n0\r\n\r\n',
  ),
  request('a chunk whose size is none', 'POST', 'host: x\r\ntransfer-encoding: chunked', PASSED_OR_NOT, 'zz\r\n\r\n'),
  request(
    'a chunk of 2^64 bytes',
    'POST',
    'host: x\r\ntransfer-encoding: chunked',
    /^silence$/,
    'ffffffffffffffff\r\n',
  ),
  request(
    'a Host behind the last chunk',
    'POST',
    'host: x\r\ntransfer-encoding: chunked',
    PASSED_OR_NOT,
    '0\r\nhost: evil.example\r\n\r\n',
  ),
  request(
    '2,100 headers, the length behind them',
    'POST',
    `host: x\r\n${'a:b\r\n'.repeat(2_100)}content-length: 5`,
    PASSED_OR_NOT,
    'abcde',
  ),
];

const heads: Probe[] = [
  request('another Host than the URL', 'GET', 'host: evil.example', PASSED),
  request('two Hosts', 'GET', 'host: x\r\nhost: evil.example', PASSED_OR_NOT),
  request('a Host that Connection takes away', 'GET', 'host: evil.example\r\nconnection: host', PASSED_OR_NOT),
  request(
    'X-Forwarded-Host and Forwarded',
    'GET',
    'host: x\r\nx-forwarded-host: evil.example\r\nforwarded: host=evil.example',
    PASSED,
  ),
  request('a folded line', 'GET', `host: x\r\nx-a: b\r\n ${SECOND}`, PASSED_OR_NOT),
  request('bare line feeds', 'GET', `host: x\nx-a: b\n\n${SECOND}`, PASSED_OR_NOT),
  request('a bare carriage return', 'GET', `host: x\r\nx-a: b\r${SECOND}`, PASSED_OR_NOT),
  request('a zero byte in a header', 'GET', 'host: x\r\nx-a: b\u0000c', PASSED_OR_NOT),
  request('a header without a name', 'GET', 'host: x\r\n: b', PASSED_OR_NOT),
  request('an upgrade', 'GET', 'host: x\r\nupgrade: websocket\r\nconnection: upgrade', PASSED_OR_NOT),
  request('Expect', 'POST', 'host: x\r\nexpect: 100-continue\r\ncontent-length: 5', /^100\+200 OK$/, 'abcde'),
  request('TRACE', 'TRACE', 'host: x', PASSED_OR_NOT),
  request('a method that is none', 'G\u0001T', 'host: x', NO_HTTP),
  request('words for the proxy', 'GET', 'host: x\r\nproxy-authorization: Basic eDp5\r\nte: trailers', PASSED),
];

/** What is said behind CONNECT; the site may get it, the host must not act on it. */
const tunnelled = (name: string, head: string, behind: string, answer: RegExp): Probe => ({
  name,
  ask: ({ sites, runId }) => ({
    say: `CONNECT ${head.replace('SITE', sites.recorder)}\r\n\r\n${behind.replace('RUN', `${runId}`)}`,
    waitMs: 1_000,
  }),
  answer,
});
const SEND =
  'POST /send HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 44\r\n\r\n{"runId":RUN,"key":"smuggled","text":"smug"}';
const tunnels: Probe[] = [
  tunnelled(
    'a second CONNECT in the tunnel',
    'SITE HTTP/1.1\r\nhost: x',
    'CONNECT evil.example:443 HTTP/1.1\r\nhost: x\r\n\r\n',
    /^200\+200 /,
  ),
  tunnelled("one of the host's calls in the tunnel", 'SITE HTTP/1.1\r\nhost: x', SEND, /^200\+200 /),
  tunnelled(
    "one of the host's calls behind a refused CONNECT",
    'evil.example:443 HTTP/1.1\r\nhost: x',
    SEND,
    /^403 egress to evil.example is not allowed yet/,
  ),
  tunnelled(
    'CONNECT with a length',
    'evil.example:443 HTTP/1.1\r\nhost: x\r\ncontent-length: 500',
    SEND,
    /^403 egress to evil.example is not allowed yet/,
  ),
  tunnelled(
    'CONNECT with chunks',
    'evil.example:443 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked',
    '0\r\n\r\n',
    /^403 egress to evil.example is not allowed yet/,
  ),
  tunnelled(
    'CONNECT whose Host is the site that is allowed',
    'evil.example:443 HTTP/1.1\r\nhost: SITE',
    '',
    /^403 egress to evil.example is not allowed yet/,
  ),
  tunnelled('CONNECT with a carriage return in its line', 'evil.example:443\rx: y HTTP/1.1', '', NO_HTTP),
  tunnelled('CONNECT in HTTP/1.0', 'evil.example:443 HTTP/1.0', '', /^403 egress to evil.example is not allowed yet/),
  {
    name: 'a request for another host right behind one',
    ask: ({ sites }) => ({
      say: `GET http://${sites.recorder}/first HTTP/1.1\r\nhost: x\r\n\r\nGET http://evil.example/ HTTP/1.1\r\nhost: x\r\n\r\n`,
      waitMs: 1_000,
    }),
    answer: /^closed$/,
  },
];

export const smuggling = probeFamily('request smuggling', [...framings, ...heads, ...tunnels], {
  check({ events }, scene) {
    // Nothing that lay in a body or a tunnel became a call or a connection.
    expect(JSON.stringify(events)).not.toContain('smug');
    expect(
      events.filter(({ detail }) => JSON.stringify(detail).includes('"verdict":"allowed"')).length,
    ).toBeGreaterThan(10);
    expect(scene.sites.recorded.filter((text) => text.startsWith('GET /second'))).toEqual([]);
  },
});
