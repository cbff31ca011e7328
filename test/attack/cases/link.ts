// HTTP/1 that is none, on the link. What breaks HTTP/2 itself kills its container, and has a scene of its own (scenes.ts); every frame alone
// is tried in src/sandbox/link-hostile.test.ts.
import { type Ask, type Probe, post, probeFamily } from '../families.js';

const CLOSED = /^closed$/;
const NO_HTTP = /^400 this is no proper HTTP\/1.1 request, or it took too long$/;
/** The caller still speaks when it is answered, and may not hear it. */
const NO_HTTP_OR_CLOSED = /^(closed|400 this is no proper HTTP\/1.1 request.*)$/;
const bytes = (name: string, say: string, answer: RegExp, waitMs = 1_000): Probe => ({
  name,
  ask: { say, waitMs },
  answer,
});
const NO_ADDRESS = /^403 This address, .*, is not available/;

const heads: Probe[] = [
  bytes('a version that does not exist', 'GET / HTTP/9.9\r\n\r\n', NO_HTTP),
  bytes('HTTP/0.9', 'GET /\r\n\r\n', NO_ADDRESS),
  bytes('HTTP/1.0 without Host', 'GET /nothing HTTP/1.0\r\n\r\n', NO_ADDRESS),
  bytes('HTTP/1.1 without Host', 'GET /nothing HTTP/1.1\r\n\r\n', /^400/),
  bytes('HTTP/2 inside HTTP/1', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', NO_HTTP),
  bytes('TLS', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003', NO_HTTP),
  bytes('two spaces in the line', 'GET  /nothing HTTP/1.1\r\nhost: x\r\n\r\n', /^(400|403) /),
  bytes('an asterisk for an address', 'OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n', /^(400 only http:\/\/ URLs|403)/),
  bytes('no address at all', 'GET nothing HTTP/1.1\r\nhost: x\r\n\r\n', NO_HTTP),
  bytes('10,000 headers', `GET / HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(10_000)}\r\n`, NO_ADDRESS),
  bytes('an address of 100,000 letters', `GET /${'x'.repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, NO_HTTP_OR_CLOSED),
  bytes('zero bytes and line ends', '\0ÿ\n\r'.repeat(1_000), NO_HTTP),
  bytes('500 calls in one go', 'GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(500), /^(closed|403)/),
  bytes(
    'a call behind a call',
    'GET /nothing HTTP/1.1\r\nhost: x\r\n\r\nPOST /send HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}',
    /^(closed|403)/,
  ),
  bytes(
    'an upgrade to a WebSocket',
    'GET /nothing HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n',
    NO_ADDRESS,
  ),
  bytes(
    'an upgrade to HTTP/2',
    'GET /nothing HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nconnection: upgrade, close\r\n\r\n',
    NO_ADDRESS,
  ),
  bytes('another work stream', 'GET /work HTTP/1.1\r\nhost: x\r\n\r\n', CLOSED),
];

const bodies: Probe[] = [
  bytes(
    'two lengths',
    'POST /send HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde',
    NO_HTTP,
  ),
  bytes('a negative length', 'POST /send HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n', NO_HTTP),
  bytes(
    'a length and chunks',
    'POST /send HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nabcde\r\n0\r\n\r\n',
    NO_HTTP,
  ),
  bytes(
    'a chunk of 2^64 bytes',
    'POST /send HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n',
    /^silence$/,
  ),
  bytes('an unknown coding', 'POST /send HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\nabc', NO_HTTP),
  bytes(
    'Expect without the body',
    'POST /send HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n',
    /^100/,
    300,
  ),
  bytes('a body that never comes', 'POST /send HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n', /^silence$/, 300),
  bytes(
    'a GET with a body',
    'GET /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nconnection: close\r\n\r\nabcde',
    NO_ADDRESS,
  ),
];

const json = (name: string, body: string, answer: RegExp): Probe => ({ name, ask: { ...text(body) }, answer });
const text = (body: string): Ask => ({ call: 'POST /send', body, headers: { 'content-type': 'application/json' } });
const values: Probe[] = [
  json('a body that is no JSON', 'hello', /^400 /),
  json('an empty body', '', /^400 /),
  json('null', 'null', /^400 /),
  json('a list', '[]', /^400 /),
  json('30,000 brackets', '['.repeat(30_000), /^413 the body is nested more than 20 levels deep$/),
  json(
    '100,000 keys',
    `{${Array.from({ length: 60_000 }, (_, at) => `"k${at}":0`).join(',')}}`,
    /^413 the body has more than/,
  ),
  json('2 MB', `{"text":"${'x'.repeat(2 * 2 ** 20)}"}`, /^413 the body is larger than 1048576 bytes$/),
  json('half a character and bytes that are no text', '{"text":"\\ud800\\u0000"}', /^400 /),
  json('a number that is too large', '{"runId":1e999}', /^400 /),
  {
    name: 'events without end',
    ask: ({ runId }) => post(`/runs/${runId}/events`, { events: Array(101).fill({ kind: 'note', at: 1, detail: {} }) }),
    answer: /^400 /,
  },
  {
    name: 'an event of the host',
    ask: ({ runId }) => post(`/runs/${runId}/events`, { events: [{ kind: 'egress', at: 1, detail: {} }] }),
    answer: /^400 /,
  },
  {
    name: 'an event with 17 fields',
    ask: ({ runId }) =>
      post(`/runs/${runId}/events`, {
        events: [
          { kind: 'note', at: 1, detail: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, 1])) },
        ],
      }),
    answer: /^429 an event may have 16 fields/,
  },
  {
    name: 'a message of 100,001 letters',
    ask: ({ runId }) => post('/send', { runId, key: 'k', text: 'x'.repeat(100_001) }),
    answer: /^400 /,
  },
  { name: 'a search for 501 letters', ask: post('/history', { query: 'x'.repeat(501) }), answer: /^400 / },
  { name: 'a search for a billion hits', ask: post('/history', { query: 'x', limit: 1e9 }), answer: /^400 / },
  {
    name: 'a task each millisecond',
    ask: ({ runId }) => post('/tasks', { runId, key: 'k', prompt: 'x', every: '1ms' }),
    answer: /^400 /,
  },
  {
    name: 'a task with a prompt of 17 kB',
    ask: ({ runId }) => post('/tasks', { runId, key: 'k', prompt: 'x'.repeat(17_000), at: 'in 5m' }),
    answer: /^400 /,
  },
];

export const link = probeFamily('link, HTTP/1 and bodies', [...heads, ...bodies, ...values]);
