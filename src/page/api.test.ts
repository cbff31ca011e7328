// What the JSON API answers and which rows it changes, over real HTTP on a real store.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type PageFixture, startPageFixture } from '../../test/e2e/page-fixture.js';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { longestTurn } from '../../test/fakes/loop-delay.js';
import { dayName } from '../core/day.js';

let home: PageFixture;
let clock: FakeClock;
let signalled: string[];
beforeEach(async () => {
  clock = createFakeClock();
  home = await startPageFixture({ clock });
  signalled = [];
  home.signals.on('run:ready', () => signalled.push('run:ready'));
});
afterEach(() => home.close());

const get = (path: string) => home.api('GET', path);
const post = (path: string, body?: unknown) => home.api('POST', path, body);

/** A message on the page whose run ended. Returns the run's id. */
function endedRun(outcome: 'done' | 'cancelled' = 'done'): number {
  home.intake.receiveFromPage(`question ${clock.now()}`);
  const { run, end } = home.work();
  end(outcome);
  return run.id;
}

describe('runs', () => {
  test('are listed newest first and by state', async () => {
    const [first, second] = [endedRun(), endedRun('cancelled')];
    expect(await get('/api/runs')).toMatchObject({ status: 200, body: { runs: [{ id: second }, { id: first }] } });
    expect(await get('/api/runs?state=done')).toMatchObject({ body: { runs: [{ id: first }] } });
    expect(await get('/api/runs?limit=1')).toMatchObject({ body: { runs: [{ id: second }] } });
    expect((await get('/api/runs?state=asleep')).status).toBe(400);
    expect((await get('/api/runs?limit=-1')).status).toBe(400);
  });

  test('one run shows its messages, timeline, model calls and answers', async () => {
    const id = endedRun();
    const { groupId } = home.store.runs.get(id) ?? { groupId: 0 };
    home.store.events.add(id, clock.now(), 'tool_started', { tool: 'bash' });
    home.store.outbox.add({ key: `${id}:final`, chatId: home.webChat().id, runId: id, text: 'done', now: 1 });
    recordCall(groupId, id);
    expect(await get(`/api/runs/${id}`)).toMatchObject({
      status: 200,
      body: {
        run: { id, state: 'done', kind: 'message' },
        messages: [{ direction: 'in', text: expect.stringContaining('question') }],
        events: [{ kind: 'tool_started', detail: { tool: 'bash' } }],
        modelCalls: [{ model: 'claude-sonnet-5-5', costMicroUsd: 1_500 }],
        outbox: [{ key: `${id}:final`, text: 'done' }],
      },
    });
  });

  test.each(['/api/runs/999', '/api/runs/x', '/api/runs/1%20OR%201'])('%s is not there', async (path) => {
    expect(await get(path)).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
    expect((await post(`${path}/retry`)).status).toBe(404);
    expect((await post(`${path}/stop`)).status).toBe(404);
    expect((await post(`${path}/replay`)).status).toBe(404);
  });

  test('retry starts a cancelled run over; a second retry is told why not', async () => {
    const id = endedRun('cancelled');
    signalled = [];
    expect(await post(`/api/runs/${id}/retry`)).toMatchObject({
      status: 200,
      body: { run: { state: 'ready', attempt: 0 } },
    });
    expect(signalled).toContain('run:ready');
    expect(home.store.events.ofRun(id).map((event) => event.kind)).toContain('retried');
    expect(await post(`/api/runs/${id}/retry`)).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } });
  });

  test('stop cancels one that waits at once, asks the runner of one that works, and leaves the others alone', async () => {
    const stopped: number[] = [];
    home.signals.on('run:stopped', (id) => stopped.push(id));
    home.intake.receiveFromPage('works');
    const { run: working } = home.work();
    expect(await post(`/api/runs/${working.id}/stop`)).toMatchObject({ body: { run: { state: 'leased' } } });
    expect({ stopped, asked: home.store.runs.get(working.id)?.cancelRequested }).toEqual({
      stopped: [working.id],
      asked: 1,
    });
    home.intake.receiveFromPage('waits');
    const [waiting] = home.store.runs.list('ready', 1);
    expect(await post(`/api/runs/${waiting?.id}/stop`)).toMatchObject({ body: { run: { state: 'cancelled' } } });
    expect(stopped).toEqual([working.id]);
    expect(home.store.events.ofRun(waiting?.id ?? 0).map((event) => event.kind)).toContain('stopped');
    expect((await post(`/api/runs/${waiting?.id}/stop`)).status).toBe(409);
  });

  test('a done run cannot be retried', async () => {
    expect((await post(`/api/runs/${endedRun()}/retry`)).status).toBe(409);
  });

  test('replay carries the same messages in sessions of their own, and leaves the first run as it was', async () => {
    const id = endedRun();
    signalled = [];
    const first = await post(`/api/runs/${id}/replay`);
    const second = await post(`/api/runs/${id}/replay`);
    expect(first.body).toMatchObject({
      run: { kind: 'replay', key: `replay:${id}:1`, session: `replay-${id}-1`, state: 'ready' },
    });
    expect(second.body).toMatchObject({ run: { key: `replay:${id}:2`, session: `replay-${id}-2` } });
    expect(signalled).toContain('run:ready');
    const [replay] = home.store.runs.list('ready', 1);
    expect(home.store.messages.ofRun(replay?.id ?? 0)).toEqual(home.store.messages.ofRun(id));
    expect(replay?.chatId).toBe(home.webChat().id);
    expect(home.store.runs.get(id)?.state).toBe('done');
  });

  test('a run that waits or works cannot be replayed', async () => {
    home.intake.receiveFromPage('wait');
    const [run] = home.store.runs.list('ready', 1);
    expect((await post(`/api/runs/${run?.id}/replay`)).status).toBe(409);
  });
});

describe('registering chats', () => {
  const seen = () =>
    home.store.groups.seenChat({
      channel: 'telegram',
      address: '-100',
      kind: 'group',
      title: 'Family',
      now: clock.now(),
    });

  test('an unknown chat that wrote is listed and can be registered by id', async () => {
    const { id } = seen();
    expect(await get('/api/chats')).toMatchObject({ body: { chats: [{ id, title: 'Family', folder: null }] } });
    expect(await post(`/api/chats/${id}/register`, { folder: 'family' })).toMatchObject({
      status: 200,
      body: { chat: { id, folder: 'family', sendersPolicy: 'all' } },
    });
    expect(await get('/api/groups')).toMatchObject({
      body: {
        groups: [{ folder: 'family', isMain: false, taint: 'on', chats: [{ id, channel: 'telegram', kind: 'group' }] }],
      },
    });
  });

  test('by its address, with the people who may ask', async () => {
    const { id } = seen();
    const path = `/api/chats/${encodeURIComponent('telegram:-100')}/register`;
    expect((await post(path, { folder: 'family', senders: 'listed', listed: ['@anna'] })).status).toBe(200);
    expect(home.store.groups.chat(id)).toMatchObject({ sendersPolicy: 'listed', listedSenders: ['@anna'] });
  });

  test.each([
    ['telegram:-42', 'group'],
    ['telegram:42', 'direct'],
  ])('%s can be registered before its first message, as a %s chat', async (name, kind) => {
    expect((await post(`/api/chats/${encodeURIComponent(name)}/register`, { folder: 'early' })).status).toBe(200);
    expect(home.store.groups.chats()).toMatchObject([{ channel: 'telegram', kind }]);
  });

  test('a chat whose address tells nothing waits to be called, until its messages say what it is', async () => {
    home.state.status.channels.push({ name: 'slack', state: 'open', detail: '' });
    expect((await post('/api/chats/slack:C0XYZ/register', { folder: 'early' })).status).toBe(200);
    expect(home.store.groups.chats()).toMatchObject([{ channel: 'slack', kind: 'group' }]);
    const kinds = ['group', 'direct', 'group'] as const;
    const started = kinds.map((kind, index) => {
      const chat = { address: 'C0XYZ', kind, title: 'T' };
      const { runId } = home.intake.receive('slack', {
        ...{ chat, sender: { address: 'U1', name: 'Anna' }, platformId: `${index}`, text: 'just words' },
        ...{ sentAt: clock.now(), addressesAssistant: false, forwarded: false, edited: false, media: [] },
      });
      return [home.store.groups.chats()[0]?.kind, runId !== undefined];
    });
    expect(started).toEqual(kinds.map((kind) => [kind, kind === 'direct']));
  });

  test.each([
    ['telegram:-100/45', ['-100/45']],
    ['telegram:-100/1', ['-100']],
    ['telegram:11/7', ['11/7']],
  ])('the topic %s is a chat of its own, with and without an escaped slash', async (name, addresses) => {
    for (const id of [encodeURIComponent(name), name])
      expect((await post(`/api/chats/${id}/register`, { folder: 'early' })).status).toBe(200);
    expect(home.store.groups.chats().map(({ address }) => address)).toEqual(addresses);
  });

  test('a chat may be shown nothing while a run works, or more; a run that works says what it does', async () => {
    home.intake.receiveFromPage('what do you do?');
    const { run, end } = home.work();
    home.store.events.add(run.id, clock.now(), 'tool_started', { id: 'a', tool: 'read', input: '{"path":"a.txt"}' });
    expect(await get(`/api/runs/${run.id}`)).toMatchObject({ body: { progress: { step: 'Reading a.txt' } } });
    end('done');
    expect(await get(`/api/runs/${run.id}`)).toMatchObject({ body: { progress: null } });
    const path = `/api/chats/${home.webChat().id}`;
    expect((await home.api('PATCH', path, { progress: 'full' })).body).toMatchObject({ chat: { progress: 'full' } });
    for (const body of [{ progress: 'loud' }, {}, { title: 'x' }])
      expect((await home.api('PATCH', path, body)).status).toBe(400);
    expect((await home.api('PATCH', '/api/chats/web:nobody', { progress: 'off' })).status).toBe(404);
    expect(home.store.groups.chat(home.webChat().id)?.progress).toBe('full');
  });

  test('a whole forum: topics that wrote and those that are still to come', async () => {
    const topic = (number: number) =>
      home.store.groups.seenChat({
        ...{ channel: 'telegram', kind: 'group', now: 1 },
        address: `-100/${number}`,
        title: 'T',
      });
    const { id } = topic(45);
    expect((await post('/api/chats/telegram:-100/register', { folder: 'home', forum: true })).status).toBe(200);
    const folders = [home.store.groups.chat(id), topic(46)].map(
      (chat) => home.store.groups.get(chat?.groupId ?? 0)?.folder,
    );
    expect(folders).toEqual(['home', 'home']);
  });

  test.each(['999', 'telegram:', 'telegarm:1', 'family'])('chat "%s" is not there', async (name) => {
    const answer = await post(`/api/chats/${encodeURIComponent(name)}/register`, { folder: 'family' });
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 'not_found', hint: /\S/ } } });
    expect(home.store.groups.all()).toEqual([]);
  });

  test.each(['', '../escape', 'Family', 'global', 'a'.repeat(41)])('folder "%s" is refused', async (folder) => {
    const { id } = seen();
    expect((await post(`/api/chats/${id}/register`, { folder })).status).toBe(400);
    expect(home.store.groups.chat(id)?.groupId).toBeNull();
  });

  test('the main group is the main group also when it is named here first', async () => {
    await post(`/api/chats/${seen().id}/register`, { folder: 'main' });
    expect(home.store.groups.all()).toMatchObject([{ folder: 'main', isMain: true }]);
  });
});

test('pairing codes are shown for channels nobody owns yet', async () => {
  const code = home.pairing.code('telegram');
  expect(await get('/api/pairing')).toMatchObject({ body: { pairing: [{ channel: 'telegram', code }] } });
  home.store.groups.seenSender({ channel: 'telegram', address: '7', name: 'Me', username: null });
  home.store.groups.makeOwner('telegram', '7');
  expect((await get('/api/pairing')).body).toEqual({ pairing: [], linking: [] });
});

test('what links a channel to its account is shown, asked for anew and waited for', async () => {
  const linking = { name: 'whatsapp', state: 'linking' as const, detail: 'asking' };
  home.state.status.channels.push(linking);
  const asked = post('/api/pairing');
  await expect.poll(() => home.signals.listenerCount('channel')).toBeGreaterThan(0);
  Object.assign(linking, { detail: 'enter ABCD1234', link: { code: 'ABCD1234' } });
  home.signals.emit('channel', 'whatsapp');
  expect((await asked).body).toMatchObject({
    linking: [{ channel: 'whatsapp', detail: 'enter ABCD1234', code: 'ABCD1234' }],
  });
});

test('stop and resume reach the switch', async () => {
  expect((await post('/api/stop')).body).toEqual({ stopped: true });
  expect((await post('/api/stop', { reason: 'drill' })).body).toEqual({ stopped: true });
  expect(home.state.stops).toEqual(['asked on the page', 'drill']);
  expect(await get('/api/status')).toMatchObject({ status: 200, body: { stopped: true, assistantName: 'Pinch' } });
  expect((await post('/api/resume')).body).toEqual({ stopped: false });
});

test('the outbox is listed newest first', async () => {
  home.intake.receiveFromPage('hello');
  for (const n of [1, 2, 3])
    home.store.outbox.add({ key: `k${n}`, chatId: home.webChat().id, runId: null, text: `t${n}`, now: n });
  expect(await get('/api/outbox?limit=2')).toMatchObject({ body: { outbox: [{ key: 'k3' }, { key: 'k2' }] } });
});

test('costs are summed for today and for thirty days, by group and model', async () => {
  const { id } = home.store.groups.ensure('main', true, clock.now());
  recordCall(id, null);
  recordCall(id, null);
  recordCall(id, null, clock.now() - 5 * 86_400_000);
  recordCall(id, null, clock.now() - 40 * 86_400_000);
  expect(await get('/api/costs')).toMatchObject({
    body: {
      today: { calls: 2, costMicroUsd: 3_000, costUsd: 0.003, rows: [{ group: 'main', model: 'claude-sonnet-5-5' }] },
      last30Days: { calls: 3, costMicroUsd: 4_500 },
    },
  });
});

test('figures come in the Prometheus text format', async () => {
  const { id } = home.store.groups.ensure('main', true, clock.now());
  recordCall(id, null);
  const answer = await fetch(`${home.url}/metrics`, { headers: { authorization: `Bearer ${home.token}` } });
  expect(answer.headers.get('content-type')).toContain('text/plain');
  const lines = (await answer.text()).split('\n');
  expect(lines).toContain('pinch_runs{state="done"} 2');
  expect(lines).toContain('pinch_runs{state="dead"} 0');
  expect(lines).toContain('pinch_outbox_queued 3');
  expect(lines).toContain('pinch_containers 0');
  expect(lines).toContain('pinch_model_calls_today{group="main",model="claude-sonnet-5-5"} 1');
  expect(lines).toContain('pinch_model_cost_usd_today{group="main",model="claude-sonnet-5-5"} 0.0015');
  expect(lines).toContain('pinch_up_seconds 90');
  for (const line of lines.filter(Boolean))
    expect(line).toMatch(/^(# (HELP|TYPE) pinch_\w+ .+|pinch_\w+(\{.+\})? [\d.e+-]+)$/);
});

test('a fault of ours is an error without inner details', async () => {
  home.control.status = () => {
    throw new Error('/secret/path');
  };
  const answer = await get('/api/status');
  expect(answer).toMatchObject({ status: 500, body: { error: { code: 'internal' } } });
  expect(JSON.stringify(answer.body)).not.toContain('secret');
});

function recordCall(groupId: number, runId: number | null, at = clock.now()): void {
  const call = {
    groupId,
    runId,
    at,
    model: 'claude-sonnet-5-5',
    inputTokens: 100,
    outputTokens: 50,
    cacheReadTokens: 0,
    cacheWrite5mTokens: 0,
    cacheWrite1hTokens: 0,
    costMicroUsd: 1_500,
    estimated: false,
    status: 200,
    stopReason: 'end_turn',
    durationMs: 900,
    firstByteMs: 200,
    requestId: null,
  };
  home.store.usage.record(call, dayName(at, 'UTC'));
}

describe('tasks', () => {
  const input = { prompt: 'Send the brief', cron: '0 9 * * 1-5', tz: 'Europe/Berlin' };
  beforeEach(() => void home.intake.receiveFromPage('hello'));
  const chat = 'web:owner';

  test('are made, shown with their next three times, changed, run and cancelled', async () => {
    const made = await post('/api/tasks', { ...input, chat });
    expect(made).toMatchObject({
      status: 201,
      body: {
        task: {
          ...{ id: 1, title: 'Send the brief', state: 'active', starts: 'cron `0 9 * * 1-5` (Europe/Berlin)' },
          next: ['Mon 23 Nov 2026, 09:00', 'Tue 24 Nov 2026, 09:00', 'Wed 25 Nov 2026, 09:00'],
        },
      },
    });
    const changed = await home.api('PATCH', '/api/tasks/1', { every: '2h', title: 'Brief' });
    expect(changed.body).toMatchObject({ task: { title: 'Brief', starts: 'every 2h', prompt: 'Send the brief' } });
    expect((await home.api('PATCH', '/api/tasks/1', { action: 'pause' })).body).toMatchObject({
      task: { state: 'paused', next: [] },
    });
    expect((await post('/api/tasks/1/run')).status).toBe(202);
    expect(home.store.tasks.waiting()).toMatchObject([{ taskId: 1 }]);
    expect(await get('/api/tasks')).toMatchObject({ body: { tasks: [{ id: 1, slots: [{ state: 'waiting' }] }] } });
    await home.api('PATCH', '/api/tasks/1', { action: 'cancel' });
    expect((await get('/api/tasks')).body).toEqual({ tasks: [] });
    expect(await get('/api/tasks/1')).toMatchObject({ body: { task: { state: 'cancelled' } } });
  });

  test('a thousand are listed without holding up anybody, and page by page', async () => {
    await post('/api/tasks', { ...input, chat });
    const { groupId, chatId, title, prompt, starts, options, nextAt } = home.store.tasks.get(1) ?? expect.fail();
    const same = { groupId, chatId, title, prompt, starts, options, nextAt, secret: null, now: 1 };
    home.store.transaction(() => {
      for (let n = 0; n < 1_000; n += 1) home.store.tasks.add({ ...same, key: `${n}` });
    });
    let all: unknown;
    const { busyMs } = await longestTurn(async () => {
      all = (await get('/api/tasks')).body;
    });
    expect(all).toMatchObject({ tasks: Array.from({ length: 1_000 }, (_, n) => ({ id: n + 1 })) });
    // In one turn it takes half a second.
    expect(busyMs).toBeLessThan(150);
    expect((await get('/api/tasks?after=998&limit=2')).body).toMatchObject({ tasks: [{ id: 999 }, { id: 1_000 }] });
    expect((await get('/api/tasks?after=1000')).body).toMatchObject({ tasks: [{ id: 1_001 }] });
    expect((await get('/api/tasks?after=-1')).status).toBe(400);
    home.store.tasks.setNext(700, (nextAt ?? 0) - 1);
    const next = (await get('/api/tasks?order=next&limit=7')).body;
    expect(next).toMatchObject({ count: 1_001, tasks: [700, 1, 2, 3, 4, 5, 6].map((id) => ({ id })) });
    expect((await get('/api/tasks?group=main&after=1000')).body).toMatchObject({ tasks: [{ id: 1_001 }] });
    expect((await get('/api/tasks?group=nobody')).status).toBe(404);
    expect((await get('/api/tasks?order=title')).status).toBe(400);
  });

  test.each<[object, number, RegExp]>([
    [{ ...input, cron: 'often' }, 400, /no cron pattern/],
    [{ ...input, every: '5m' }, 400, /exactly one/],
    [{ cron: '* * * * *' }, 400, /prompt/],
    [{ ...input, prompt: 'x'.repeat(16_385) }, 400, /16 kB/],
    [{ ...input, chat: 'telegram:5' }, 404, /no chat/],
  ])('%j is refused, and nothing is stored', async (body, status, why) => {
    const answer = await post('/api/tasks', { chat, ...body });
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).toMatch(why);
    expect(home.store.tasks.open(null)).toEqual([]);
  });

  test('one that is not there, and a change that makes no sense', async () => {
    for (const path of ['/api/tasks/9', '/api/tasks/x']) expect((await get(path)).status).toBe(404);
    await post('/api/tasks', { ...input, chat });
    expect((await home.api('PATCH', '/api/tasks/1', { action: 'explode' })).status).toBe(400);
    expect((await home.api('PATCH', '/api/tasks/1', { after: [1] })).status).toBe(400);
    expect((await get('/api/tasks/1/secret')).body).toEqual({ id: 1, secret: null });
  });

  test('a replay of a run of a task works with what the run had', async () => {
    await post('/api/tasks', { ...input, chat });
    const task = home.store.tasks.get(1);
    const spec = { taskId: 1, title: 'T', prompt: 'p', slotAt: 5, late: false, missed: 0 };
    const run = {
      kind: 'task' as const,
      groupId: task?.groupId ?? 0,
      chatId: task?.chatId ?? 0,
      session: 's',
      runAt: 0,
      now: 0,
    };
    const id = home.store.runs.enqueue({ ...run, key: 'task:1:5', taskId: 1, input: spec }) ?? 0;
    home.store.runs.cancel(run.chatId, 's', 1);
    expect(await post(`/api/runs/${id}/replay`)).toMatchObject({ body: { run: { kind: 'replay', taskId: 1 } } });
    expect(home.store.runs.input(id + 1)).toEqual(spec);
  });
});
