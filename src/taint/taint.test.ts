// What the host marks as read, and what then counts for which container.
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { createContainerCalls } from '../../test/fakes/container-calls.js';
import type { Run } from '../core/types.js';
import { createOutboxFiles } from '../delivery/files.js';
import { createHostCalls } from '../runs/host-calls.js';
import { openStore, type Store } from '../store.js';
import type { PromptMessage } from '../wire.js';
import { taintCommands } from './commands.js';
import { markMessages, markWorking, taintOf, untrustedSource } from './taint.js';

let clock: FakeClock;
let store: Store;
let chatId: number;
/** A container that began at the time. */
const link = (startedAt: number, groupId = 1) => ({ groupId, startedAt, onWork: () => undefined });

beforeEach(() => {
  clock = createFakeClock();
  store = openStore(':memory:');
  const { id: groupId } = store.groups.ensure('main', true, 1);
  chatId = store.groups.seenChat({ channel: 'web', address: 'a', kind: 'direct', title: 'A', now: 1 }).id;
  store.groups.assignChat(chatId, groupId);
});

function work(session: string): Run {
  const run = { key: session, kind: 'message' as const, groupId: 1, chatId, session, runAt: 0, now: 0 };
  store.runs.enqueue(run);
  return store.runs.claim({ holder: 'w', now: clock.now(), excludeGroups: [] }) ?? expect.unreachable();
}
const end = ({ id }: Run) => store.runs.finish({ id, holder: 'w', attempt: 1 }, 'done', clock.now());

const said: PromptMessage = { id: 1, sender: 'Ann', role: 'owner', sentAt: 1, text: 'hello', media: [] };
const file = { kind: 'document' as const, fileName: 'a\nb.pdf', mimeType: 'x/y', sizeBytes: 1, index: 0 };
const quote = { sender: 'Bob', text: 'x' };

test.each<[string, Partial<PromptMessage>, string | undefined]>([
  ['what somebody who may ask says', { mayAsk: true, replyTo: quote }, undefined],
  [
    'a voice and a picture',
    {
      media: [
        { ...file, kind: 'voice' },
        { ...file, kind: 'image' },
      ],
    },
    undefined,
  ],
  ['a forward', { forwarded: true }, 'a message that Ann forwarded'],
  ['somebody who may not ask', { mayAsk: false }, 'words of Ann, who may not ask'],
  ['a file', { media: [file] }, 'the file a b.pdf'],
  ['a hook', { untrusted: { source: 'hook: mail', text: 'x' } }, 'hook: mail'],
  ['a quote nobody can check', { replyTo: { ...quote, unverified: true } }, 'a quote of a message that I do not have'],
  [
    'a quote of a forward',
    { replyTo: { ...quote, untrusted: true } },
    'a quote of what Bob forwarded, or said without being one who may ask',
  ],
])('%s', (_what, change, source) => {
  expect(untrustedSource([said, { ...said, ...change }])).toBe(source);
});

describe('what counts for a container', () => {
  const forward = { ...said, forwarded: true };

  test('is what its sessions were given, until a new conversation in a new container', () => {
    const run = work('s1');
    markMessages(store, run, [forward], clock.now());
    expect(taintOf(store, link(0))?.source).toBe('a message that Ann forwarded');
    end(run);
    expect(taintOf(store, link(0))).toBeDefined();
    expect(taintOf(store, link(clock.now() + 1))).toBeUndefined();
    // The same conversation in a later container, and after a restart: only rows say it.
    work('s2');
    expect(taintOf(store, link(clock.now() + 1))).toBeUndefined();
    markMessages(store, { session: 's1', groupId: 1 }, [said], clock.now() + 5);
    expect(taintOf(store, link(clock.now() + 1))).toMatchObject({ at: clock.now() });
  });

  test('keeps its first source, and is nothing where the owner turned it off', () => {
    const run = work('s1');
    markMessages(store, run, [forward], clock.now());
    markWorking(store, 1, 'the site a.example', clock.now() + 1);
    expect(taintOf(store, link(0))?.source).toBe('a message that Ann forwarded');
    store.taints.setOn(1, false);
    expect(taintOf(store, link(0))).toBeUndefined();
  });

  test('is also what a job in the background reads while no run works', () => {
    markWorking(store, 1, 'the site a.example', clock.now());
    expect(taintOf(store, link(0))?.source).toBe('the site a.example');
    expect(taintOf(store, link(0, 2))).toBeUndefined();
  });
});

describe('the history', () => {
  let search: (query: string) => Promise<unknown>;
  beforeEach(() => {
    const unused = { mediaFile: () => '', askToSend: () => undefined, checkRoom: () => undefined };
    const deps = { store, clock, ...unused, searchMemory: async () => [] };
    const outboxFiles = createOutboxFiles('');
    const calls = createContainerCalls(createHostCalls({ ...deps, outboxFiles, onFinish: () => true }), clock);
    search = (query) => calls(link(0), '/history', { query });
    const message = { chatId, direction: 'in' as const, senderId: null, senderName: 'Eve', sentAt: 1, now: 1 };
    store.messages.add({ ...message, platformId: '1', text: 'boiler plain' });
    store.messages.add({ ...message, platformId: '2', text: 'stove', forwarded: true });
    store.messages.add({ ...message, platformId: '3', text: 'cellar', mayAsk: false });
  });

  test.each([
    ['boiler', undefined],
    ['stove', 'an old message of Eve'],
    ['cellar', 'an old message of Eve'],
  ])('a search that finds %s', async (query, source) => {
    work('s1');
    expect(JSON.stringify(await search(query))).toContain(query);
    expect(store.taints.of('s1')?.source).toBe(source);
  });
});

test('/taint says what this conversation was given and whether it counts; on and off are for the whole group', () => {
  const [command] = taintCommands({ store, config: { timeZone: 'UTC' } });
  const say = (argument = '') =>
    command?.answer({
      chat: store.groups.chat(chatId) ?? expect.unreachable(),
      argument,
      messageId: 1,
      byOwner: true,
      senderId: 1,
    }) ?? '';
  expect(say()).toMatch(/was given nothing that nobody vouched for\. What was given counts until `\/new`/);
  store.taints.mark(`chat${chatId}-1`, 1, 'the *site* a.example', 0);
  expect(say()).toMatch(/vouched for: the \\\*site\\\* a\.example \(Thu 1 Jan 1970, 00:00\)\./);
  expect(say('OFF')).toContain('It does not count: `/taint off` holds in the group `main`.');
  expect(taintOf(store, link(0))).toBeUndefined();
  expect(say('maybe')).toContain('Write `/taint`');
  expect(store.taints.isOn(1)).toBe(false);
  expect(say('on')).toContain('counts until');
  // What was given meanwhile counts.
  expect(taintOf(store, link(0))?.source).toBe('the *site* a.example');
});
