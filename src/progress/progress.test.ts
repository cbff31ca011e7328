// What a chat is shown while a run works: real rows, a clock turned by hand, a channel that keeps what people would see.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { type Channel, ChannelError, type Edits } from '../channels/channel.js';
import type { Chat } from '../core/types.js';
import { startDelivery } from '../delivery/delivery.js';
import { createOutboxFiles } from '../delivery/files.js';
import { createOwnerChat } from '../delivery/notices.js';
import { openStore, type Store } from '../store.js';
import { progressCommands } from './commands.js';
import { createProgress } from './show.js';

const SILENT: Edits = { silent: true, gapMs: 3_000, forMs: 40 * 3_600_000 };
const LOUD: Edits = { silent: false, gapMs: 20_000, forMs: 14 * 60_000 };
const log = pino({ level: 'silent' });

let file: string;
let store: Store;
let clock: FakeClock;
let channel: Channel;
let edits: Edits | undefined;
/** What the chat's screens show, by id; `rang`: phones that rang. */
let screen: Map<string, { text: string; buttons: string[]; at: number; edits: number }>;
let rang: string[];
let calls: { what: string; at: number }[];
let reactions: string[];
let failing: Map<string, () => unknown>;
let isBlocked: boolean;
let chat: Chat;
let nextId: number;

beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), 'pinch-progress-')), 'pinch.db');
  clock = createFakeClock();
  [screen, rang, calls, reactions, failing, isBlocked, nextId] = [new Map(), [], [], [], new Map(), false, 1];
  edits = SILENT;
  open();
  chat = makeChat('1', 'direct');
});

function open(): void {
  store = openStore(file);
  channel = {
    ...{ start: () => undefined, stop: async () => undefined, typing: () => undefined },
    split: (text) => text.split('|'),
    fetchMedia: async () => new Uint8Array(),
    dropButtons: async () => undefined,
    ...(edits && { edits }),
    async send({ text, buttons = [], silent, replyTo }) {
      await called('send');
      const platformId = `p${nextId++}`;
      show(platformId, text, buttons);
      if (!silent || !edits?.silent) rang.push(text);
      if (replyTo) calls.push({ what: `quotes ${replyTo.platformId} of ${replyTo.sender}`, at: clock.now() });
      return { platformId };
    },
    async edit({ platformId, text, buttons = [] }) {
      await called('edit');
      if (!screen.has(platformId)) throw new ChannelError('permanent', 'message to edit not found');
      show(platformId, text, buttons);
    },
    async remove(_, platformId) {
      await called('remove');
      screen.delete(platformId);
    },
    async findLost(_, after) {
      const newest = Math.max(0, ...after.map((id) => Number(/\d+/.exec(id)?.[0] ?? 0)));
      return [...screen].find(([id, { buttons }]) => Number(id.slice(1)) > newest && buttons.length > 0)?.[0];
    },
    async react(_, { platformId, sender }, emoji) {
      await called('react');
      reactions.push(`${emoji}${platformId} of ${sender}`);
    },
  };
  const channels = {
    get: (name: string) => (name === 'test' ? channel : undefined),
    isBlocked: () => isBlocked,
    states: () => [{ name: 'test', state: 'open' as const, detail: '' }],
  };
  const progress = createProgress({ store, clock, log, channels });
  progress.start();
  startDelivery({
    ...{ store, clock, log, config: { assistantName: 'Pinch' }, channel: channels.get, passing: progress },
    ...{ outboxFiles: createOutboxFiles(tmpdir()), notifyOwner: () => undefined, isBlocked: () => isBlocked },
    ...{ states: channels.states, ownerChat: createOwnerChat({ store, clock, isBlocked: () => isBlocked }) },
  });
}

/** Another process: nothing of the first one does anything any more. */
async function killAndStart(between?: () => void): Promise<void> {
  const gone = () => new Promise<never>(() => undefined);
  Object.assign(channel, { send: gone, edit: gone, remove: gone, react: gone });
  store.signals.removeAllListeners();
  store = openStore(file);
  between?.();
  open();
  await clock.advance(0);
}

async function called(what: string): Promise<void> {
  calls.push({ what, at: clock.now() });
  await failing.get(what)?.();
}
function show(id: string, text: string, buttons: { value: string }[]): void {
  const before = screen.get(id);
  screen.set(id, {
    text,
    buttons: buttons.map(({ value }) => value),
    at: clock.now(),
    edits: (before?.edits ?? -1) + 1,
  });
}
const fails = (what: string, error: ChannelError) => failing.set(what, () => Promise.reject(error));
const texts = () => [...screen.values()].map(({ text }) => text);
const countOf = (what: string) => calls.filter((call) => call.what === what).length;

function makeChat(address: string, kind: 'direct' | 'group'): Chat {
  const main = store.groups.ensure('main', true, 1);
  const { id } = store.groups.seenChat({ channel: 'test', address, kind, title: address, now: 1 });
  store.groups.assignChat(id, main.id);
  return store.groups.chat(id) ?? chat;
}

/** Somebody asks, and the queue takes it. */
function work({ to = chat, taskId = null }: { to?: Chat; taskId?: number | null } = {}) {
  const now = clock.now();
  const sender = store.groups.seenSender({ channel: 'test', address: 'anna', name: 'Anna', username: null });
  const by = { chatId: to.id, direction: 'in' as const, senderId: sender.id, senderName: 'Anna', sentAt: now, now };
  const messageId = store.messages.add({ ...by, platformId: `m${nextId++}`, text: 'do it', intent: 'asked' }) ?? 0;
  const kind = taskId === null ? ('message' as const) : ('task' as const);
  const session = `s${nextId++}`;
  const of = { kind, groupId: to.groupId ?? 0, chatId: to.id, session, taskId };
  const runId = store.runs.enqueue({ ...of, key: `msg:${to.id}:${messageId}`, runAt: now, now }) ?? 0;
  if (taskId === null) store.runs.attachMessage(runId, messageId);
  claim();
  return runId;
}
function claim(holder = 'me'): number {
  const run = store.runs.claim({ holder, now: clock.now(), excludeGroups: [] });
  if (run) store.signal('run:started', run.id);
  return run?.id ?? 0;
}
function end(runId: number, outcome: 'done' | 'cancelled', answer?: string, holder = 'me'): void {
  const attempt = store.runs.get(runId)?.attempt ?? 0;
  const now = clock.now();
  store.transaction(() => {
    store.runs.finish({ id: runId, holder, attempt }, outcome, now);
    const chatId = store.runs.get(runId)?.chatId ?? 0;
    if (answer !== undefined) store.outbox.add({ key: `${runId}:end:5`, chatId, runId, text: answer, now });
  });
  store.signal('run:ended', runId);
}
function event(
  runId: number,
  kind: 'tool_started' | 'tool_finished' | 'note',
  detail: Record<string, string | boolean>,
) {
  store.transaction(() => {
    store.events.add(runId, clock.now(), kind, detail);
    store.signal('run:event', runId);
  });
}
const tool = (runId: number, id: string, name: string, input: object) =>
  event(runId, 'tool_started', { id, tool: name, input: JSON.stringify(input) });
const finished = (runId: number, id: string) => event(runId, 'tool_finished', { id, ok: true });

describe('a run that takes longer', () => {
  test('shows what it does in one silent message; the answer rings once, and the message goes', async () => {
    const run = work();
    await clock.advance(4_900);
    expect(texts()).toEqual([]);
    tool(run, 'a', 'bash', { command: 'npm test' });
    await clock.advance(200);
    expect(texts()).toEqual(['**Working** · 5 s\nRunning a command: `npm test`…']);
    expect([...screen.values()][0]?.buttons).toEqual([`stop:${run}`]);
    event(run, 'note', { said: 'I look *first*, @anna.' });
    event(run, 'note', { todo: '- [x] one\n- [~] two\n- [ ] three' });
    finished(run, 'a');
    await clock.advance(3_000);
    expect(texts()).toEqual(['**Working** · 8 s\nI look \\*first\\*, @\u2060anna.\n☑ one\n▸ two\n☐ three\nThinking…']);
    expect(rang).toEqual([]);
    end(run, 'done', 'Here it is.');
    await clock.advance(10);
    expect(texts()).toEqual(['Here it is.']);
    expect(rang).toEqual(['Here it is.']);
    expect(calls.map(({ what }) => what)).toEqual(['react', 'send', 'edit', 'send', 'remove', 'react']);
    expect(store.progress.all()).toEqual([]);
  });

  test('a quick answer is only that', async () => {
    const run = work();
    await clock.advance(1_000);
    end(run, 'done', 'Here.');
    await clock.advance(120_000);
    expect([texts(), countOf('send'), reactions]).toEqual([['Here.'], 1, []]);
  });

  test('many events are few edits; the time goes on without any; nothing is asked of the store meanwhile', async () => {
    const run = work();
    await clock.advance(5_000);
    for (let n = 0; n < 100; n += 1) {
      tool(run, `t${n}`, 'read', { path: `inbox/${n}.pdf` });
      finished(run, `t${n}`);
      await clock.advance(100);
    }
    const times = calls.filter(({ what }) => what === 'edit').map(({ at }) => at);
    expect(times.length).toBe(3);
    expect(times.every((at, index) => index === 0 || at - (times[index - 1] ?? 0) >= 3_000)).toBe(true);
    const edited = countOf('edit');
    await clock.advance(300_000);
    expect(countOf('edit') - edited).toBeGreaterThanOrEqual(10);
    expect(countOf('edit') - edited).toBeLessThanOrEqual(12);
    expect(texts()[0]).toMatch(/^\*\*Working\*\* · 4 min\n/);
  });

  test('two runs of a chat have a message each and share what the chat allows', async () => {
    const [one, two] = [work(), work()];
    await clock.advance(9_000);
    expect(screen.size).toBe(2);
    const times = calls.filter(({ what }) => what === 'send' || what === 'edit').map(({ at }) => at);
    expect(times.every((at, index) => index === 0 || at - (times[index - 1] ?? 0) >= 3_000)).toBe(true);
    end(one, 'done', 'first');
    await clock.advance(10);
    expect(texts().filter((text) => text.startsWith('**Working'))).toHaveLength(1);
    end(two, 'cancelled');
    await clock.advance(10);
    expect(texts()).toEqual(['first']);
  });

  test('a long answer, a stop and a dead run end it as well', async () => {
    for (const finish of [(run: number) => end(run, 'done', 'a|b'), (run: number) => end(run, 'cancelled')]) {
      const run = work();
      await clock.advance(10_000);
      expect(texts().at(-1)).toContain('Working');
      finish(run);
      await clock.advance(10);
      expect(texts().filter((text) => text.includes('Working'))).toEqual([]);
    }
    expect(texts()).toEqual(['a', 'b']);
  });
});

describe('what chats want', () => {
  const say = (argument: string, to = chat) =>
    progressCommands({ store })[0]?.answer({ chat: to, argument, messageId: 1, byOwner: true, senderId: 1 });

  test('off shows nothing; quiet nothing of tasks; full those too, with what was done', async () => {
    const { run: sql } = store.statements;
    sql<[]>(
      `INSERT INTO tasks (id, key, group_id, chat_id, title, prompt, starts, options, created_at)
       VALUES (7, 'k', ${chat.groupId}, ${chat.id}, 't', 'p', '{}', '{}', 1)`,
    )();
    const taskId = 7;
    for (const [mode, ofMessage, ofTask] of [
      ['off', 0, 0],
      ['quiet', 1, 0],
      ['full', 1, 1],
    ] as const) {
      expect(say(mode)).toContain('From now on');
      for (const [begin, shown] of [
        [() => work(), ofMessage],
        [() => work({ taskId }), ofTask],
      ] as const) {
        const run = begin();
        tool(run, 'a', 'read', { path: 'a.txt' });
        finished(run, 'a');
        await clock.advance(9_000);
        expect([mode, screen.size]).toEqual([mode, shown]);
        if (shown) expect(texts()[0]?.includes('✓ Reading a.txt')).toBe(mode === 'full');
        end(run, 'cancelled');
        await clock.advance(10);
      }
    }
    expect(reactions.length).toBe(4);
  });

  test('nothing of a dry run', async () => {
    const of = { kind: 'replay' as const, groupId: chat.groupId ?? 0, chatId: chat.id, session: 'dry-1-1' };
    store.runs.enqueue({ ...of, key: 'replay:1:1', dry: true, runAt: clock.now(), now: clock.now() });
    store.signal('run:started', store.runs.claimDry({ holder: 'me', now: clock.now() })?.id ?? expect.unreachable());
    await clock.advance(60_000);
    expect([screen.size, calls]).toEqual([0, []]);
  });

  test('the command says what is and what can be', () => {
    expect(say('')).toContain('`quiet`');
    expect(say('loud')).toContain('`off`, `quiet` or `full`');
    say('FULL');
    expect(store.groups.chat(chat.id)?.progress).toBe('full');
  });
});

describe('what platforms refuse', () => {
  test('429 is waited out, and the answer does not wait', async () => {
    const run = work();
    await clock.advance(6_000);
    fails('edit', new ChannelError('retry', 'Too Many Requests', { retryAfterMs: 40_000 }));
    tool(run, 'a', 'grep', { pattern: 'x' });
    await clock.advance(30_000);
    expect(countOf('edit')).toBe(1);
    failing.clear();
    await clock.advance(15_000);
    expect(texts()[0]).toContain('Searching in the files');
    fails('edit', new ChannelError('retry', 'Too Many Requests', { retryAfterMs: 40_000 }));
    end(run, 'done', 'Here.');
    await clock.advance(10);
    expect(texts()).toEqual(['Here.']);
  });

  test('a message that somebody deleted stays away; so does one where we are blocked', async () => {
    const run = work();
    await clock.advance(6_000);
    screen.clear();
    await clock.advance(120_000);
    expect([texts(), countOf('send'), store.progress.get(run, 'message')]).toEqual([[], 1, undefined]);
    end(run, 'done', 'Here.');
    await clock.advance(10);
    fails('send', new ChannelError('permanent', 'Forbidden: bot was blocked by the user'));
    const other = work();
    await clock.advance(120_000);
    expect(countOf('send')).toBe(3);
    end(other, 'cancelled');
  });

  test('while the channel is away nothing is tried; what stands there goes when it is back', async () => {
    const run = work();
    await clock.advance(6_000);
    isBlocked = true;
    const before = calls.length;
    await clock.advance(120_000);
    end(run, 'cancelled');
    await clock.advance(60_000);
    expect(calls.length).toBe(before);
    isBlocked = false;
    store.signal('channel', 'test');
    await clock.advance(10);
    expect(texts()).toEqual([]);
  });

  test('what is too old to be deleted says at least that it is over, without a button', async () => {
    const run = work();
    await clock.advance(6_000);
    fails('remove', new ChannelError('permanent', "message can't be deleted for everyone"));
    end(run, 'cancelled');
    await clock.advance(10);
    expect([...screen.values()]).toMatchObject([{ text: 'This is over.', buttons: [] }]);
    expect(store.progress.all()).toEqual([]);
  });

  test('an edit that hangs holds up neither the answer nor another chat', async () => {
    const other = makeChat('2', 'direct');
    const run = work();
    await clock.advance(6_000);
    failing.set('edit', () => new Promise(() => undefined));
    tool(run, 'a', 'grep', {});
    await clock.advance(3_000);
    const second = work({ to: other });
    end(run, 'done', 'Here.');
    end(second, 'done', 'There.');
    await clock.advance(10);
    expect(texts()).toEqual([expect.stringContaining('Working'), 'Here.', 'There.']);
  });

  test('a channel that cannot change messages shows none', async () => {
    edits = undefined;
    await killAndStart();
    const run = work();
    await clock.advance(120_000);
    expect(countOf('send')).toBe(0);
    end(run, 'done', 'Here.');
    await clock.advance(10);
    expect(texts()).toEqual(['Here.']);
  });
});

describe('kill -9', () => {
  test('a run that goes on keeps its message; one that does not loses it', async () => {
    const [goesOn, other] = [work(), work()];
    await clock.advance(12_000);
    expect(screen.size).toBe(2);
    await killAndStart(() => {
      store.transaction(() => store.runs.releaseForeignLeases('new', clock.now()));
      store.runs.cancelRun(other, clock.now());
      store.runs.claim({ holder: 'new', now: clock.now(), excludeGroups: [] });
    });
    expect(texts()).toEqual([expect.stringContaining('Working')]);
    expect(store.progress.all().map(({ runId, kind }) => [runId, kind])).toEqual([
      [goesOn, 'message'],
      [goesOn, 'reaction'],
    ]);
    tool(goesOn, 'a', 'read', { path: 'x' });
    await clock.advance(8_000);
    expect(texts()).toEqual([expect.stringContaining('Reading x')]);
    end(goesOn, 'done', 'Here.', 'new');
    await clock.advance(10);
    expect(texts()).toEqual(['Here.']);
    expect(reactions.filter((one) => one.startsWith('👀'))).toHaveLength(2);
    expect(reactions.filter((one) => !one.startsWith('👀'))).toHaveLength(2);
  });

  test('between the send and its row: the message is found again, or taken away', async () => {
    const killedAtSend = async () => {
      const { send } = channel;
      channel.send = async (part) => {
        await send(part);
        return new Promise(() => undefined);
      };
      const run = work();
      await clock.advance(6_000);
      expect(texts()).toEqual([expect.stringContaining('Working')]);
      return run;
    };
    const goesOn = await killedAtSend();
    const release = () => store.transaction(() => store.runs.releaseForeignLeases('new', clock.now()));
    await killAndStart(() => {
      release();
      store.runs.claim({ holder: 'new', now: clock.now(), excludeGroups: [] });
    });
    tool(goesOn, 'a', 'read', { path: 'x' });
    await clock.advance(6_000);
    expect(texts()).toEqual([expect.stringContaining('Reading x')]);
    end(goesOn, 'done', 'Here.', 'new');
    await clock.advance(10);
    screen.clear();
    const isOver = await killedAtSend();
    await killAndStart(() => {
      release();
      store.runs.cancelRun(isOver, clock.now());
    });
    expect([texts(), store.progress.all()]).toEqual([[], []]);
  });

  test('after the answer was queued: it goes out once, then the message goes', async () => {
    const run = work();
    await clock.advance(6_000);
    failing.set('send', () => new Promise(() => undefined));
    end(run, 'done', 'Here.');
    await clock.advance(10);
    failing.clear();
    await killAndStart();
    await clock.advance(10);
    expect([texts(), rang]).toEqual([['Here.'], ['Here.']]);
    await killAndStart();
    expect([texts(), store.progress.all()]).toEqual([['Here.'], []]);
  });
});

describe('where every message makes a phone ring', () => {
  beforeEach(async () => {
    edits = LOUD;
    await killAndStart();
  });

  test('it comes late, and becomes the answer: the phone rang once', async () => {
    const run = work();
    await clock.advance(29_000);
    expect(texts()).toEqual([]);
    await clock.advance(60_000);
    expect(rang).toHaveLength(1);
    end(run, 'done', 'Here.');
    await clock.advance(10);
    expect([texts(), rang.length, countOf('send')]).toEqual([['Here.'], 1, 1]);
    expect(store.messages.latest(chat.id, 1)).toMatchObject([{ direction: 'out', text: 'Here.', platformId: 'p3' }]);
    expect(store.outbox.list(1)).toMatchObject([{ state: 'sent' }]);
    expect(store.progress.all()).toEqual([]);
  });

  test('killed between the edit and its row: the same edit again, one answer', async () => {
    const run = work();
    await clock.advance(40_000);
    const { edit } = channel;
    channel.edit = async (one) => {
      await edit?.(one);
      await new Promise(() => undefined);
    };
    end(run, 'done', 'Here.');
    await clock.advance(10);
    await killAndStart();
    await clock.advance(10);
    expect([texts(), countOf('send'), store.outbox.list(1)[0]?.state]).toEqual([['Here.'], 1, 'sent']);
  });

  test.each([
    ['somebody wrote since', () => void work()],
    ['it is too old to be changed', () => clock.advance(20 * 60_000)],
    ['somebody deleted it', async () => screen.clear()],
    ['the platform refuses the edit', async () => fails('edit', new ChannelError('retry', 'refused'))],
  ])('%s: the answer is a message of its own, the other goes', async (_, happens) => {
    const run = work();
    await clock.advance(40_000);
    await happens();
    end(run, 'done', 'Here.');
    await clock.advance(10);
    expect(texts()).toEqual(['Here.']);
  });
});

describe('reactions and quotes', () => {
  test('👀 stands at the message that asked while it is worked on', async () => {
    const run = work();
    await clock.advance(1_600);
    const asked = store.messages.askedBy(run)?.platformId;
    expect(reactions).toEqual([`👀${asked} of anna`]);
    end(run, 'done', 'Here.');
    await clock.advance(10);
    expect(reactions).toEqual([`👀${asked} of anna`, `${asked} of anna`]);
  });

  test('in a group the first part quotes what it answers, in a direct chat nothing does', async () => {
    const group = makeChat('-5', 'group');
    const run = work({ to: group });
    const asked = store.messages.askedBy(run)?.platformId;
    end(run, 'done', 'one|two');
    await clock.advance(10);
    const direct = work();
    end(direct, 'done', 'three');
    await clock.advance(10);
    expect(texts()).toEqual(['one', 'two', 'three']);
    expect(calls.filter(({ what }) => what.startsWith('quotes')).map(({ what }) => what)).toEqual([
      `quotes ${asked} of anna`,
    ]);
  });
});
