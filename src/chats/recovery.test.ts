// Out of trouble by commands and buttons alone: what failed, what is stopped or paused, what is too dear. The rows are real; a notice is one
// that delivery would have sent.
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { createBudgetModule } from '../budgets/module.js';
import { raiseButtons } from '../budgets/raise.js';
import type { InboundMessage } from '../channels/channel.js';
import { createNoticePress, messageActions } from '../delivery/notice-press.js';
import { createOwnerNotices } from '../delivery/notices.js';
import { modelCommands } from '../model/group-models.js';
import { runActions, runCommands } from '../runs/commands.js';
import { createHeldBack } from '../runs/held-back.js';
import { limitButtons, runButtons } from '../runs/notices.js';
import { reportRetried } from '../runs/retry-run.js';
import { openStore, type Store } from '../store.js';
import { chatCommands } from './commands.js';
import { createIntake, type Intake } from './intake.js';
import { createPairing } from './pairing.js';

const START = Date.UTC(2026, 10, 30, 12);
let store: Store;
let clock: FakeClock;
let intake: Intake;
let stoppedAt: number | undefined;
let notify: ReturnType<typeof createOwnerNotices>;

/** All that stands between a chat and its rows; called again it is a restart. */
function start(): void {
  const log = pino({ level: 'silent' });
  const config = {
    assistantName: 'Pinch',
    timeZone: 'UTC',
    model: 'big',
    runtime: 'docker' as const,
    budgets: BUDGETS,
  };
  const base = { store, clock, log, config };
  notify = createOwnerNotices({ store, clock, ownerChat: () => store.groups.chat(chatOf(direct)) ?? never() });
  const stopSwitch = { stopped: () => stoppedAt !== undefined, since: () => stoppedAt };
  const heldBack = createHeldBack({ ...base, stopSwitch });
  const resume = () => {
    stoppedAt = undefined;
  };
  const budgets = createBudgetModule({
    ...{ ...base, notifyOwner: notify, pauseTask: () => undefined },
    ...{ taskTitle: () => undefined, taskCap: () => undefined, runCap: store.runs.limitOf },
  });
  const { guard } = budgets;
  const ofRuns = { ...base, stopSwitch, heldBack, resume, guard, reopenSlot: store.tasks.reopenSlot };
  const emergencyStop = () => {
    stoppedAt = clock.now();
  };
  const control = { status: () => ({ text: 'well' }), emergencyStop };
  const onNotice = createNoticePress({
    store,
    actions: { ...messageActions(base), ...budgets.actions, ...runActions(ofRuns) },
  });
  intake = createIntake({
    ...{
      store,
      clock,
      log,
      pairing: createPairing(store, { channel: 'telegram' }),
      assistantName: 'Pinch',
      heldBack: heldBack.notice,
    },
    askToRegister: { forCall: () => undefined },
    commands: [
      ...chatCommands({ store, clock, config, control, resumeButtons: heldBack.buttons }),
      ...runCommands(ofRuns),
      ...modelCommands({ store, config }),
      ...budgets.commands,
    ],
    owner: { channel: 'telegram', address: '1' },
    onPress: onNotice,
    onStalePress: onNotice,
  });
}
const BUDGETS = { month: 100e6, day: 10e6, group: 5e6, run: 2e6 };
const never = () => {
  throw new Error('there is no chat');
};

beforeEach(() => {
  store = openStore(':memory:');
  clock = createFakeClock(START);
  stoppedAt = undefined;
  start();
  say('hello');
  say('/register family', family);
  say('/register work', work);
  fail();
});

const direct: InboundMessage['chat'] = { address: '1', kind: 'direct', title: 'Olga' };
const family: InboundMessage['chat'] = { address: '-5', kind: 'group', title: 'Family' };
const work: InboundMessage['chat'] = { address: '-6', kind: 'group', title: 'Work' };
const chatOf = ({ address }: { address: string }) => store.groups.chatByAddress('telegram', address)?.id ?? 0;

let nextId = 100;
function receive(message: Partial<InboundMessage>, from = '1') {
  return intake.receive('telegram', {
    ...{ chat: direct, sender: { address: from, name: `Person ${from}` }, platformId: String(nextId++) },
    ...{ sentAt: clock.now(), text: '', addressesAssistant: false, forwarded: false, edited: false, media: [] },
    ...message,
  });
}
const say = (text: string, chat = direct, from = '1') => receive({ text, chat }, from);
/** The newest text to this chat. */
const told = (chat = direct) => store.outbox.list(50).find(({ chatId }) => chatId === chatOf(chat))?.text ?? '';
const asked = (text: string, chat = direct, from = '1') => {
  say(text, chat, from);
  return told(chat);
};
const stateOf = (id: number | undefined) => store.runs.get(id ?? 0)?.state;

/** The oldest run that is due, ended. */
function fail(outcome: 'dead' | 'done' = 'dead') {
  const run = store.runs.claim({ holder: 'w', now: clock.now(), excludeGroups: [] });
  if (!run) throw new Error('nothing is due');
  const lease = { id: run.id, holder: 'w', attempt: run.attempt };
  if (outcome === 'done') store.runs.finish(lease, 'done', clock.now());
  else store.runs.dead(lease, { now: clock.now(), errorClass: 'crash', error: 'it broke *down*' });
  return run.id;
}

/** A notice with buttons, as it stands in the owner's chat; returns its platform id. */
function notice(buttons: { label: string; value: string }[], text = 'Something failed.') {
  const key = `k${nextId++}`;
  notify(key, text, undefined, buttons);
  const row = store.outbox.list(1)[0] ?? never();
  store.outbox.sent(row.id, clock.now());
  const platformId = `sent-${row.id}`;
  store.messages.add({
    ...{ chatId: row.chatId, direction: 'out', platformId, text: row.text, sentAt: 1, now: 1, senderId: null },
    ...{ senderName: 'Pinch', runId: null, outboxId: row.id },
  });
  return platformId;
}
const press = (platformId: string, value: string, from = '1') =>
  void receive({ press: { platformId, value }, addressesAssistant: true }, from);

describe('/runs', () => {
  test('the owner sees all in main, a group its own, a member what was done in that chat', () => {
    clock.set(START + 1_000);
    say('@Pinch buy *milk*', family, '2');
    fail('done');
    expect(asked('/runs')).toMatch(/\*\*2\*\* done, `family`, .*“buy|\*\*2\*\*/);
    expect(told()).toMatch(/\*\*1\*\* failed, `main`, 12:00, 0 s, “hello”, why: it broke \\\*down\\\*/);
    expect(asked('/runs', family)).not.toContain('**1**');
    expect(asked('/runs', family, '2')).toContain('milk');
    expect(asked('/runs', work, '2')).toBe('There was nothing to do yet.');
  });
  test('a number of another group, of nothing and no number read the same, or say what to write', () => {
    for (const who of ['1', '2'])
      expect([asked('/runs 1', family, who), asked('/runs 77', family, who)]).toEqual([
        'there is no run 1 here (`/runs` has the numbers)',
        'there is no run 77 here (`/runs` has the numbers)',
      ]);
    expect(asked('/runs 1')).toContain('`/retry 1` tries it again.');
    for (const junk of ['x', '-1', '1 2', '99999999999999999999'])
      expect(asked(`/runs ${junk}`)).toContain('Write `/runs`');
  });
});

describe('/retry', () => {
  test('what failed starts again; what works, waits or is done says so', () => {
    expect(asked('/retry 1')).toBe('Run 1 starts again.');
    expect(asked('/retry 1')).toContain('run 1 is ready (it waits for its turn)');
    store.runs.claim({ holder: 'w', now: clock.now(), excludeGroups: [] });
    expect(asked('/retry #1')).toContain('it is being worked on');
    store.runs.finish({ id: 1, holder: 'w', attempt: 1 }, 'done', clock.now());
    expect(asked('/retry 1')).toContain('run 1 is done');
    expect(asked('/retry')).toContain('Write `/retry` and the number');
  });
  test('a member has no say, and elsewhere nobody hears of it', () => {
    expect(asked('/retry 1', family, '2')).toContain('Only my owner may use `/retry`');
    expect(asked('/retry 1', family)).toContain('there is no run 1 here');
    expect(stateOf(1)).toBe('dead');
  });
  test('a replay, and the run of a task, whose slot waits for it again', () => {
    const main = store.groups.get(1) ?? never();
    const at = { groupId: main.id, chatId: chatOf(direct), runAt: clock.now(), now: clock.now() };
    const replay = store.runs.enqueue({ ...at, key: 'replay:1:1', kind: 'replay', session: 'replay-1-1' });
    fail();
    expect(asked(`/retry ${replay}`)).toContain('starts again');
    const starts = { kind: 'every' as const, everyMs: 60_000, anchorAt: 0, timeZone: 'UTC' };
    const options = { context: 'fresh', misfire: 'latest', overlap: 'skip', jitterMs: 0, after: [] } as const;
    const task = store.tasks.add({
      ...{ key: 't', groupId: main.id, chatId: chatOf(direct), title: 'look', prompt: 'look', secret: null },
      ...{ options: { ...options, after: [] }, starts, nextAt: null, now: 1 },
    });
    fail();
    const input = { taskId: task?.id ?? 0, title: 'look', prompt: 'look', slotAt: 5, late: false, missed: 0 };
    const run = store.runs.enqueue({ ...at, key: 'task', kind: 'task', session: 'task', taskId: task?.id ?? 0, input });
    store.tasks.addSlot({ taskId: task?.id ?? 0, slotAt: 5, state: 'running', runId: run ?? 0, now: 1 });
    fail();
    store.tasks.endSlot({ taskId: task?.id ?? 0, slotAt: 5, state: 'failed', detail: 'x', now: 2 });
    expect(asked(`/retry ${run}`)).toContain('starts again');
    expect(store.tasks.slotsOf(task?.id ?? 0, 1)[0]).toMatchObject({ state: 'running', runId: run });
  });
});

describe('paused or stopped', () => {
  test('a message waits, and hears so once in its conversation', () => {
    expect(asked('/pause', family)).toContain('The group `family` is paused');
    const { runId } = say('@Pinch milk?', family, '2');
    expect(told(family)).toBe(
      'I am paused here since Mon 30 Nov 2026, 12:00. What is written waits; my owner lets me go on.',
    );
    const count = store.outbox.list(50).length;
    say('@Pinch and bread?', family, '2');
    expect(store.outbox.list(50)).toHaveLength(count);
    expect(store.runs.claim({ holder: 'w', now: clock.now() + 1, excludeGroups: [] })).toBeUndefined();
    say('hi');
    expect(fail('done')).not.toBe(runId);
    expect(asked('/resume', family)).toBe('I go on.');
    expect(fail('done')).toBe(runId);
    expect(asked('/resume', family)).toBe('Nothing was stopped or paused here.');
  });
  test('all groups; `/resume` anywhere ends that, and names what stays paused', () => {
    say('/pause work');
    expect(asked('/pause all')).toContain('All groups are paused');
    expect(asked('/pause all')).toContain('already');
    const { runId } = say('hi');
    expect(told()).toMatch(/^I am paused since .*; `\/resume` and I go on\.$/);
    expect(asked('/resume', family)).toBe('I go on. Still paused: `/resume work`.');
    expect(fail('done')).toBe(runId);
    expect(asked('/resume work')).toBe('I go on.');
    expect(asked('/pause nobody')).toContain('there is no group "nobody"');
  });
  test('the emergency stop: one line each time it is stopped, also after a restart', () => {
    expect(asked('/stop all')).toContain('Everything is stopped.');
    say('are you there?');
    expect(told()).toMatch(/^Everything is stopped since .*`\/resume` and I go on\.$/);
    start();
    const count = store.outbox.list(50).length;
    say('hello?');
    expect(store.outbox.list(50)).toHaveLength(count);
    expect(asked('/retry 1')).toMatch(
      /Run 1 starts again\. Everything is stopped since .*: it waits until `\/resume`\./,
    );
    expect(asked('/resume')).toBe('I go on.');
    expect(stoppedAt).toBeUndefined();
  });
  test('a member may neither pause nor resume', () => {
    for (const text of ['/pause', '/resume', '/model x']) expect(asked(text, family, '2')).toContain('Only my owner');
    expect(store.pauses.all()).toEqual([]);
  });
});

describe('a member’s /stop', () => {
  test('ends what they started, and nothing of others', () => {
    const mine = say('@Pinch mine', family, '2').runId;
    say('@Pinch joined', family, '3');
    expect(asked('/stop', family, '3')).toBe('Nothing that you started is running here.');
    const other = say('@Pinch other', work, '2').runId;
    expect(asked('/stop', family, '2')).toBe('Stopped.');
    expect([stateOf(mine), stateOf(other)]).toEqual(['cancelled', 'ready']);
    expect(asked('/stop all', family, '2')).toContain('with something behind it');
    expect(stoppedAt).toBeUndefined();
  });
});

describe('/model', () => {
  test('is of a group, and the settings count again by `default`', () => {
    expect(asked('/model')).toContain('works with `big` (as the settings say)');
    expect(asked('/model claude-sonnet-5-5', family)).toContain('The group `family` works with `claude-sonnet-5-5`');
    const family5 = store.groups.all().find(({ folder }) => folder === 'family')?.id ?? 0;
    expect([store.groupModels.of(family5), store.groupModels.of(1)]).toEqual(['claude-sonnet-5-5', undefined]);
    expect(asked('/model claude-sonet-5-5')).toMatch(/Did you mean `claude-sonnet-5-5`\?$/);
    expect(asked('/model llama')).toMatch(/count it as the dearest one\.$/);
    asked('/model default');
    expect(asked('/model two words')).toContain('a model has a name of one word');
    expect(asked('/model default', family)).toContain('(as the settings say)');
  });
});

describe('/compact', () => {
  test('is a run of this conversation that takes in no message; what works there ends first', () => {
    const { runId } = say('hi');
    const answer = asked('/compact');
    expect(answer).toBe('I shorten this conversation and say when it is done.');
    const run = store.runs.list(null, 1)[0];
    expect(run).toMatchObject({ kind: 'hook', session: store.runs.get(runId ?? 0)?.session, taskId: null });
    const { runId: next } = say('and this');
    expect([next, store.messages.ofRun(run?.id ?? 0)]).toEqual([runId, []]);
    expect(asked('/runs')).toContain('shortening the conversation');
    expect([fail('done'), fail()]).toEqual([runId, run?.id]);
    expect(asked(`/retry ${run?.id}`)).toContain('starts again');
    expect(asked('/compact', family, '2')).toContain('Only my owner');
  });
});

describe('buttons of notices', () => {
  test('a run is tried again once; a second press, and one after a restart, hears what came of it', () => {
    const id = notice(runButtons(1));
    expect(store.outbox.list(1)[0]?.text).toBe(
      'Something failed.\n\nAnswer this with 👍 to try again, or with `show` for more.',
    );
    press(id, 'run:show:1');
    expect(told()).toContain('**1** failed');
    press(id, 'run:retry:1');
    expect([told(), stateOf(1)]).toEqual(['Run 1 starts again.', 'ready']);
    fail();
    start();
    press(id, 'run:retry:1');
    expect(told()).toMatch(/^That was pressed already\. \*\*1\*\* failed/);
    expect(stateOf(1)).toBe('dead');
  });
  test.each([
    ['👍', 'Run 1 starts again.', 'ready'],
    ['👍🏽', 'Run 1 starts again.', 'ready'],
    ['👎', 'I leave it as it is.', 'dead'],
  ])('%s of the owner', (value, text, state) => {
    const id = notice(runButtons(1));
    receive({ press: { platformId: id, value }, text: '[reaction]', contextOnly: true });
    expect([told(), stateOf(1)]).toEqual([text, state]);
  });
  test.each(['yes', 'Try again', 'show'])('%j in a reply to it', (text) => {
    const id = notice(runButtons(1));
    receive({ text, replyTo: { platformId: id, sender: 'Pinch', text: '' } });
    expect(told()).toMatch(text === 'show' ? /Attempts: 1/ : /^Run 1 starts again/);
  });
  test('what is gone is said: the run, the row of the notice itself', () => {
    const id = notice([{ label: 'Try again', value: 'run:retry:99' }]);
    press(id, 'run:retry:99');
    expect(told()).toBe('Run 99 is no longer known.');
    const out = { chatId: chatOf(direct), direction: 'out' as const, platformId: 'old', text: 'x', sentAt: 1, now: 1 };
    store.messages.add({ ...out, senderId: null, senderName: 'Pinch', runId: null, outboxId: null });
    press('old', 'run:retry:1', '2');
    press('never', 'run:retry:1');
    expect(told()).toBe('Run 99 is no longer known.');
    press('old', 'run:retry:1');
    expect([told(), stateOf(1)]).toEqual(['That is too old: I no longer know what it was about.', 'dead']);
  });
  test('nobody but the owner, and no value that no button has', () => {
    const id = notice(runButtons(1));
    const before = told();
    receive({ press: { platformId: id, value: 'run:retry:1' } }, '2');
    receive({ press: { platformId: id, value: '👍' }, text: '[reaction]', contextOnly: true }, '2');
    press(id, 'run:retry:2');
    press(id, 'constructor');
    expect([told(), stateOf(1)]).toEqual(['Only my owner may press that.', 'dead']);
    // As those of an unregistered chat hear nothing.
    expect(before).toContain('try again');
  });
  test('a budget is raised for its day alone', () => {
    const cap = { name: 'group' as const, limit: 5e6, spent: 4.9e6, period: '2026-11-30' };
    const id = notice(raiseButtons(cap, 200_000, 1), 'Used up.');
    press(id, 'cap:group:10:2026-11-30:1');
    expect(told()).toMatch(
      /^Raised to \$10\.00 for today; what waited goes on\.\n.*group `main`: \$0\.00 of \$10\.00/s,
    );
    press(id, 'cap:group:10:2026-11-30:1');
    expect(told()).toMatch(/^Nothing changed: it is \$10\.00 today/);
    const late = notice(raiseButtons(cap, 200_000, 1));
    clock.set(START + 86_400_000);
    press(late, 'cap:group:10:2026-11-30:1');
    expect(told()).toBe('That was for 2026-11-30, which is over: the budget of today began anew.');
    const ofMonth = notice(raiseButtons({ ...cap, name: 'month', period: '2026-12' }, 1, 1));
    press(ofMonth, 'cap:month:10:2026-12:1');
    expect(told()).toMatch(/^Nothing changed: it is \$100\.00 this month/);
    for (const name of ['run', 'task'] as const) expect(raiseButtons({ ...cap, name }, 1, 1)).toEqual([]);
  });
  test('a month is raised for itself alone, as the one below it is a day', () => {
    const cap = { name: 'month' as const, limit: 100e6, spent: 99e6, period: '2026-11' };
    press(notice(raiseButtons(cap, 200_000, 1)), 'cap:month:200:2026-11:1');
    expect(told()).toMatch(/^Raised to \$200\.00 for this month/);
    expect(asked('/budget day 3 today')).toContain('of this month: $0.00 of $200.00');
    clock.set(START + 86_400_000);
    expect(asked('/budget')).toContain('of this month: $0.00 of $100.00');
  });
  test('a run goes on with more to spend, once, and no other run', () => {
    const refusal = {
      cap: 'run' as const,
      limitMicroUsd: 2e6,
      spentMicroUsd: 1.9e6,
      worstCaseMicroUsd: 200_000,
      text: '',
    };
    const [raise] = limitButtons(1, refusal);
    expect(raise).toEqual({ label: 'Raise to $4 for this run', value: 'run:raise:1:4' });
    const id = notice(limitButtons(1, refusal));
    press(id, 'run:raise:1:4');
    expect([told(), stateOf(1)]).toEqual(['It may cost $4 now. Run 1 starts again.', 'ready']);
    expect([store.runs.limitOf(1), store.runs.limitOf(2)]).toEqual([4e6, undefined]);
    press(id, 'run:raise:1:4');
    expect(told()).toMatch(/^That was pressed already\. \*\*1\*\* waits/);
    const late = notice(limitButtons(1, refusal));
    press(late, 'run:raise:1:4');
    expect(told()).toContain('run 1 is ready');
  });
  test('what holds a chat back ends by its button; an old one ends nothing new', () => {
    const pressLast = (text: string) => {
      const row = store.outbox.list(50).find((one) => one.text.includes(text)) ?? never();
      store.outbox.sent(row.id, clock.now());
      const platformId = `sent-${row.id}`;
      const out = { chatId: row.chatId, direction: 'out' as const, platformId, text: row.text, sentAt: 1, now: 1 };
      store.messages.add({ ...out, senderId: null, senderName: 'Pinch', runId: null, outboxId: row.id });
      const pressed = (from = '1') => {
        press(platformId, row.buttons?.[0]?.value ?? 'none', from);
        return told();
      };
      return Object.assign(pressed, { id: platformId });
    };
    asked('/stop all');
    const stopped = pressLast('Everything is stopped. I start nothing');
    say('and this');
    const held = pressLast('What is written waits');
    expect(held('2')).toBe('Only my owner may press that.');
    receive({ press: { platformId: held.id, value: '👍' }, text: '[reaction]', contextOnly: true });
    receive({ text: 'ok', replyTo: { platformId: stopped.id, sender: 'Pinch', text: '' } });
    expect(stoppedAt).toBeDefined();
    expect([held(), stoppedAt]).toEqual(['I go on.', undefined]);
    expect(stopped()).toBe('Nothing is stopped or paused there any more.');
    asked('/pause family');
    const paused = pressLast('The group `family` is paused');
    clock.set(START + 60_000);
    asked('/resume family');
    asked('/pause family');
    expect(paused()).toMatch(/^That is over\. I am paused here since .* by something else/);
    expect(store.pauses.all()).toHaveLength(1);
    asked('/resume family');
    store.budgets.hold(chatOf(direct), clock.now());
    say('more');
    const hold = pressLast('I paused myself here');
    expect(hold()).toBe('I go on there.');
    expect([hold(), store.budgets.heldChats()]).toEqual(['Nothing is stopped or paused there any more.', []]);
  });
  test('a group that the model does not let in tries it again, as often as one likes', () => {
    const id = notice([{ label: 'Try again', value: 'model:retry:1' }]);
    store.groups.park(1, 'auth', clock.now() + 60_000);
    press(id, 'model:retry:1');
    expect([told(), store.groups.get(1)?.parkedUntil]).toEqual(['I try it again.', clock.now()]);
    store.groups.unpark(1);
    press(id, 'model:retry:1');
    expect(told()).toBe('Nothing waits for the model there any more.');
  });
  test('whoever has a run of another chat tried again hears there how it ended, once', () => {
    const { runId = 0 } = say('@Pinch dig', family);
    fail();
    expect(asked(`/retry ${runId}`)).toBe(`Run ${runId} starts again. Its answer goes to Family.`);
    reportRetried({ store, clock }, { id: runId });
    fail();
    for (const _ of [1, 2]) reportRetried({ store, clock }, { id: runId });
    expect(told()).toBe(`Run ${runId} failed again: it broke \\*down\\*`);
    clock.set(START + 1);
    press(notice(runButtons(runId)), `run:retry:${runId}`);
    store.outbox.add({ key: `${runId}:end:3`, chatId: chatOf(family), runId, text: 'Found\n*it*.', now: 1 });
    fail('done');
    reportRetried({ store, clock }, { id: runId });
    expect(told()).toBe(`Run ${runId} is done: “Found \\*it\\*.”`);
    const count = store.outbox.list(99).length;
    const { runId: own = 0 } = say('hi');
    fail();
    asked(`/retry ${own}`);
    fail();
    reportRetried({ store, clock }, { id: own });
    expect(store.outbox.list(99)).toHaveLength(count + 1);
  });
  test('a message that could not be sent goes out once more', () => {
    store.outbox.add({ key: 'x', chatId: chatOf(family), runId: null, text: 'milk', now: clock.now() });
    const row = store.outbox.list(1)[0] ?? never();
    store.outbox.dead(row.id, 'blocked');
    const id = notice([{ label: 'Try again', value: `message:retry:${row.id}` }]);
    press(id, `message:retry:${row.id}`);
    expect([told(), store.outbox.get(row.id)?.state]).toEqual(['I send that message again.', 'queued']);
    press(id, `message:retry:${row.id}`);
    expect(told()).toContain('That was tried again already');
  });
});

describe('/start before anybody is the owner', () => {
  const stranger: InboundMessage['chat'] = { address: '9', kind: 'direct', title: 'S' };
  const open = () => void intake.receive('signal', { ...opened, platformId: String(nextId++) });
  const opened = {
    ...{ chat: stranger, sender: { address: '9', name: 'S' }, text: '/start', sentAt: 1, media: [] },
    ...{ addressesAssistant: true, forwarded: false, edited: false },
  };
  const answers = () => store.outbox.list(50).filter(({ text }) => text.includes('pinch -- pair')).length;
  test('says how to pair once an hour, and nothing once there is an owner', () => {
    open();
    open();
    expect(answers()).toBe(1);
    clock.set(START + 3_600_000);
    open();
    expect(answers()).toBe(2);
    store.groups.seenSender({ channel: 'signal', address: '8', name: 'O', username: null, chatId: 1 });
    store.groups.makeOwner('signal', '8');
    clock.set(START + 7_200_000);
    open();
    expect(answers()).toBe(2);
    say('/start', stranger, '9');
    expect(answers()).toBe(2);
  });
  test('the code behind it pairs', () => {
    const code = createPairing(store).code('signal');
    intake.receive('signal', { ...opened, text: `/start ${code.toLowerCase()}`, platformId: 'p' });
    expect(store.groups.hasOwner('signal')).toBe(true);
  });
});

describe('commands as people write them', () => {
  test.each([
    ['/stop.', /^Nothing is running here/],
    [' \n /STOP!! ', /^Nothing is running here/],
    ['/ stop', /^Nothing is running here/],
    ['／stop', /^Nothing is running here/],
    ['\u200e/stop\u200b', /^Nothing is running here/],
    ['/stop @Pinch', /^Nothing is running here/],
    ['@pinch, /stop.', /^Nothing is running here/],
    ['/stop,please', /^Nothing is running here/],
    ['/stop all!', /^Everything is stopped/],
    ['/runs run #1.', /^\*\*1\*\* failed/],
    ['/runs 1e3', /^Write `\/runs`/],
    ['/Retry\n1', /^Run 1 starts again/],
    ['/retry 1 2', /^Write `\/retry`/],
    ['/retry message 99', /^There is no message 99 here/],
    ['/pause 2h', /^Nothing is paused: a pause has no end/],
    ['/pause until 18:00', /^Nothing is paused: a pause has no end/],
    ['/help Stop', /^- `\/stop \[all\]` —/],
    ['/pair 123', /^You are my owner here already/],
    ['/cancel', /Did you mean `\/stop \[all\]`/],
    ['/reset', /Did you mean `\/new`/],
    ['/usage', /Did you mean `\/cost`/],
    ['/stop_all', /Did you mean `\/stop \[all\]`/],
  ])('%j', (text, answer) => expect(asked(text)).toMatch(answer));

  test.each([
    '/ new idea: let us paint it',
    '/ 3 of 4',
    '//stop',
    '/tmp, please',
    'well, /stop',
  ])('%j is for the model', (text) => {
    const before = told();
    expect([say(text).runId, told()]).toEqual([expect.any(Number), before]);
  });

  test('in the caption of a picture it is one as well, passed on it is none', () => {
    const media = [{ kind: 'image' as const, ref: 'r', mimeType: 'image/jpeg', fileName: 'a.jpg', sizeBytes: 1 }];
    receive({ text: '/runs 1', media });
    expect(told()).toMatch(/^\*\*1\*\* failed/);
    expect(receive({ text: '/runs 1', forwarded: true }).runId).toBeDefined();
  });

  test('a word of another bot in a group is left alone, unless we are called', () => {
    const before = told(family);
    say('/cancel', family);
    expect(told(family)).toBe(before);
    expect(asked('@Pinch /cancel', family)).toContain('Did you mean `/stop');
    expect(asked('/stop @Pinch', family, '2')).toBe('Nothing that you started is running here.');
  });

  test('twice at once is once: a retry, a summary, a pause', () => {
    expect([asked('/retry 1'), asked('/retry 1')]).toEqual([
      'Run 1 starts again.',
      'run 1 is ready (it waits for its turn)',
    ]);
    expect([asked('/compact'), asked('/compact')].at(-1)).toBe('That waits for its turn already.');
    expect([asked('/pause'), asked('/pause')].at(-1)).toContain('paused already');
  });

  test('a `/resume` that was on its way since before the stop ends nothing, unless it is meant', () => {
    const sentAt = clock.now();
    clock.set(START + 10 * 60_000);
    asked('/stop all');
    clock.set(START + 30 * 60_000);
    receive({ text: '/resume', sentAt });
    expect([told(), stoppedAt]).toEqual([
      expect.stringMatching(/^That came 30 min late\. Everything is stopped/),
      START + 600_000,
    ]);
    receive({ text: '/resume', sentAt: START + 11 * 60_000 });
    expect([told(), stoppedAt]).toEqual(['I go on.', undefined]);
    asked('/pause');
    clock.set(START + 40 * 60_000);
    receive({ text: '/resume now', sentAt });
    expect([told(), store.pauses.all()]).toEqual(['I go on.', []]);
  });

  test('a budget for a day that is over when it comes changes nothing', () => {
    const sentAt = clock.now();
    clock.set(START + 86_400_000);
    receive({ text: '/budget 99 today', sentAt });
    expect(told()).toBe('That came late: it was for 2026-11-30, which is over. The budget of today began anew.');
    receive({ text: '/budget 99', sentAt });
    expect(told()).toContain('of $99.00 spent');
  });

  test('`/resume` where nobody registered the chat ends the stop', () => {
    asked('/stop all');
    say('/resume', { address: '-9', kind: 'group', title: 'New' });
    expect(stoppedAt).toBeUndefined();
  });
});
