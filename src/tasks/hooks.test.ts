import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type PageFixture, startPageFixture } from '../../test/e2e/page-fixture.js';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import type { Task } from './rows.js';

let home: PageFixture;
let task: Task;
let clock: FakeClock;

beforeEach(async () => {
  clock = createFakeClock();
  home = await startPageFixture({ clock });
  const group = home.store.groups.ensure('main', true, 1);
  const seen = { channel: 'telegram', address: '1', kind: 'direct' as const, title: 'Olga', now: 1 };
  const chat = home.store.groups.seenChat(seen);
  home.store.groups.assignChat(chat.id, group.id);
  const starts = { kind: 'hook' as const };
  makeHook = (more = {}) =>
    home.tasks.add({ prompt: 'Tell me who rang' }, { ...chat, groupId: group.id }, { starts: { ...starts, ...more } });
  task = makeHook();
});
let makeHook: (more?: { signed?: true }) => Task;
afterEach(() => home.close());

async function call(body: string, headers: Record<string, string>, id = task.id) {
  const response = await fetch(`${home.url}/hooks/${id}`, { method: 'POST', body, headers });
  return response.status;
}
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const hmac = (secret: string | null, text: string) =>
  `sha256=${createHmac('sha256', secret ?? '')
    .update(text)
    .digest('hex')}`;
/** Signed together with a time, seconds. */
const signed = (body: string, at = Math.floor(clock.now() / 1000), secret = task.secret) => ({
  'x-pinch-timestamp': String(at),
  'x-pinch-signature': hmac(secret, `${at}.${body}`),
});
const slots = () => home.store.tasks.waiting();

test('the secret opens it, as a bearer token or as the HMAC of the body; the payload is marked as untrusted', async () => {
  const secret = task.secret ?? '';
  expect(await call('ding', bearer(secret))).toBe(202);
  const signature = (text: string) => `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`;
  expect(await call('{"a":1}', { 'x-hub-signature-256': signature('{"a":1}') })).toBe(202);
  expect(slots().map(({ input }) => input?.untrusted)).toEqual([
    { source: 'hook: Tell me who rang', text: 'ding' },
    { source: 'hook: Tell me who rang', text: '{"a":1}' },
  ]);
  expect(await call('{"a":2}', { 'x-hub-signature-256': signature('{"a":1}') })).toBe(401);
});

test('without it nothing happens, and nobody learns which hooks there are', async () => {
  const wrong = [{}, bearer('wrong'), bearer(''), bearer('null'), { 'x-hub-signature-256': 'sha256=' }];
  for (const headers of wrong) expect(await call('ding', headers)).toBe(401);
  expect(await call('ding', bearer(task.secret ?? ''), task.id + 1)).toBe(401);
  home.tasks.change(task, { action: 'pause' });
  expect(await call('ding', bearer(task.secret ?? ''))).toBe(401);
  expect(slots()).toEqual([]);
});

test('a delivery counts once', async () => {
  const headers = { ...bearer(task.secret ?? ''), 'x-github-delivery': 'd1' };
  expect(await call('one', headers)).toBe(202);
  expect(await call('one', headers)).toBe(200);
  expect(slots()).toHaveLength(1);
  expect(await call('one', { ...headers, 'x-github-delivery': 'd2' })).toBe(202);
});

describe('a call signed together with its time', () => {
  test('counts once, whatever else is changed about it', async () => {
    const headers = signed('ding');
    expect(await call('ding', headers)).toBe(202);
    const again = [
      headers,
      { ...headers, 'x-github-delivery': 'another' },
      { ...headers, 'idempotency-key': 'another' },
      { ...headers, 'x-pinch-signature': headers['x-pinch-signature'].toUpperCase().replace('SHA256=', 'sha256=') },
    ];
    for (const replayed of again) expect(await call('ding', replayed)).toBe(200);
    expect(slots()).toHaveLength(1);
    clock.set(clock.now() + 1_000);
    expect(await call('ding', signed('ding'))).toBe(202);
  });

  test('is refused when it is older than five minutes or from further ahead, and taken within', async () => {
    const now = Math.floor(clock.now() / 1000);
    for (const at of [now - 301, now + 301, 0, -1, Number.NaN])
      expect(await call('ding', signed('ding', at))).toBe(401);
    expect(slots()).toEqual([]);
    for (const at of [now - 299, now + 299]) expect(await call('ding', signed('ding', at))).toBe(202);
    expect(await call('dong', signed('dong', clock.now()))).toBe(202);
  });

  test('is refused when anything of it was changed, whatever else proves the secret', async () => {
    const headers = signed('ding');
    const later = String(Number(headers['x-pinch-timestamp']) + 1);
    const { 'x-pinch-timestamp': _left, ...timeless } = headers;
    const wrong = [
      { ...headers, 'x-pinch-timestamp': later },
      { ...headers, 'x-pinch-signature': hmac(task.secret, 'ding') },
      { ...headers, 'x-pinch-signature': 'sha256=', ...bearer(task.secret ?? '') },
      { ...timeless, 'x-hub-signature-256': hmac(task.secret, 'ding') },
      signed('ding', undefined, 'wrong'),
    ];
    for (const changed of wrong) expect(await call('ding', changed)).toBe(401);
    expect(await call('other', headers)).toBe(401);
    expect(slots()).toEqual([]);
  });

  test('is the only one that a hook for signed calls takes', async () => {
    task = makeHook({ signed: true });
    expect(await call('ding', bearer(task.secret ?? ''))).toBe(401);
    expect(await call('ding', { 'x-hub-signature-256': hmac(task.secret, 'ding') })).toBe(401);
    expect(await call('ding', signed('ding'))).toBe(202);
    const secretOf = (id: number) => home.api('GET', `/api/tasks/${id}/secret`);
    expect((await secretOf(task.id)).body).toMatchObject({ signed: true });
    expect((await secretOf(task.id - 1)).body).not.toHaveProperty('signed');
  });
});

test('limits: 256 KiB, 30 calls in a minute', async () => {
  const headers = bearer(task.secret ?? '');
  expect(await call('x'.repeat(256 * 1024 + 1), { ...headers, connection: 'close' })).toBe(413);
  const codes: number[] = [];
  for (let n = 0; n < 31; n += 1) codes.push(await call('ding', headers));
  expect(codes.slice(0, 30).every((code) => code === 202)).toBe(true);
  expect(codes.at(-1)).toBe(429);
});

test('another page or another name of this machine gets nothing', async () => {
  const headers = { ...bearer(task.secret ?? ''), origin: 'https://evil.example' };
  expect(await call('ding', headers)).toBe(403);
});
