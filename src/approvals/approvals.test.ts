// What holds for every approval: only the owner decides, where the card is; what was shown is done once; the agent is told.
import { beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { PinchError } from '../core/errors.js';
import type { Chat, Run } from '../core/types.js';
import { openStore, type Store } from '../store.js';
import { type Approvals, createApprovals } from './approvals.js';
import { approvalCommands, createCardAnswers } from './commands.js';

const HOUR_MS = 3_600_000;
let clock: FakeClock;
let store: Store;
let approvals: Approvals;
let done: string[];
let stopped: boolean;
let owner: Chat;
let family: Chat;
let run: Run;
let ask: (what: string, content?: string) => number;

function newRun(session: string): Run {
  const id = store.runs.enqueue({
    ...{ key: session, kind: 'message', groupId: family.groupId ?? 0, chatId: family.id, session, runAt: 0, now: 0 },
  });
  const started = store.runs.claim({ holder: 'w', now: clock.now(), excludeGroups: [] });
  if (started?.id !== id || !started) throw new Error('the run did not start');
  return started;
}

beforeEach(() => {
  clock = createFakeClock();
  store = openStore(':memory:');
  [done, stopped] = [[], false];
  const chat = (address: string, folder: string, kind: Chat['kind']) => {
    const { id } = store.groups.seenChat({ channel: 'telegram', address, kind, title: folder, now: 1 });
    store.groups.assignChat(id, store.groups.ensure(folder, folder === 'main', 1).id);
    return store.groups.chat(id) ?? expect.unreachable();
  };
  [owner, family] = [chat('1', 'main', 'direct'), chat('-5', 'family', 'group')];
  const config = { timeZone: 'UTC' };
  approvals = createApprovals({ store, clock, config, ownerChat: () => owner, stopped: () => stopped });
  run = newRun('s1');
  const asker = approvals.kind({
    ...{ name: 'shout', input: z.object({ what: z.string() }), maxOpen: 3 },
    carryOut({ what }, { always }) {
      store.settings.set('shouted', what);
      if (what === 'impossible') throw new PinchError('gone', 'nobody is there');
      done.push(always ? `always ${what}` : what);
      return `Shouted ${what}.`;
    },
  });
  ask = (what, content) => {
    const about = { subject: `shout ${what}`, always: 'for ever', content, input: { what } };
    return asker({ groupId: run.groupId, run, ...about }).id;
  };
});

const allow = (id: number, more = {}) => approvals.decide(id, { decision: 'allow', by: 'the owner', ...more });
const deny = (id: number) => approvals.decide(id, { decision: 'deny', by: 'the owner' });
const state = (id: number) => store.approvals.get(id)?.state;
const told = (of = run) => store.messages.ofRun(of.id).map(({ text }) => text);
const cards = () => store.outbox.list(99).filter(({ key }) => key.startsWith('approval:'));

describe('asking', () => {
  test('shows the owner all of it, in the chat where they are found', () => {
    const id = ask('hello', 'line one\n```\n**not ours** \u202etxt');
    const [card] = cards();
    expect(card).toMatchObject({ key: `approval:${id}`, chatId: owner.id, runId: null });
    expect(card?.text).toContain(`**Approval ${id}: shout hello**`);
    expect(card?.text).toContain('````\nline one\n```\n**not ours** \\u202etxt\n````');
    expect(card?.text).toContain('Asked by run 1 in the chat family.');
    expect(card?.text).toContain('`/approve 1 always`: for ever.');
    expect(store.events.ofRun(run.id).map(({ kind }) => kind)).toContain('approval_asked');
  });

  test('for the same thing again is the same approval, for something else another', () => {
    expect(ask('hello')).toBe(ask('hello'));
    expect(ask('Hello')).toBe(2);
    expect(cards()).toHaveLength(2);
  });

  test('ends at three that are open, and at thirty a day', async () => {
    for (const what of ['a', 'b', 'c']) ask(what);
    expect(() => ask('d')).toThrow(/too much already/);
    for (const { id } of store.approvals.list('open', 9)) deny(id);
    for (let n = 0; n < 27; n++) deny(ask(`no ${n}`));
    expect(() => ask('the 31st')).toThrow(/too much already/);
    await clock.advance(25 * HOUR_MS);
    expect(ask('the next day')).toBe(31);
  });

  test('after a no is answered by that no for a day, also in another run', async () => {
    const id = ask('hello');
    deny(id);
    expect(ask('hello')).toBe(id);
    run = newRun('s2');
    expect(ask('hello')).toBe(id);
    await clock.advance(25 * HOUR_MS);
    expect(ask('hello')).toBe(id + 1);
  });

  test('about more than a person reads is refused', () => {
    expect(() => ask('x', 'y'.repeat(20_001))).toThrow(/20000 characters/);
  });
});

describe('a yes', () => {
  test('does what was shown, once, and tells the agent in the run that works', () => {
    const id = ask('hello');
    expect(allow(id)).toBe(`Approval ${id}: shout hello: yes, and it is done. Shouted hello.`);
    expect(() => allow(id)).toThrow(/is over: done/);
    expect(() => deny(id)).toThrow(/is over/);
    expect(done).toEqual(['hello']);
    expect(told()).toEqual([`Approval ${id} (shout hello): yes, and it is done. Shouted hello.`]);
  });

  test('starts a run in that conversation when the one that asked is over', () => {
    const id = ask('hello');
    store.runs.finish({ id: run.id, holder: 'w', attempt: 1 }, 'done', clock.now());
    allow(id, { scope: 'always' });
    expect(done).toEqual(['always hello']);
    const [next] = store.runs.list('ready', 9);
    expect(next).toMatchObject({ session: 's1', groupId: run.groupId, chatId: family.id });
    expect(next && told(next)).toHaveLength(1);
    expect(next && store.messages.ofRun(next.id)[0]).toMatchObject({ byHost: true, role: null });
  });

  test('to what cannot be done any more changes nothing and says so', () => {
    const id = ask('impossible');
    expect(allow(id)).toMatch(/but it failed\. nobody is there/);
    expect([state(id), store.settings.get('shouted')]).toEqual(['failed', undefined]);
    expect(told()[0]).toContain('but it failed');
  });

  test('waits while everything is stopped', () => {
    const id = ask('hello');
    stopped = true;
    expect(() => allow(id)).toThrow(/everything is stopped/);
    expect(state(id)).toBe('open');
  });

  test('for always counts only where the card offers it', () => {
    const asker = approvals.kind({ name: 'once', input: z.object({}), maxOpen: 1, carryOut: () => 'ok' });
    const { id } = asker({ groupId: null, subject: 'x', input: {} });
    expect(() => allow(id, { scope: 'always' })).toThrow(/for once only/);
    expect(state(id)).toBe('open');
  });
});

test('nobody answers for a day: it is a no, also when Pinch was off meanwhile', async () => {
  const id = ask('hello');
  await clock.advance(24 * HOUR_MS + 1_000);
  expect(state(id)).toBe('expired');
  expect(told()[0]).toContain('nobody answered, so it is a no');
  const late = ask('late');
  approvals.stop();
  await clock.advance(25 * HOUR_MS);
  expect(() => allow(late)).toThrow(/is over: expired/);
  approvals.start();
  expect(state(late)).toBe('expired');
});

test('however it ends, the buttons of its card lead nowhere', async () => {
  for (const what of ['hello', 'impossible', 'no']) ask(what);
  const over = () => cards().filter(({ buttonsOver }) => buttonsOver === 1).length;
  expect(over()).toBe(0);
  allow(1);
  allow(2);
  deny(3);
  expect(over()).toBe(3);
  ask('late');
  await clock.advance(24 * HOUR_MS + 1_000);
  expect([state(4), over()]).toEqual(['expired', 4]);
});

describe('who may answer', () => {
  const answers = () => createCardAnswers({ store, approvals });
  const answer = (value: string, more = {}) =>
    answers()({ key: 'approval:1', value, chat: owner, isOwner: true, by: 'Anna', ...more });
  const press = (...pressed: Parameters<typeof answer>) => answer(...pressed)?.text;

  test('the owner, on the card', () => {
    ask('hello');
    expect(press('👍')).toMatch(/is done/);
    expect(press('👍')).toMatch(/is over/);
    expect(done).toEqual(['hello']);
  });

  test('the owner, once more after an emergency stop was in the way', () => {
    ask('hello');
    stopped = true;
    expect(answer('allow')).toEqual({ text: expect.stringContaining('everything is stopped'), again: true });
    stopped = false;
    expect(answer('allow')).toEqual({ text: expect.stringContaining('is done'), again: false });
  });

  test('nobody else, in no other chat, and no message that only looks like a card', () => {
    ask('hello');
    expect(press('allow', { isOwner: false })).toBeUndefined();
    expect(press('allow', { key: '1:end:0' })).toBeUndefined();
    expect(press('❤️')).toBeUndefined();
    expect(press('allow', { chat: family })).toMatch(/asked in another chat/);
    expect(state(1)).toBe('open');
  });

  test.each(['approve 1', 'deny 1', 'approve 1 always'])('/%s counts in the chat of the card alone', (line) => {
    ask('hello');
    const [name, ...argument] = line.split(' ');
    const command = approvalCommands({ store, approvals }).find(({ usage }) => usage.split(' ')[0] === `/${name}`);
    const say = (chat: Chat) =>
      command?.answer({ chat, argument: argument.join(' '), messageId: 1, byOwner: true, senderId: 1 });
    expect(say(family)).toMatch(/another chat/);
    expect(state(1)).toBe('open');
    expect(say(owner)).toMatch(/^Approval 1: shout hello: (no\.|yes)/);
    expect(done).toEqual(name === 'deny' ? [] : [argument[1] ? 'always hello' : 'hello']);
    expect(command).not.toHaveProperty('forMembers');
  });
});

test('whoever waits is woken by the answer, and not by that to another', async () => {
  const [one, other] = [ask('one'), ask('other')];
  const waiting = approvals.wait(one, 45_000);
  deny(other);
  await clock.advance(1_000);
  allow(one);
  expect((await waiting)?.state).toBe('done');
  const late = ask('late');
  const waited = approvals.wait(late, 45_000);
  await clock.advance(45_000);
  expect((await waited)?.state).toBe('open');
});

describe('a yes to what takes time and must not be begun twice', () => {
  let begun: string[];
  let end: (result: string) => void;
  let fail: (error: Error) => void;
  let askLater: (what: string) => number;
  const later = (of: Approvals) => {
    const asker = of.kind({
      ...{ name: 'ship', input: z.object({ what: z.string() }), maxOpen: 3, once: true },
      carryOutLater({ what }) {
        expect(state(1)).toBe('allowed');
        begun.push(what);
        return new Promise<string>((resolve, reject) => {
          [end, fail] = [resolve, reject];
        });
      },
    });
    return (what: string) => asker({ groupId: run.groupId, run, subject: `ship ${what}`, input: { what } }).id;
  };
  beforeEach(() => {
    begun = [];
    askLater = later(approvals);
  });
  const ended = (id: number) => expect.poll(() => state(id));

  test('is a row before it begins, is told when it ends, and is begun once', async () => {
    const id = askLater('tea');
    const waiting = approvals.wait(id, 1e9);
    expect(allow(id)).toBe(`Approval ${id}: ship tea: yes, and it is being done.`);
    expect([begun, told()]).toEqual([['tea'], []]);
    expect(() => allow(id)).toThrow(/is over: allowed/);
    expect(() => deny(id)).toThrow(/is over: allowed/);
    expect(askLater('tea')).toBe(id);
    end('It is on its way.');
    expect(await waiting).toMatchObject({ state: 'done', result: 'It is on its way.', decidedBy: 'the owner' });
    expect(told()).toEqual([`Approval ${id} (ship tea): yes, and it is done. It is on its way.`]);
    expect(begun).toEqual(['tea']);
  });

  test('that fails is told as that', async () => {
    const id = askLater('tea');
    allow(id);
    fail(new PinchError('gone', 'no ship is there'));
    await ended(id).toBe('failed');
    expect(told()[0]).toContain('yes, but it failed. no ship is there');
  });

  test('is told as unknown after a crash in between, and never begun again', async () => {
    const id = askLater('tea');
    allow(id);
    const config = { timeZone: 'UTC' };
    const next = createApprovals({
      store,
      clock,
      config,
      ownerChat: () => owner,
      stopped: () => false,
    });
    later(next);
    next.start();
    await ended(id).toBe('failed');
    expect(begun).toEqual(['tea']);
    expect(store.approvals.get(id)).toMatchObject({ state: 'failed', decidedBy: 'the owner' });
    expect(told()[0]).toContain('whether it was done is not known');
    next.start();
    expect(told()).toHaveLength(1);
  });

  test('that outlives Pinch changes nothing any more', async () => {
    const id = askLater('tea');
    allow(id);
    const stopping = approvals.stop();
    await clock.advance(6_000);
    await stopping;
    end('too late');
    await Promise.resolve();
    expect(state(id)).toBe('allowed');
  });
});
