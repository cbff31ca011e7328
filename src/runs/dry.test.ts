// What a dry run is served: every call that there is stands in one of two lists.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { createContainerCalls } from '../../test/fakes/container-calls.js';
import type { Link } from '../gateway/server.js';
import { post } from '../gateway/server.js';
import { openStore, type Store } from '../store.js';
import { createDryHold, NOTED, SERVED } from './dry.js';
import { startReplay } from './replay.js';

const HELD = [
  'any /order',
  ...['/send', '/file', '/ask', '/tasks', '/tasks/:id', '/mounts', '/skills', '/skills/left-out', '/mcp/propose'],
  ...['/groups/register', '/approvals/:id/wait', '/memory', '/memory/restored'],
];

/** As they stand in the sources: `post('/path'`, or `path: '/path'` of a route. */
function routesOfSources(): string[] {
  const src = join(import.meta.dirname, '..');
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
    (name) => /\/[a-z-]+\.ts$/.test(name) && !/test|\/api\.ts$/.test(name),
  );
  const found = files
    .map((name) => readFileSync(join(src, name), 'utf8'))
    .filter((text) => /\bRoute\b/.test(text) && text.includes('gateway/server.js'))
    .flatMap((text) =>
      [...text.matchAll(/(?:\bpost\(|\bpath:|return \[)\s*'(\/[^']*)'/g)].map(([, path = '']) => path),
    );
  return [...new Set([...found, '/v1/messages/count_tokens'])];
}

test('a call that is in no list is held back: whoever adds one says here which it is', () => {
  const served = [...SERVED].map((name) => name.split(' ')[1]);
  const held = HELD.map((name) => name.split(' ').at(-1));
  expect(routesOfSources().sort()).toEqual(
    [...new Set([...served, ...held.filter((name) => name !== '/order')])].sort(),
  );
  expect(served.filter((name) => held.includes(name))).toEqual([]);
});

let store: Store;
let clock: FakeClock;
let done: string[];
let call: ReturnType<typeof createContainerCalls>;
let runId: number;
let link: Link;

beforeEach(() => {
  [store, clock, done] = [openStore(':memory:'), createFakeClock(), []];
  const { id: groupId } = store.groups.ensure('main', true, 1);
  const chat = store.groups.seenChat({ channel: 'web', address: 'a', kind: 'direct', title: 'Home', now: 1 });
  store.groups.assignChat(chat.id, groupId);
  const input = { taskId: 1, title: 't', prompt: 'water', slotAt: 1, late: false, missed: 0 };
  const of = { groupId, chatId: chat.id, now: 0, runAt: 0, input };
  const first = store.runs.enqueue({ key: 'a', kind: 'task', session: 's', ...of }) ?? 0;
  store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] });
  store.runs.finish({ id: first, holder: 'w', attempt: 1 }, 'done', 2);
  const run = store.runs.get(first) ?? expect.unreachable();
  runId = startReplay({ store, clock, config: { runtime: 'docker' } }, run, { dry: true }).id;
  expect(store.runs.claim({ holder: 'w', now: clock.now(), excludeGroups: [] })).toBeUndefined();
  expect(store.runs.waiting({ now: clock.now() })).toEqual([]);
  expect(store.runs.claimDry({ holder: 'w', now: clock.now() })?.id).toBe(runId);
  link = { groupId, dryRun: runId, startedAt: 0, onWork: () => undefined };
  const routes = ['/send', '/tasks/:id', '/made-tomorrow', '/history', '/memory', '/memory/known'].map((path) =>
    post(path, () => {
      done.push(path);
      return { text: 'carried out' };
    }),
  );
  call = createContainerCalls(routes, clock, createDryHold({ store, clock }));
});
const held = () => store.events.ofRun(runId).flatMap(({ kind, detail }) => (kind === 'held_back' ? [detail] : []));

test('what is held back is written down once for each key, what is unknown too; what reads is served', async () => {
  const send = { runId, key: 'k1', text: 'hello' };
  expect(await call(link, '/send', send)).toMatchObject({ text: NOTED });
  expect(await call(link, '/send', send)).toMatchObject({ text: NOTED });
  await call(link, '/tasks/5', { runId, key: 'k2', action: 'pause' });
  await call(link, '/made-tomorrow', { anything: ['x'] });
  expect(await call(link, '/history', { query: 'x' })).toMatchObject({ text: 'carried out' });
  expect(done).toEqual(['/history']);
  expect(held()).toEqual([
    { what: 'message', about: 'to Home', text: 'hello', key: '/send k1' },
    { what: 'task', about: 'pause task 5', text: '{"action":"pause"}', key: '/tasks/:id k2' },
    { what: '/made-tomorrow', about: '', text: '{"anything":["x"]}' },
  ]);
});

test('the memory of a dry run comes into no journal, and not into its timeline either; what the journal has is told', async () => {
  await call(link, '/memory', { runId, outside: false, files: [{ path: 'CLAUDE.md', state: 'deleted' }] });
  await call(link, '/memory/known', {});
  expect([done, held()]).toEqual([['/memory/known'], []]);
});

test('what is wrong with a call is said as ever, and nothing is noted', async () => {
  await expect(call(link, '/send', { runId, key: 'k', text: '' })).rejects.toThrow(/text/);
  await expect(call(link, '/send', { runId, key: 'k', text: 'x', chat: 'web:none' })).rejects.toThrow('no such chat');
  expect(held()).toEqual([]);
});

test('only the container of a dry run speaks for it, and for nothing else; a container of the group is as before', async () => {
  const { dryRun: _, ...plain } = link;
  expect(await call(plain, '/send', { runId, key: 'k', text: 'x' })).toMatchObject({ text: 'carried out' });
  expect(store.runs.leasedOf(link.groupId)).toEqual([]);
  expect(store.runs.leasedOf(link.groupId, runId)).toEqual([runId]);
  await expect(call({ ...link, dryRun: runId + 1 }, '/send', { runId, key: 'k', text: 'x' })).rejects.toThrow(
    'no such run',
  );
});

test('there is an end to what is written down, and past it nothing is carried out either', async () => {
  const text = 'x'.repeat(5_000);
  let said = '';
  for (let n = 0; said === '' && n < 2_000; n += 1) {
    await clock.advance(100);
    await call(link, '/send', { runId, key: `k${n}`, text }).catch((error: Error) => {
      said = error.message;
    });
  }
  expect(said).toContain('end your turn');
  expect(done).toEqual([]);
});
