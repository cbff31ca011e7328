// The second model of the owner: when it works, for how long, and how the first comes back.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { type Closer, caught, closeAll, hello, startProxy } from '../../test/fakes/model-proxy.js';
import { openStore } from '../store.js';
import { createFallback } from './fallback.js';
import { FALL_BACK_AFTER_MS, TRIED_EVERY_MS } from './overload.js';

const closers: Closer[] = [];
afterEach(() => closeAll(closers));

const MINUTE = 60_000;
const overload = { waitMs: 0 };

function setUp() {
  const store = openStore(join(mkdtempSync(join(tmpdir(), 'pinch-fallback-')), 'pinch.db'));
  const clock = createFakeClock();
  const group = store.groups.ensure('main', true, 1);
  const chat = store.groups.seenChat({ channel: 'web', address: '1', kind: 'direct', title: 'Ann', now: 1 });
  const run = (key: string) => {
    const about = { kind: 'message' as const, groupId: group.id, chatId: chat.id, session: 's', taskId: null };
    return store.runs.enqueue({ ...about, key, runAt: 1, now: 1 }) ?? 0;
  };
  const start = (model = 'big') => {
    const config = { model, modelFallback: 'small', timeZone: 'UTC' };
    return createFallback({ config, store, clock, log: pino({ enabled: false }) });
  };
  const texts = (runId: number) => store.events.ofRun(runId).map(({ detail }) => detail.text);
  const fallback = start();
  /** The end of a call that began just now. */
  const end = (model: string, how: typeof overload | undefined, runId = 1) =>
    fallback.note({ runId, model, startedAt: clock.now(), overload: how });
  return { store, clock, fallback, start, run, texts, end, groupId: group.id };
}

test('the second model works after three minutes of refusals, says so, and one attempt in ten minutes tries the first', async () => {
  const { clock, fallback, run, texts, end } = setUp();
  const [a, b] = [run('a'), run('b')];
  expect(fallback.choose(a)).toBe('big');
  end('big', overload, a);
  expect(fallback.afterFailure(a, 'overloaded')).toEqual({ errorClass: 'overloaded', withinMs: FALL_BACK_AFTER_MS });
  await clock.advance(2 * MINUTE);
  end('big', overload, a);
  expect(fallback.choose(a)).toBe('big');
  expect(fallback.inUse()).toBeUndefined();
  expect(fallback.afterFailure(a, 'rate_limit')).toEqual({ errorClass: 'rate_limit', withinMs: MINUTE });
  await clock.advance(MINUTE);
  expect(fallback.choose(a)).toBe('small');
  expect(texts(a)).toEqual(['big is overloaded since 09:00: this attempt works with small']);
  expect(fallback.inUse()).toMatchObject({ model: 'small', tryAt: clock.now() + TRIED_EVERY_MS });
  end('small', undefined, a);
  await clock.advance(TRIED_EVERY_MS);
  expect([fallback.choose(b), fallback.choose(a), fallback.choose(a)]).toEqual(['big', 'small', 'small']);
  end('big', overload, b);
  expect(fallback.afterFailure(b, 'overloaded')).toEqual({ errorClass: 'overloaded', withinMs: 1_000 });
  expect(fallback.choose(b)).toBe('small');
  await clock.advance(TRIED_EVERY_MS);
  expect(fallback.choose(b)).toBe('big');
  end('big', undefined, b);
  expect(texts(b).at(-1)).toBe('big answers again: it is used from now on');
  expect(fallback.inUse()).toBeUndefined();
  expect(fallback.choose(a)).toBe('big');
});

test('an overload is no outage while the other model may answer', () => {
  const { fallback, end } = setUp();
  expect(fallback.covers()).toBe(true);
  end('big', overload);
  expect(fallback.covers()).toBe(true);
  end('small', overload);
  expect(fallback.covers()).toBe(false);
  // The first is tried in between.
  end('big', overload);
  expect(fallback.covers()).toBe(false);
  end('small', undefined);
  expect(fallback.covers()).toBe(true);
  end('small', overload);
  end('big', undefined);
  expect(fallback.covers()).toBe(true);
});

test('an answer in between, or a long silence, begins new minutes', async () => {
  const { clock, fallback, end } = setUp();
  end('big', overload);
  await clock.advance(2 * MINUTE);
  end('big', undefined);
  end('big', overload);
  await clock.advance(2 * MINUTE);
  end('big', overload);
  expect(fallback.choose(1)).toBe('big');
  // Nobody asked for an hour: what was refused before is no sign of now.
  await clock.advance(60 * MINUTE);
  end('big', overload);
  expect(fallback.choose(1)).toBe('big');
});

test('a wait of minutes that the provider names is enough, and it is not asked before that', async () => {
  const { clock, fallback, run, end } = setUp();
  const id = run('a');
  end('big', { waitMs: 30 * MINUTE }, id);
  expect(fallback.afterFailure(id, 'rate_limit')).toEqual({ errorClass: 'rate_limit', withinMs: 1_000 });
  expect(fallback.choose(id)).toBe('small');
  await clock.advance(29 * MINUTE);
  expect(fallback.choose(id)).toBe('small');
  await clock.advance(MINUTE);
  expect(fallback.choose(id)).toBe('big');
});

test('when both are overloaded they are tried in turn, with the usual pauses', async () => {
  const { clock, fallback, run, end } = setUp();
  const id = run('a');
  end('big', { waitMs: 5 * MINUTE }, id);
  expect(fallback.choose(id)).toBe('small');
  end('small', overload, id);
  expect(fallback.afterFailure(id, 'overloaded')).toEqual({ errorClass: 'overloaded' });
  expect(fallback.choose(id)).toBe('big');
  await clock.advance(1_000);
  end('big', overload, id);
  expect(fallback.choose(id)).toBe('small');
});

test('what the second model refuses altogether waits for the first and is not given up', () => {
  const { fallback, store, run, end, groupId } = setUp();
  const id = run('a');
  end('big', { waitMs: 5 * MINUTE }, id);
  expect(fallback.choose(id)).toBe('small');
  const call = {
    ...{ groupId, runId: id, at: 1, inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWrite5mTokens: 0 },
    ...{ cacheWrite1hTokens: 0, costMicroUsd: 0, estimated: false, status: 404, stopReason: null, durationMs: 1 },
    ...{ firstByteMs: null, requestId: null },
  };
  store.usage.record({ ...call, model: 'big' }, '2026-11-21');
  expect(fallback.afterFailure(id, 'invalid_request')).toEqual({ errorClass: 'invalid_request' });
  store.usage.record({ ...call, model: 'small' }, '2026-11-21');
  expect(fallback.covers()).toBe(true);
  expect(fallback.afterFailure(id, 'invalid_request')).toEqual({ errorClass: 'overloaded' });
  expect(fallback.covers()).toBe(false);
  expect(fallback.choose(id)).toBe('big');
});

test('a restart goes on where it was; other models, or a clock that was set back, begin anew', async () => {
  const { clock, start, run, end } = setUp();
  const id = run('a');
  end('big', overload, id);
  await clock.advance(3 * MINUTE);
  const again = start();
  expect(again.choose(id)).toBe('small');
  expect(start().inUse()?.model).toBe('small');
  expect(start('other').choose(id)).toBe('other');
  const before = start();
  clock.set(clock.now() - 365 * 86_400_000);
  expect(before.choose(id)).toBe('big');
});

test('a reply that had begun before the change does not end it', async () => {
  const { clock, fallback, run, end } = setUp();
  const id = run('a');
  const startedAt = clock.now();
  await clock.advance(1_000);
  end('big', { waitMs: 5 * MINUTE }, id);
  fallback.note({ runId: id, model: 'big', startedAt, overload: undefined });
  expect(fallback.choose(id)).toBe('small');
});

test('without a second model nothing changes, whatever comes', async () => {
  const { clock, store } = setUp();
  const config = { model: 'big', modelFallback: undefined, timeZone: 'UTC' };
  const none = createFallback({ config, store, clock, log: pino({ enabled: false }) });
  expect(none.models).toEqual(['big']);
  for (let at = 0; at < 5; at += 1) {
    none.note({ runId: null, model: 'big', startedAt: clock.now(), overload });
    await clock.advance(2 * MINUTE);
  }
  expect(none.choose(1)).toBe('big');
  expect(none.afterFailure(1, 'overloaded')).toEqual({ errorClass: 'overloaded' });
});

test.each<[string, object, object | undefined]>([
  ['overloaded', { fault: 529, type: 'overloaded_error' }, { waitMs: 0 }],
  ['not available', { fault: 503, type: 'api_error' }, { waitMs: 0 }],
  ['too many calls', { fault: 429, type: 'rate_limit_error', headers: { 'retry-after': '200' } }, { waitMs: 200_000 }],
  ['overloaded in its body', { fault: 500, type: 'overloaded_error' }, { waitMs: 0 }],
  ['given up half-way', { text: 'so', interrupt: { after: 2, by: 'error', type: 'overloaded_error' } }, { waitMs: 0 }],
  ['out of money', { fault: 429, type: 'rate_limit_error', message: 'Your credit balance is too low' }, undefined],
  ['a wrong key', { fault: 401, type: 'authentication_error' }, undefined],
  ['a missing account', { fault: 402, type: 'billing_error' }, undefined],
  ['broken', { fault: 500, type: 'api_error' }, undefined],
  ['a gateway before it', { fault: 502, type: 'api_error' }, undefined],
])('a call that ends as %s', async (_, step, expected) => {
  const { client, fake, recorded, ends } = await startProxy(closers);
  fake.push({ text: 'fine', ...step });
  await caught(client.messages.stream(hello).finalMessage());
  await recorded(1);
  expect(ends.map(({ overload: found }) => found)).toEqual(expected ? [expected] : []);
});

test('answered calls are noted, those that count tokens and unreachable servers are not', async () => {
  const { client, fake, recorded, ends } = await startProxy(closers);
  fake.push({ text: 'fine' });
  await client.messages.create(hello);
  await recorded(1);
  expect(ends).toMatchObject([{ model: hello.model, runId: 42, overload: undefined }]);
  await client.messages.countTokens({ model: hello.model, messages: hello.messages });
  await fake.close();
  await caught(client.messages.create(hello));
  expect(ends).toHaveLength(1);
});
