// The journal as containers fill it and as the owner uses it; the runner that writes files is played here.

import { Hono } from 'hono';
import { pino } from 'pino';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createContainerCalls, type GroupAtWork, groupAtWork } from '../../test/fakes/container-calls.js';
import { whenBusy } from '../../test/limits.js';
import type { CommandCall } from '../groups/chat-command.js';
import type { GroupContainer } from '../sandbox/pool.js';
import { createSecrets } from '../secrets/secrets.js';
import { openStore, type Store } from '../store.js';
import type { MemoryChange, WorkLine } from '../wire.js';
import { diffLines } from './diff.js';
import { createMemoryModule } from './module.js';
import { createMemorySearch } from './search.js';

const clock = createFakeClock();
const secrets = createSecrets();
secrets.add('SHOP_KEY', 'sk-live-93jd83jd8s');
let store: Store;
let memory: ReturnType<typeof createMemoryModule>;
let call: ReturnType<typeof createContainerCalls>;
let main: GroupAtWork;
let family: GroupAtWork;
/** What the runner was sent; its answer, when it gives one. */
let lines: WorkLine[];
let problem: string | undefined | null;
let found: MemoryChange | undefined;
let room: boolean;
let stopped: boolean;

beforeEach(() => {
  store = openStore(':memory:');
  [lines, problem, found, room, stopped] = [[], undefined, undefined, true, false];
  const worker: GroupContainer = {
    containerId: 'c',
    closed: new Promise(() => undefined),
    send(line) {
      lines.push(line);
      if (line.type === 'restore' && problem !== null)
        void call(main.link, '/memory/restored', { id: line.id, ...(problem && { problem }), ...(found && { found }) });
      return true;
    },
  };
  // A dry run of the group works.
  const dry = { group: 'main', id: 'd', runs: 1, state: 'running' as const, dryRun: 9 };
  const pool = { acquire: async () => worker, release: () => undefined, canHost: () => room, containers: () => [dry] };
  memory = createMemoryModule({
    ...{ store, clock, secrets, pool, log: pino({ level: 'silent' }), stopped: () => stopped },
    config: { timeZone: 'UTC' },
  });
  call = createContainerCalls(memory.routes, clock);
  main = groupAtWork(store, 'main', true);
  family = groupAtWork(store, 'family', false);
  memory.start();
});

const kept = (path: string, text: string): MemoryChange => ({ path, state: 'kept', text });
const gone = (path: string): MemoryChange => ({ path, state: 'deleted' });
const handOver = (files: MemoryChange[], { outside = false, by = main, runId = 0 } = {}) =>
  call(by.link, '/memory', { runId: runId || by.runId, outside, files });
const versions = (path: string, by = main) => store.memory.ofFile(by.link.groupId, path, 100);
const newest = (path: string) => store.memory.newest(main.link.groupId, path);
const textNow = (path: string) => store.memory.content(newest(path)?.hash ?? '');
/** A run of the group that comes after the others. */
function nextRun(): number {
  const { groupId } = main.link;
  const key = `r${store.runs.list(null, 100).length}`;
  store.runs.enqueue({ key, kind: 'message', groupId, chatId: main.chatId, session: key, runAt: 0, now: 0 });
  return store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] })?.id ?? 0;
}
const said = () => store.outbox.list(50).map(({ text }) => text);

function command(text: string, by = main): string {
  const [, name = '', argument = ''] = /^(\/\w+)\s*(.*)$/.exec(text) ?? [];
  const found = memory.commands.find(({ usage }) => usage.startsWith(name)) ?? expect.unreachable();
  const chat = store.groups.chat(by.chatId) ?? expect.unreachable();
  const asked: CommandCall = { chat, argument, messageId: 1, byOwner: true, senderId: 1 };
  const answer = store.transaction(() => found.answer(asked));
  const buttons = found.buttons?.(asked) ?? [];
  return [answer, ...buttons.map(({ value }) => value)].join('\n');
}
const press = (value: string, isOwner = true) => {
  const chat = store.groups.chat(main.chatId) ?? expect.unreachable();
  return store.transaction(() => memory.onPress({ key: 'command:1', value, chat, isOwner, by: 'Ann' }))?.text;
};
/** Nothing is to be brought back any more. */
const settled = () =>
  vi.waitFor(() => expect(store.memory.waitingRestores()).toEqual([]), { timeout: whenBusy(5_000), interval: 5 });

describe('what a container hands over', () => {
  test('is a version once, with the run that made it; the same again is none, and each text is there once', async () => {
    await handOver([kept('CLAUDE.md', 'a'), kept('memory/x.md', 'a'), gone('memory/never.md')], { outside: true });
    for (let n = 0; n < 2; n += 1) await handOver([kept('CLAUDE.md', 'b'), kept('memory/x.md', 'a')]);
    await handOver([gone('CLAUDE.md')]);
    expect(versions('CLAUDE.md').map(({ state, author, runId }) => [state, author, runId])).toEqual([
      ['deleted', 'run', main.runId],
      ['kept', 'run', main.runId],
      ['kept', 'outside', null],
    ]);
    expect(versions('memory/x.md')).toHaveLength(1);
    expect(versions('memory/never.md')).toEqual([]);
    expect(await call(main.link, '/memory/known', {})).toMatchObject({ files: [{ path: 'memory/x.md' }] });
    const events = store.events.ofRun(main.runId).map(({ kind, detail }) => [kind, detail.files]);
    expect(events.filter(([kind]) => kind === 'memory_changed')).toEqual([
      ['memory_changed', 'CLAUDE.md'],
      ['memory_changed', 'CLAUDE.md (deleted)'],
    ]);
  });

  test.each([
    ['a path outside', kept('../x', 'a')],
    ['a hidden file', kept('memory/.x', 'a')],
    ['a folder above', kept('memory/../CLAUDE.md', 'a')],
    ['another file', kept('notes.md', 'a')],
    ['a line break', kept('memory/a\nb', 'a')],
    ['a file that is too large', kept('CLAUDE.md', 'x'.repeat(140_000))],
    ['what all groups read', kept('global/CLAUDE.md', 'a')],
  ])('%s is refused', async (_name, change) => {
    await expect(handOver([change], { by: family })).rejects.toThrow();
    expect(store.memory.files(family.link.groupId)).toBe(0);
  });

  test('a run of another group, or one that ended before this container was there, is refused; one that just ended is not', async () => {
    await expect(handOver([kept('CLAUDE.md', 'a')], { runId: family.runId })).rejects.toThrow(/no such run/);
    store.runs.finish({ id: main.runId, holder: 'w', attempt: 1 }, 'done', 5);
    await handOver([kept('CLAUDE.md', 'a')]);
    const later = { ...main, link: { ...main.link, startedAt: 100 } };
    await expect(handOver([kept('CLAUDE.md', 'b')], { by: later })).rejects.toThrow(/no such run/);
  });

  test('what was read is marked: by the run, by another session in the same container, by the last container when nobody says who wrote', async () => {
    const { groupId } = main.link;
    await handOver([kept('CLAUDE.md', 'a')]);
    store.taints.mark('main', groupId, 'the page https://evil.example', clock.now());
    store.taints.mark('other', groupId, 'the file bill.pdf', clock.now());
    store.taints.mark('elsewhere', family.link.groupId, 'a secret of the family', clock.now());
    await handOver([kept('CLAUDE.md', 'b')]);
    expect(versions('CLAUDE.md').map(({ sources }) => sources.toSorted())).toEqual([
      ['the file bill.pdf', 'the page https://evil.example'],
      [],
    ]);
    const fresh = { ...main, link: { ...main.link, startedAt: clock.now() + 1_000 } };
    store.runs.giveBack(
      { id: main.runId, holder: 'w', attempt: 1 },
      { runAt: 0, counted: true, interrupted: false, errorClass: 'crash', error: 'x' },
    );
    const next = nextRun();
    await handOver([kept('memory/a.md', 'x')], { by: fresh, runId: next, outside: true });
    expect(newest('memory/a.md')?.sources).toHaveLength(2);
    store.taints.setOn(groupId, false);
    await handOver([kept('memory/a.md', 'y')], { runId: next });
    expect(newest('memory/a.md')?.sources).toEqual([]);
  });

  test('a secret in a file is named', async () => {
    await handOver([kept('CLAUDE.md', `${'x '.repeat(3_990)}the key: sk-live-93jd83jd8s`)]);
    expect(newest('CLAUDE.md')?.secrets).toEqual(['SHOP_KEY']);
    expect(command('/memory')).toContain('SHOP_KEY');
  });

  test('one run cannot push out what was there before it, and many runs leave a bounded rest', async () => {
    await handOver([kept('CLAUDE.md', 'the good one')], { outside: true });
    for (let n = 0; n < 12; n += 1) {
      await handOver([kept('CLAUDE.md', `bad ${n}`)]);
      await clock.advance(1_000);
    }
    expect(versions('CLAUDE.md')).toHaveLength(6);
    expect(textNow('CLAUDE.md')).toBe('bad 11');
    expect(store.memory.content(versions('CLAUDE.md').at(-1)?.hash ?? '')).toBe('the good one');
    expect(store.statements.value<[], number>('SELECT count(*) FROM memory_contents')()).toBe(6);
  });
});

describe('/undo', () => {
  beforeEach(async () => {
    await handOver([kept('CLAUDE.md', 'one\ntwo\n'), kept('memory/old.md', 'old')], { outside: true });
    await handOver([kept('CLAUDE.md', 'one\n2\n'), kept('memory/new.md', 'new'), gone('memory/old.md')]);
  });

  test('shows the last change first, and takes all of it back after the yes; again, the one before', async () => {
    const second = nextRun();
    await handOver([kept('CLAUDE.md', 'one\n2\n```js\n')], { runId: second });
    expect(command('/undo')).toContain('+```js');
    expect(command('/undo yes')).toContain('I take back what run');
    await settled();
    expect(lines).toMatchObject([{ type: 'restore', id: 1, path: 'CLAUDE.md', text: 'one\n2\n' }]);
    expect(said()[0]).toMatch(/^Done: `CLAUDE.md` is as before/);
    const first = command('/undo');
    for (const part of ['-two', '+2', '`memory/new.md` (new)', '`memory/old.md` (deleted)', '-old'])
      expect(first).toContain(part);
    expect(press(first.split('\n').at(-1) ?? '')).toContain('I take back');
    await settled();
    expect([textNow('CLAUDE.md'), newest('memory/new.md')?.state, textNow('memory/old.md')]).toEqual([
      'one\ntwo\n',
      'deleted',
      'old',
    ]);
    expect(command('/undo')).toContain('No change of a run is left');
  });

  test('a yes to what was not shown, or has changed since, shows it and does nothing', async () => {
    expect(command('/undo yes')).toMatch(/^This was not shown yet[\s\S]*undo:/);
    const shown = command('/undo').split('\n').at(-1) ?? '';
    await handOver([kept('CLAUDE.md', 'three')]);
    expect(press(shown)).toContain('have changed since');
    expect(command('/undo yes')).toMatch(/^This was not shown yet/);
    expect([press(shown, false), press('choice:1')]).toEqual([undefined, undefined]);
    await settled();
    expect(lines).toEqual([]);
  });

  test('what the container has and the journal had not is kept as somebody’s, and nothing is claimed', async () => {
    command('/undo');
    [problem, found] = ['it was changed since', kept('CLAUDE.md', 'by a person')];
    command('/undo yes');
    await settled();
    expect(said()[0]).toMatch(/^That could not be .*CLAUDE.md: it was changed since/);
    expect([newest('CLAUDE.md')?.author, textNow('CLAUDE.md')]).toEqual(['outside', 'by a person']);
    // Of another file than was asked for nothing is taken.
    expect([textNow('memory/old.md'), versions('memory/old.md')[0]?.author]).toEqual([undefined, 'run']);
  });

  test('what another run changed after it was shown is not taken back; what goes makes room first', async () => {
    await handOver([gone('memory/new.md'), kept('memory/new.md/deep.md', 'a folder now')]);
    command('/undo');
    room = false;
    command('/undo yes');
    await handOver([kept('CLAUDE.md', 'of another run')], { runId: nextRun() });
    room = true;
    await clock.advance(1_500);
    await settled();
    const sent = lines.map((line) => line.type === 'restore' && [line.path, line.text]);
    expect(sent.slice(-2)).toEqual([
      ['memory/new.md/deep.md', null],
      ['memory/old.md', 'old'],
    ]);
    expect(said()[0]).toMatch(/CLAUDE.md: it was changed since this was shown .* \(3 more files are as before\)$/);
    expect(textNow('CLAUDE.md')).toBe('of another run');
  });

  test('what was changed by hand since is left alone, and other groups see nothing of it', async () => {
    await handOver([kept('CLAUDE.md', 'by hand')], { outside: true });
    expect(command('/undo')).not.toContain('CLAUDE.md');
    expect(command('/undo', family)).toContain('No change of a run is left');
    expect(command(`/memory ${newest('CLAUDE.md')?.id}`, family)).toContain('There is no version');
    expect(command(`/memory restore ${newest('CLAUDE.md')?.id}`, family)).toContain('There is no version');
    expect(command('/memory CLAUDE.md')).toMatch(/changed outside of runs[\s\S]*run \d+[\s\S]*changed outside of runs/);
  });

  test.each([
    [
      'the container says why not',
      () => (problem = 'a link stands in the place'),
      /^That could not be .*a link stands/,
    ],
    ['everything is stopped', () => (stopped = true), /^That could not be .*everything is stopped/],
  ])('when %s, the owner is told, and the journal claims nothing', async (_name, make, told) => {
    make();
    command('/undo');
    command('/undo yes');
    await settled();
    expect(said()[0]).toMatch(told);
    expect(textNow('CLAUDE.md')).toBe('one\n2\n');
  });

  test('a wish outlives the end of the daemon; without room it waits, and the container of a dry run is none', async () => {
    room = false;
    command('/undo');
    command('/undo yes');
    await clock.advance(1_500);
    expect(lines).toEqual([]);
    const stopping = memory.stop();
    await clock.advance(2_000);
    await stopping;
    expect(store.memory.waitingRestores()).toHaveLength(1);
    expect(lines).toEqual([]);
  });
});

test('the page and the terminal take back the run that they showed, and no other', async () => {
  const app = new Hono();
  memory.api(app);
  const asked = async () => (await app.request('/api/memory/undo')).json();
  const post = (run: number, group = 'main') =>
    app.request('/api/memory/undo', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ group, run }),
    });
  expect(await asked()).toEqual({ group: 'main', run: null, files: [] });
  await handOver([kept('memory/tea.md', 'Assam')], { outside: true });
  const first = nextRun();
  await handOver([kept('memory/tea.md', 'Earl Grey'), kept('memory/new.md', 'x')], { runId: first });
  const files = [
    { path: 'memory/new.md', isNew: true },
    { path: 'memory/tea.md', isNew: false, diff: expect.stringContaining('+Earl Grey') },
  ];
  const answer = z.object({ run: z.number(), files: z.array(z.unknown()) }).parse(await asked());
  expect(answer.run).toBe(first);
  for (const file of files) expect(answer.files).toContainEqual(expect.objectContaining(file));
  expect((await post(first + 1)).status).toBe(409);
  expect((await post(first, 'family')).status).toBe(409);
  expect((await post(first, 'nobody')).status).toBe(404);
  expect(lines).toEqual([]);
  expect(await (await post(first)).json()).toEqual({ run: first, state: 'done' });
  expect(lines.map((line) => line.type === 'restore' && line.path).sort()).toEqual(['memory/new.md', 'memory/tea.md']);
});

describe('search in memory files', () => {
  const search = (query: string, by = main) => createMemorySearch(store)(by.link.groupId, query, 10);

  test('finds lines of what is there now, in this group alone, with file and line', async () => {
    await handOver([
      kept('CLAUDE.md', '# Notes\nAnn is vegetarian\nBob eats all'),
      kept('memory/trip.md', 'Rome\n東京に行く\n'),
    ]);
    await handOver([kept('CLAUDE.md', 'Bob eats meat')], { by: family });
    expect(await search('vegetarian ann')).toEqual([{ file: 'CLAUDE.md', line: 2, text: 'Ann is vegetarian' }]);
    expect(await search('vege')).toHaveLength(1);
    expect(await search('東京')).toEqual([{ file: 'memory/trip.md', line: 2, text: '東京に行く' }]);
    expect(await search('ann bob')).toMatchObject([{ line: 2 }, { line: 3 }]);
    expect([await search('meat'), await search('"is" OR 1'), await search('***')]).toEqual([[], [], []]);
    await handOver([kept('CLAUDE.md', 'nothing of that'), gone('memory/trip.md')]);
    expect([await search('vegetarian'), await search('rome')]).toEqual([[], []]);
    expect(await search('meat', family)).toHaveLength(1);
  });

  test('the end of a long file is found', async () => {
    await handOver([kept('memory/long.md', `${'word salad\n'.repeat(11_000)}needle`)]);
    expect(await search('needle')).toEqual([{ file: 'memory/long.md', line: 11_001, text: 'needle' }]);
  });
});

describe('differences', () => {
  test.each([
    ['', 'a\n', '@@ -1 +1 @@\n+a'],
    ['a\n', '', '@@ -1 +1 @@\n-a'],
    ['a\nb\nc', 'a\nx\nc', '@@ -1 +1 @@\n a\n-b\n+x\n c'],
    ['a\n', 'a', ''],
    ['1\n2\n3\n4\n5\n6\n7\n8\n9', '1\n2\n3\n4\n5\n6\n7\n8\nnine', '@@ -6 +6 @@\n 6\n 7\n 8\n-9\n+nine'],
  ])('%j and %j', (before, after, diff) => {
    expect(diffLines(before, after)).toBe(diff);
  });

  test('of large texts without a common line take no long', () => {
    const text = (word: string) => Array.from({ length: 30_000 }, (_, n) => `${word}${n}`).join('\n');
    const began = performance.now();
    expect(diffLines(text('a'), text('b')).split('\n')).toHaveLength(60_001);
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});
