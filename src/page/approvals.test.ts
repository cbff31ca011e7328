// What the page is told of approvals: over real HTTP, with the page's token and a browser's session, on a real store.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { type PageFixture, startPageFixture } from '../../test/e2e/page-fixture.js';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { markdownToSafeHtml } from '../markdown/format.js';

const PATH = '/api/page/approvals';
let home: PageFixture;
let clock: FakeClock;
let ask: (what: string, content?: string) => number;
beforeEach(async () => {
  clock = createFakeClock();
  home = await startPageFixture({ clock, markdownToSafeHtml });
  const asker = home.approvals.kind({
    ...{ name: 'shout', input: z.object({ what: z.string() }), maxOpen: 99 },
    carryOut: ({ what }) => `Shouted **${what}**.`,
  });
  const to = { groupId: null, lines: ['All of it:'], always: 'for `ever`' };
  ask = (what, content) => asker({ ...to, subject: `shout ${what}`, content, input: { what } }).id;
});
afterEach(() => home.close());

const allow = (id: number) => home.api('POST', `/api/approvals/${id}`, { decision: 'allow' });

test('an open one has its whole detail as safe HTML; decided, it says what came of it', async () => {
  const id = ask('one', '<script>alert(1)</script>\u202e');
  const code = '<pre><code>&lt;script&gt;alert(1)&lt;/script&gt;\\u202e</code></pre>';
  const { body } = await home.api('GET', PATH);
  expect(body).toMatchObject({
    open: [{ id, subject: 'shout one', html: expect.stringContaining(code), always: '<p>for <code>ever</code></p>' }],
    decided: [],
  });
  expect(await allow(id)).toMatchObject({ status: 200, body: { approval: { state: 'done' } } });
  const html = '<p>yes, and it is done. Shouted <strong>one</strong>.</p>';
  expect((await home.api('GET', PATH)).body).toMatchObject({ open: [], decided: [{ id, state: 'done', html }] });
  expect(await allow(id)).toMatchObject({ status: 400, body: { error: { message: `approval ${id} is over: done` } } });
});

test('open ones come oldest first, decided ones by when they were decided, ten of them', async () => {
  const ids = Array.from({ length: 14 }, (_, index) => ask(`${index}`));
  const [first = 0, second, ...others] = ids;
  for (const id of others.slice(1)) await allow(id);
  clock.advance(1_000);
  await allow(first);
  const { open, decided } = Object((await home.api('GET', PATH)).body);
  expect(open.map(({ id }: { id: number }) => id)).toEqual([second, others[0]]);
  expect(decided.map(({ id }: { id: number }) => id)).toEqual([first, ...others.slice(3).reverse()].slice(0, 10));
});

test('a browser that is signed in reads and answers; nobody else does', async () => {
  const id = ask('one');
  const call = (bearer: string, method: string, path: string) => {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
    return fetch(home.url + path, { method, headers, ...(method === 'POST' && { body: '{"decision":"deny"}' }) });
  };
  expect((await call('wrong', 'GET', PATH)).status).toBe(401);
  expect((await call('wrong', 'POST', `/api/approvals/${id}`)).status).toBe(401);
  expect(home.store.approvals.get(id)?.state).toBe('open');
  const { token } = Object((await home.api('POST', '/api/session')).body);
  expect((await call(token, 'GET', PATH)).status).toBe(200);
  expect((await call(token, 'POST', `/api/approvals/${id}`)).status).toBe(200);
  expect(home.store.approvals.get(id)?.state).toBe('denied');
});

test('every change of them changes their marks, also one that comes as another one goes', () => {
  const marks = () => JSON.stringify(home.store.approvals.marks());
  const seen = [marks()];
  const first = ask('one');
  seen.push(marks());
  home.approvals.decide(first, { decision: 'deny', by: 'the owner' });
  seen.push(marks());
  const second = ask('two');
  seen.push(marks());
  home.approvals.decide(second, { decision: 'deny', by: 'the owner' });
  ask('three');
  seen.push(marks());
  expect(new Set(seen).size).toBe(5);
});
