// Browsers that are signed in on the page, over real HTTP on a real store.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { type PageFixture, startPageFixture } from '../../test/e2e/page-fixture.js';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';

const DAY_MS = 86_400_000;
let home: PageFixture;
let clock: FakeClock;
beforeEach(async () => {
  clock = createFakeClock();
  home = await startPageFixture({ clock });
});
afterEach(() => home.close());

const call = (method: string, path: string, headers: Record<string, string>) =>
  fetch(home.url + path, { method, headers });
const as = (token: string) => ({ authorization: `Bearer ${token}` });
const statusOf = async (token: string) => (await call('GET', '/api/status', as(token))).status;
const opened = z.object({ token: z.string().regex(/^[\w-]{43}$/), expiresAt: z.number() });

async function signIn(): Promise<string> {
  const answer = await call('POST', '/api/session', as(home.token));
  expect(answer.headers.get('set-cookie')).toBeNull();
  return opened.parse(await answer.json()).token;
}

test('the token of the link becomes one of the browser alone; the link goes on working', async () => {
  const [first, second] = [await signIn(), await signIn()];
  expect(new Set([first, second, home.token]).size).toBe(3);
  for (const token of [first, second, home.token]) expect(await statusOf(token)).toBe(200);
});

test('it opens nothing as a cookie, in an address, or with a forged Origin beside it', async () => {
  const session = await signIn();
  const names = ['pinch_session', 'session', 'token'];
  const cookie = names.map((name) => `${name}=${session}`).join('; ');
  for (const origin of [{}, { origin: home.url }]) {
    expect((await call('GET', '/api/status', { cookie, ...origin })).status).toBe(401);
    expect((await call('POST', '/api/chat', { cookie, ...origin })).status).toBe(401);
    expect((await call('GET', `/api/status?token=${session}`, origin)).status).toBe(401);
  }
  expect((await call('GET', '/api/status', { ...as(session), origin: 'http://127.0.0.1:1' })).status).toBe(403);
});

test('only the token of the link signs in: a session makes no other one', async () => {
  const session = await signIn();
  expect((await call('POST', '/api/session', as(session))).status).toBe(403);
  expect((await call('POST', '/api/session', as('wrong'))).status).toBe(401);
  expect((await call('POST', '/api/session', {})).status).toBe(401);
});

test('it ends a week after its last use, and not before', async () => {
  const [used, unused] = [await signIn(), await signIn()];
  for (let day = 0; day < 6; day += 1) {
    clock.set(clock.now() + DAY_MS);
    expect(await statusOf(used)).toBe(200);
  }
  clock.set(clock.now() + DAY_MS);
  expect(await statusOf(unused)).toBe(401);
  expect(await statusOf(used)).toBe(200);
  clock.set(clock.now() + 7 * DAY_MS);
  expect(await statusOf(used)).toBe(401);
});

test('logging out ends this browser, logging out everywhere ends all, and neither the token of the file', async () => {
  const [first, second, third] = [await signIn(), await signIn(), await signIn()];
  expect(await (await call('DELETE', '/api/session', as(first))).json()).toEqual({ ended: 1 });
  expect([await statusOf(first), await statusOf(second)]).toEqual([401, 200]);
  expect(await (await call('DELETE', '/api/sessions', as(second))).json()).toEqual({ ended: 2 });
  expect([await statusOf(second), await statusOf(third), await statusOf(home.token)]).toEqual([401, 401, 200]);
  expect(await (await call('DELETE', '/api/session', as(home.token))).json()).toEqual({ ended: 0 });
});

test('an open stream ends with its session, and goes on when another one ends', async () => {
  const [first, second] = [await signIn(), await signIn()];
  const [ends, stays] = [first, second].map((token) => call('GET', '/api/chat/stream', as(token)));
  const [ended, other] = [await ends, await stays];
  await call('DELETE', '/api/session', as(first));
  await ended?.text();
  const reader = other?.body?.getReader();
  await reader?.read();
  home.intake.receiveFromPage('still there?');
  let text = '';
  while (!text.includes('still there?')) text += new TextDecoder().decode((await reader?.read())?.value);
  await reader?.cancel();
});

test('a new token file ends every session of the old one', async () => {
  const session = await signIn();
  await home.down();
  home.deps.token = 'another-token-of-the-owner';
  await home.up();
  expect([await statusOf(session), await statusOf(home.token)]).toEqual([401, 401]);
});

test('sessions outlive a restart; the database does not hold what opens them', async () => {
  const session = await signIn();
  await home.down();
  await home.up();
  expect(await statusOf(session)).toBe(200);
  for (const file of ['pinch.db', 'pinch.db-wal'])
    expect(readFileSync(join(home.dataDir, file)).includes(session)).toBe(false);
});

test('the list is bounded: the longest unused one goes first', async () => {
  const first = await signIn();
  const second = await signIn();
  clock.set(clock.now() + 2 * 3_600_000);
  expect(await statusOf(first)).toBe(200);
  for (let n = 0; n < 31; n += 1) await signIn();
  expect([await statusOf(first), await statusOf(second)]).toEqual([200, 401]);
});
