// Secrets in what services are asked and in what they answer, as a program in a container has it: they stay on the host, in every form.
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Site, startSite } from '../egress/testing/sites.js';
import { type ServicesHome, startHome } from './testing/home.js';

const CREDENTIAL = 'ghp_s3cr3t/+token"ü~9';
/** Of the host, but not of this service. */
const KEY = 'sk-ant-api03-Zq7xW9bT2kL5vQ';
const forms = {
  plain: CREDENTIAL,
  base64: Buffer.from(CREDENTIAL).toString('base64'),
  'base64 for URLs': Buffer.from(CREDENTIAL).toString('base64url'),
  percent: encodeURIComponent(CREDENTIAL),
  'percent in small letters': encodeURIComponent(CREDENTIAL).replace(/%../g, (byte) => byte.toLowerCase()),
  JSON: JSON.stringify(CREDENTIAL).slice(1, -1),
  'JSON with escaped slashes': JSON.stringify(CREDENTIAL).slice(1, -1).replaceAll('/', '\\/'),
  'in longer base64': Buffer.from(`authorization: Bearer ${CREDENTIAL}\n`).toString('base64'),
  'in longer base64, one on': Buffer.from(`xauthorization: Bearer ${CREDENTIAL}\n`).toString('base64'),
  'in longer base64, two on': Buffer.from(`xxauthorization: Bearer ${CREDENTIAL}\n`).toString('base64'),
  'percent in longer base64': encodeURIComponent(Buffer.from(`Bearer ${CREDENTIAL}`).toString('base64')),
};

let serve: (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;
let got: string;
let site: Site;
let home: ServicesHome;
const allowAll = [{ method: '*', path: '/open/**', do: 'allow', always: true }];
const api = (more: object = {}) => ({
  api: {
    ...{ kind: 'http', url: `http://127.0.0.1:${site.port}/v1`, auth: { bearer: 'PLACE' }, groups: ['main'] },
    ...{ trusted: true, rules: allowAll, headers: ['x-data'], ...more },
  },
});

beforeEach(async () => {
  serve = (_request, response) => void response.end('taken');
  got = '';
  site = await startSite(async (_seen, request, response) => {
    // What came of a body that broke off counts too.
    got += `${request.method} ${request.url} ${JSON.stringify({ ...request.headers, authorization: '' })}`;
    request.on('data', (chunk) => (got += chunk)).on('error', () => undefined);
    request.on('end', () => {
      got += ' [whole]';
      void serve(request, response);
    });
  });
  home = await startHome('{}', `PLACE='${CREDENTIAL}'\nUSER_NAME=olga\nPASSWORD=geheim\n`);
  home.write(api());
  home.secrets.add('ANTHROPIC_API_KEY', KEY);
});
afterEach(async () => {
  await home.end();
  site.close();
});

interface Asked {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  pieces?: (string | Buffer)[];
  chunked?: boolean;
}
async function ask({ method = 'POST', path = '/open/', headers = {}, pieces = [], chunked = false }: Asked) {
  const size = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
  const framing = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': `${size}` };
  const options = { host: '127.0.0.1', port: home.port, method, path: `/service/api${path}`, agent: false };
  const sent = http.request({ ...options, headers: { ...headers, ...(method === 'GET' ? {} : framing) } });
  const answered = new Promise<{ status: number; body: string; rawHeaders: string[] }>((resolve, reject) =>
    sent.on('error', reject).on('response', async (response) => {
      const { statusCode: status = 0, rawHeaders } = response;
      resolve({ status, rawHeaders, body: await text(response.setEncoding('latin1')) });
    }),
  );
  for (const piece of pieces) await new Promise((done) => sent.write(piece, done));
  sent.end();
  return answered;
}
const told = () =>
  home.store.events
    .ofRun(home.runId)
    .filter(({ kind }) => kind === 'secret_removed')
    .map(({ detail }) => detail);
const latin = (words: string) => Buffer.from(words).toString('latin1');

describe('an answer', () => {
  test.each(
    Object.entries(forms),
  )('has no credential %s, wherever its pieces part, nor in a header', async (_name, form) => {
    const whole = Buffer.from(`{"a": "${form}", "b": "${form}${form}"} end`);
    serve = async ({ url = '' }, response) => {
      response.setHeader('etag', `"${latin(form)}"`).setHeader('content-length', whole.length);
      const cut = Number(url.split('/').at(-1));
      response.write(whole.subarray(0, cut));
      await sleep(1);
      response.end(whole.subarray(cut));
    };
    for (let cut = 1; cut < whole.length; cut += 9) {
      const { body, rawHeaders } = await ask({ method: 'GET', path: `/${cut}` });
      expect(body).toHaveLength(whole.length);
      expect(body).toContain('"} end');
      expect(`${body}${rawHeaders}`).not.toContain(latin(form).slice(4, -8));
      expect(home.secrets.namesIn([Buffer.from(`${body}\0${rawHeaders}`, 'latin1')])).toEqual([]);
    }
    expect(told()).toEqual([{ secret: 'PLACE', where: 'what the container was given' }]);
  });

  test('has no other secret of the host either', async () => {
    serve = (_request, response) => void response.setHeader('x-data', KEY).end(`a ${KEY} b`);
    expect(await ask({})).toMatchObject({ body: `a ${'*'.repeat(KEY.length)} b` });
    expect(told()).toMatchObject([{ secret: 'ANTHROPIC_API_KEY' }]);
  });

  test('has no password that is too weak to be looked for elsewhere, nor the pair it was sent in', async () => {
    home.write(api({ auth: { basic: ['USER_NAME', 'PASSWORD'] } }));
    serve = async ({ headers, url }, response) => {
      if (url?.endsWith('/away')) return void response.writeHead(302, { location: 'https://x.example/geheim' }).end();
      response.setHeader('x-data', 'a geheim b');
      response.write(`${headers.authorization} geh`);
      await sleep(20);
      response.end(`eim ${Buffer.from('geheim').toString('base64')} end`);
    };
    const { body, rawHeaders } = await ask({ method: 'GET', path: '/x' });
    expect(body).toMatch(/^Basic b2xnYTp\*{7}0= \*{6} \*{8} end$/);
    expect(rawHeaders).toContain('a ****** b');
    expect((await ask({ method: 'GET', path: '/away' })).body).toContain('leads to https://x.example/******, which');
    // The word alone may stand anywhere else.
    expect(home.secrets.namesIn(['geheim'])).toEqual([]);
    expect(home.secrets.namesIn([btoa('olga:geheim')])).toEqual(['USER_NAME PASSWORD']);
  });
});

const hex = Buffer.from(KEY).toString('hex');
const base64 = Buffer.from(`user:${KEY}`).toString('base64');
const large = Buffer.alloc(300_000, 'x');

describe('a request', () => {
  const holding: [string, Asked][] = [
    ['in the path', { path: `/open/${KEY}` }],
    ['in a read', { method: 'GET', path: `/open/?q=${base64}` }],
    ['in the query, percent-encoded', { path: `/open/?q=${hex.replace(/../g, '%$&')}` }],
    ['in a header', { headers: { 'x-data': KEY } }],
    ['in a body', { pieces: [`{"key":"${KEY}"}`] }],
    ['in a body, cut', { pieces: ['xxx', KEY.slice(0, 9), KEY.slice(9), 'yyy'] }],
    ['in a small body of no known length', { pieces: [`a ${KEY} b`], chunked: true }],
    ['at the end of a large body', { pieces: [large, base64] }],
    ['at the end of a large body of no known length', { pieces: [large, large, hex], chunked: true }],
    ['before much more', { pieces: [KEY, large, large, large, large] }],
    ['in a body that asks the owner', { path: '/issues', pieces: [`{"key":"${KEY}"}`] }],
    ['in a query that asks the owner', { path: `/issues?key=${KEY}` }],
    ['that is its own credential', { pieces: [Buffer.from(CREDENTIAL).toString('base64')] }],
  ];
  test.each(
    holding,
  )('with a secret %s is refused with words; the service gets no whole request', async (_where, asked) => {
    const { status, body } = await ask(asked);
    expect(status).toBe(403);
    expect(body).toMatch(/holds the secret (ANTHROPIC_API_KEY|PLACE)/);
    expect(told()).toMatchObject([{ where: 'a request to the service api' }]);
    expect(home.secrets.namesIn([got, JSON.stringify([told(), home.serviceEvents()])])).toEqual([]);
    expect(home.serviceEvents()).toMatchObject([{ verdict: 'refused', status: 403 }]);
    expect(home.store.approvals.get(1)).toBeUndefined();
    expect((await ask({ pieces: ['harmless'] })).body).toBe('taken');
    // It must not take the beginning for all there is.
    expect(got.match(/\[whole\]/g)).toHaveLength(1);
  });

  test('with a header that is not passed on may hold what it likes', async () => {
    expect((await ask({ headers: { authorization: `Bearer ${KEY}` } })).body).toBe('taken');
  });
});

describe('an approved request', () => {
  const ended = () => home.approvals.wait(1, 10_000);

  test.each<[string, Asked]>([
    ['body', { path: '/issues', pieces: [`a ${KEY.replace('Zq7x', 'Yp6w')}`] }],
    ['query', { path: `/issues?a=${KEY.replace('Zq7x', 'Yp6w')}` }],
  ])('whose %s came to hold a secret meanwhile is not sent', async (_what, asked) => {
    expect((await ask(asked)).body).toContain("needs the owner's yes");
    home.secrets.add('NEW_KEY', KEY.replace('Zq7x', 'Yp6w'));
    home.yes(1);
    expect(await ended()).toMatchObject({
      state: 'failed',
      result: expect.stringContaining('holds the secret NEW_KEY'),
    });
    expect(got).toBe('');
  });

  test.each([0, 3_980, 3_995, 3_999])('whose answer holds secrets at %i is told without them', async (at) => {
    serve = async (_request, response) => {
      response.write(`${'x'.repeat(at)}${KEY.slice(0, 15)}`);
      await sleep(20);
      response.end(`${KEY.slice(15)} ${'y'.repeat(5_000)} ${KEY}`);
    };
    await ask({ path: '/issues', pieces: ['x'] });
    home.yes(1);
    const { result = '' } = (await ended()) ?? {};
    expect(result).toContain('status 200');
    for (const words of [`${result}`, ...home.told()]) expect(words).not.toContain(KEY.slice(0, 5));
    expect(home.told().join()).toContain(at === 0 ? `${'*'.repeat(KEY.length)} yyy` : 'xxx*');
  });
});
