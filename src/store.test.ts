import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { beforeEach, describe, expect, test } from 'vitest';
import { openStore, type Store } from './store.js';

let file: string;
let store: Store;
let chatId: number;
let groupId: number;

beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), 'pinch-store-')), 'pinch.db');
  store = openStore(file);
  groupId = store.groups.ensure('family', false, 1).id;
  const chat = store.groups.seenChat({ channel: 'telegram', address: '-1', kind: 'group', title: 'Family', now: 1 });
  chatId = chat.id;
  store.groups.assignChat(chatId, groupId);
});

function say(platformId: string, text = `text ${platformId}`): number {
  const id = store.messages.add({
    chatId,
    direction: 'in',
    platformId,
    senderId: null,
    senderName: 'Anna',
    text,
    sentAt: 1,
    now: 1,
  });
  if (id === undefined) throw new Error('not stored');
  return id;
}

const run = (key: string, session = 's1', runAt = 10) => ({
  key,
  kind: 'message' as const,
  groupId,
  chatId,
  session,
  runAt,
  now: 10,
});
const claim = (now = 100, excludeGroups: number[] = []) => store.runs.claim({ holder: 'me', now, excludeGroups });
const leaseOf = (claimed: { id: number; attempt: number }) => ({
  id: claimed.id,
  holder: 'me',
  attempt: claimed.attempt,
});

describe('a row that cannot be read', () => {
  const spoil = (sql: string) => {
    const db = new Database(file);
    db.exec(sql);
    db.close();
  };

  test('does not hide the message, the run or the outgoing text that it is', () => {
    const size = `[{"kind":"document","fileName":"a","mimeType":"a/b","sizeBytes":9007199254740992,"ref":"r"}]`;
    const ids = ['one', 'two', 'three'].map((id) => say(id));
    const runId = store.runs.enqueue(run('k')) ?? 0;
    store.runs.attachMessages(runId, chatId, ids[2] ?? 0);
    store.outbox.add({ key: 'o', chatId, runId: null, text: 'out', now: 1 });
    spoil(`UPDATE messages SET media = '${size}' WHERE id = ${ids[0]}`);
    spoil(`UPDATE messages SET media = 'x', reply_to = '{' WHERE id = ${ids[1]}`);
    spoil(`UPDATE runs SET error_class = 'of_a_newer_version'; UPDATE chats SET listed_senders = '{'`);
    spoil(`UPDATE outbox SET parts = '[', file = '[]'`);
    expect(store.messages.ofRun(runId).map(({ text }) => text)).toEqual(['text one', 'text two', 'text three']);
    expect(store.messages.get(ids[0] ?? 0)?.media).toMatchObject([{ fileName: 'a', sizeBytes: 0 }]);
    expect(store.outbox.heads()).toMatchObject([{ text: 'out', parts: null, file: null }]);
    expect(store.groups.chat(chatId)?.listedSenders).toEqual([]);
    expect(store.runs.get(runId)).toMatchObject({ errorClass: 'unknown' });
    // What it is on now has not failed.
    expect(claim()).toMatchObject({ id: runId, errorClass: null });
  });

  test('is left out of a list, and told once', () => {
    const told: unknown[] = [];
    const reader = openStore(file, { error: (row: unknown) => void told.push(row) });
    const times = { starts: { kind: 'hook' as const }, nextAt: null, now: 1 };
    const rules = { context: 'chat', misfire: 'skip', overlap: 'skip' } as const;
    const options = { ...rules, jitterMs: 0, after: [] };
    for (const key of ['a', 'b', 'c'])
      store.tasks.add({ key, groupId, chatId, title: key, prompt: 'p', secret: null, options, ...times });
    spoil(`UPDATE tasks SET starts = '{"kind":"of a newer version"}' WHERE key = 'b'`);
    for (const _ of [1, 2]) expect(reader.tasks.open(null).map(({ title }) => title)).toEqual(['a', 'c']);
    expect(told).toMatchObject([{ id: 2 }]);
  });
});

describe('messages', () => {
  test('the same platform message stored twice is one row', () => {
    say('a');
    expect(
      store.messages.add({
        chatId,
        direction: 'in',
        platformId: 'a',
        senderId: null,
        senderName: 'x',
        text: 'y',
        sentAt: 1,
        now: 1,
      }),
    ).toBeUndefined();
    expect(store.messages.latest(chatId, 10).map((message) => message.text)).toEqual(['text a']);
  });

  test('two messages of one second keep their order by row, not by time', () => {
    const ids = ['c', 'a', 'b'].map((id) => say(id));
    expect(store.messages.latest(chatId, 10).map((message) => message.id)).toEqual(ids);
  });

  test('search finds words in the own group only and search operators have no power', async () => {
    say('a', 'the boiler was repaired on Monday');
    const other = store.groups.ensure('work', false, 1);
    expect((await store.messages.search(groupId, 'boiler repair', 5)).results.map((hit) => hit.text)).toEqual([
      'the boiler was repaired on Monday',
    ]);
    expect(await store.messages.search(other.id, 'boiler', 5)).toEqual({ results: [] });
    for (const hostile of ['"', 'boiler"', '*', 'a OR', 'NEAR(', 'text: x', '-', '()']) {
      await store.messages.search(groupId, hostile, 5);
    }
  });

  test('search takes words by their beginning, without case, accents and what stands around them; newest first', async () => {
    for (const text of ['Das Café am Markt', 'im (Cafehaus)', '会议明天下午']) say(text, text);
    const found = async (query: string) =>
      (await store.messages.search(groupId, query, 5)).results.map(({ text }) => text);
    expect(await found('CAFÉ')).toEqual(['im (Cafehaus)', 'Das Café am Markt']);
    expect(await found('"cafe," markt!')).toEqual(['Das Café am Markt']);
    expect(await found('会议')).toEqual(['会议明天下午']);
    expect(await found('x'.repeat(500))).toEqual([]);
  });

  test('search takes what people copy: addresses, dates, numbers, names with marks, letters in two forms', async () => {
    const all = [
      'C++ and foo-bar',
      'mail anna@example.org',
      'on 2026-11-29 at 9.30',
      "don't",
      'हिन्दी में',
      '한국어',
      'naïve',
    ];
    for (const text of all) say(text, text);
    const found = async (query: string) =>
      (await store.messages.search(groupId, query, 5)).results.map(({ text }) => text);
    expect(await found('C++')).toEqual(['C++ and foo-bar']);
    expect(await found('foo-bar')).toEqual(['C++ and foo-bar']);
    expect(await found('foo-ba')).toEqual(['C++ and foo-bar']);
    expect(await found('<anna@example.org>')).toEqual(['mail anna@example.org']);
    expect(await found('2026-11-29')).toEqual(['on 2026-11-29 at 9.30']);
    expect(await found('9.30')).toEqual(['on 2026-11-29 at 9.30']);
    expect(await found("don't")).toEqual(["don't"]);
    expect(await found('हिन्दी')).toEqual(['हिन्दी में']);
    expect(await found('한국')).toEqual(['한국어']);
    expect(await found('nai\u0308ve')).toEqual(['naïve']);
    expect(await found('+-*')).toEqual([]);
  });

  test.each([
    ['dots', 'a.'],
    ['dashes', 'a-'],
    ['spaces', 'a '],
    ['signs that no index has', 'a\u0903'],
    ['letters that are newer than the index', 'a\u{11f02}'],
    ['letters that are newer still', 'a\u{16d40}'],
  ])('a long search of one letter and %s costs no more than another', async (_name, unit) => {
    for (let n = 0; n < 300; n += 1) say(`m${n}`, 'a '.repeat(1_750));
    const busy = async (query: string) => {
      const used = process.cpuUsage();
      await store.messages.search(groupId, query, 20);
      const { user, system } = process.cpuUsage(used);
      return (user + system) / 1_000;
    };
    await busy('a');
    const harmless = await busy('a');
    expect(await busy(unit.repeat(300).slice(0, 499))).toBeLessThan(harmless * 20 + 20);
  });

  test('a search among many matches of other groups still finds what the own group said long ago', async () => {
    const other = store.groups.ensure('work', false, 1);
    say('old', 'the needle');
    const theirs = store.groups.seenChat({ channel: 'web', address: 'w2', kind: 'direct', title: 'w2', now: 1 });
    store.groups.assignChat(theirs.id, other.id);
    const base = { chatId: theirs.id, direction: 'in' as const, senderId: null, senderName: 'Eve', sentAt: 1, now: 1 };
    store.transaction(() => {
      for (let n = 0; n < 3_000; n += 1) store.messages.add({ ...base, platformId: `n${n}`, text: `needless ${n}` });
    });
    while (store.searchIndex.step());
    expect(await store.messages.search(groupId, 'need', 5)).toMatchObject({ results: [{ text: 'the needle' }] });
  });
});

describe('runs', () => {
  test('the same key enqueues once', () => {
    expect(store.runs.enqueue(run('msg:1:1'))).toBeDefined();
    expect(store.runs.enqueue(run('msg:1:1'))).toBeUndefined();
  });

  test('a claim counts the attempt and a session has one leased run', () => {
    store.runs.enqueue(run('a'));
    store.runs.enqueue(run('b'));
    store.runs.enqueue(run('c', 's2'));
    expect(claim()).toMatchObject({ key: 'a', attempt: 1, state: 'leased' });
    expect(claim()?.key).toBe('c');
    expect(claim()).toBeUndefined();
  });

  test('a run that is not due, of an excluded or a parked group is not claimed', () => {
    store.runs.enqueue(run('a', 's1', 500));
    expect(claim(499)).toBeUndefined();
    expect(claim(500, [groupId])).toBeUndefined();
    store.groups.park(groupId, 'auth', 900);
    expect(claim(899)).toBeUndefined();
    expect(store.runs.nextDueAt(600)).toBe(900);
    expect(claim(900)?.key).toBe('a');
  });

  test('a parked group is tried with one run at a time', () => {
    store.runs.enqueue(run('a'));
    store.runs.enqueue(run('b', 's2'));
    store.groups.park(groupId, 'auth', 50);
    expect(claim()?.key).toBe('a');
    expect(claim()).toBeUndefined();
    store.groups.unpark(groupId);
    expect(claim()?.key).toBe('b');
  });

  test('a worker that lost its lease cannot finish or fail the run, nor call it dead', () => {
    store.runs.enqueue(run('a'));
    const first = claim();
    if (!first) throw new Error('not claimed');
    store.runs.handOver(first.id, []);
    store.runs.releaseForeignLeases('restarted', 200);
    const again = store.runs.claim({ holder: 'restarted', now: 300, excludeGroups: [] });
    expect(again).toMatchObject({ id: first.id, attempt: 2 });
    expect(store.runs.finish(leaseOf(first), 'done', 1)).toBe(false);
    expect(store.runs.giveBack(leaseOf(first), { runAt: 1, counted: true, errorClass: 'network', error: 'x' })).toBe(
      false,
    );
    expect(store.runs.dead(leaseOf(first), { now: 1, errorClass: 'network', error: 'x' })).toBe(false);
    expect(store.runs.get(first.id)).toMatchObject({ state: 'leased', leaseOwner: 'restarted', attempt: 2 });
  });

  test('giving back uncounted refunds the attempt', () => {
    store.runs.enqueue(run('a'));
    const claimed = claim();
    if (!claimed) throw new Error('not claimed');
    store.runs.giveBack(leaseOf(claimed), { runAt: 150, counted: false, errorClass: 'sandbox', error: 'x' });
    expect(store.runs.get(claimed.id)).toMatchObject({ state: 'ready', attempt: 0, runAt: 150 });
  });

  test('after a restart a stopped run is cancelled and one cut off a dozen times is dead', () => {
    store.runs.enqueue(run('stop'));
    store.runs.enqueue(run('poison', 's2'));
    const stop = claim();
    expect(store.runs.cancel(chatId, 's1', 1).running).toEqual([stop?.id]);
    for (let restart = 1; restart <= 12; restart++) cutOff(restart, true);
    expect(store.runs.list(null, 9).map(({ key, state }) => [key, state])).toEqual([
      ['poison', 'dead'],
      ['stop', 'cancelled'],
    ]);
  });

  /** The host dies during an attempt, before or after a runner got the run. */
  function cutOff(restart: number, handed: boolean): void {
    const now = restart * 3_600_000;
    const claimed = store.runs.claim({ holder: `p${restart}`, now, excludeGroups: [] });
    if (claimed && handed) store.runs.handOver(claimed.id, []);
    store.runs.releaseForeignLeases(`p${restart + 1}`, now);
  }

  test('a run that no runner ever had is not at fault, however often the host dies', () => {
    store.runs.enqueue(run('innocent'));
    for (let restart = 1; restart <= 100; restart++) cutOff(restart, false);
    expect(store.runs.list(null, 9)).toMatchObject([{ state: 'ready', attempt: 0, cutOffs: 0 }]);
  });

  test('only deaths in a row count: an attempt that ended, or an answer on the way, starts the count anew', () => {
    const id = store.runs.enqueue(run('long')) ?? 0;
    for (let restart = 1; restart <= 11; restart++) cutOff(restart, true);
    store.runs.progressed(id);
    for (let restart = 1; restart <= 11; restart++) cutOff(restart, true);
    const claimed = claim(10 ** 9);
    if (!claimed) throw new Error('not claimed');
    store.runs.giveBack(leaseOf(claimed), { runAt: 100, counted: true, errorClass: 'network', error: 'x' });
    for (let restart = 1; restart <= 11; restart++) cutOff(restart, true);
    expect(store.runs.get(id)).toMatchObject({ state: 'ready', cutOffs: 11 });
    cutOff(12, true);
    expect(store.runs.get(id)).toMatchObject({ state: 'dead', cutOffs: 12 });
  });

  test('a run that was given back is not one that a runner has, until one has it again', () => {
    const id = store.runs.enqueue(run('innocent')) ?? 0;
    const claimed = claim();
    if (!claimed) throw new Error('not claimed');
    store.runs.handOver(id, []);
    store.runs.giveBack(leaseOf(claimed), { runAt: 1, counted: false, errorClass: 'sandbox', error: 'stopped' });
    for (let restart = 1; restart <= 20; restart++) cutOff(restart, false);
    expect(store.runs.get(id)).toMatchObject({ state: 'ready', attempt: 0, cutOffs: 0, attemptsLost: 0 });
  });

  test('from the third death in a row on, a run waits ever longer, and new messages do not bring it forward', () => {
    const id = store.runs.enqueue(run('poison')) ?? 0;
    const pauses = Array.from({ length: 11 }, (_, index) => {
      cutOff(index + 1, true);
      store.runs.makeDue(id, 0, null);
      return Math.max(0, (store.runs.get(id)?.runAt ?? 0) - (index + 1) * 3_600_000);
    });
    expect(pauses.map((ms) => ms / 1_000)).toEqual([0, 0, 5, 10, 20, 40, 60, 60, 60, 60, 60]);
  });

  test('a poisoned run that died before a runner had it once more is tried again', () => {
    store.runs.enqueue(run('poison'));
    for (let restart = 1; restart <= 11; restart++) cutOff(restart, true);
    cutOff(12, false);
    expect(store.runs.list(null, 1)).toMatchObject([{ state: 'ready', cutOffs: 0 }]);
  });

  test('a host that dies while a run waits acquits it: the run goes on at once', () => {
    const id = store.runs.enqueue(run('innocent')) ?? 0;
    for (let storm = 1; storm <= 20; storm++) {
      for (let restart = 1; restart <= 5; restart++) cutOff(storm * 100 + restart, true);
      const now = (storm * 100 + 5) * 3_600_000 + 1_000;
      expect(store.runs.get(id)?.runAt).toBeGreaterThan(now);
      store.runs.releaseForeignLeases(`next ${storm}`, now);
      expect(store.runs.get(id)).toMatchObject({ state: 'ready', cutOffs: 0 });
      expect(store.runs.get(id)?.runAt).toBeLessThanOrEqual(now);
    }
  });

  test('runs that are cut off together with what kills the host finish while it waits', () => {
    const poison = store.runs.enqueue(run('poison', 's0'));
    const names = ['a', 'b', 'c'];
    for (const name of names) store.runs.enqueue(run(name, name));
    const workMs = 4_000;
    let now = 0;
    for (let life = 1; life < 100; life++) {
      store.runs.releaseForeignLeases(`p${life}`, now);
      if (store.runs.get(poison ?? 0)?.state === 'dead') break;
      const inHand = new Map<number, number>();
      // Looks every second; what kills the host does so two seconds after a runner got it.
      for (let isAlive = true; isAlive; now += 1_000) {
        for (let one = claimAt(life, now); one; one = claimAt(life, now)) inHand.set(one.id, now);
        for (const [id, since] of inHand) {
          if (id === poison) isAlive &&= now < since + 2_000;
          else if (now >= since + workMs)
            store.runs.finish({ id, holder: `p${life}`, attempt: attemptOf(id) }, 'done', now);
        }
      }
    }
    expect(
      store.runs
        .list('done', 9)
        .map(({ key }) => key)
        .sort(),
    ).toEqual(names);
  });

  const attemptOf = (id: number) => store.runs.get(id)?.attempt ?? 0;
  function claimAt(life: number, now: number) {
    const claimed = store.runs.claim({ holder: `p${life}`, now, excludeGroups: [] });
    if (claimed) store.runs.handOver(claimed.id, []);
    return claimed;
  }

  test('a run carries each message once, commands and messages before /new never', () => {
    say('old');
    store.groups.newSession(chatId, say('new'));
    const [first, second] = [say('a'), say('b')];
    const one = store.runs.enqueue(run('a')) ?? 0;
    expect(store.runs.attachMessages(one, chatId, second)).toBe(2);
    const later = say('c');
    const two = store.runs.enqueue(run('b')) ?? 0;
    store.runs.attachMessages(two, chatId, later);
    expect(store.messages.ofRun(one).map((message) => message.id)).toEqual([first, second]);
    expect(store.messages.ofRun(two).map((message) => message.id)).toEqual([later]);
  });
});

describe('outbox', () => {
  test('the same key is queued once and a chat shows only its first unsent message', () => {
    const add = (key: string) => store.outbox.add({ key, chatId, runId: null, text: key, now: 1 });
    expect([add('1:final'), add('1:final'), add('2:final')]).toEqual([true, false, true]);
    expect(store.outbox.heads().map((row) => row.key)).toEqual(['1:final']);
    store.outbox.dead(store.outbox.heads()[0]?.id ?? 0, 'x');
    expect(store.outbox.heads().map((row) => row.key)).toEqual(['2:final']);
  });
});

describe('transactions', () => {
  test('what waits for the commit happens after it, once, and never after a failure', () => {
    const seen: string[] = [];
    const fail = () =>
      store.transaction(() => {
        store.afterCommit(() => seen.push('never'));
        throw new Error('no');
      });
    expect(fail).toThrow('no');
    store.transaction(() => {
      store.transaction(() => store.afterCommit(() => seen.push(`after ${store.settings.get('k')}`)));
      store.settings.set('k', 'v');
      expect(seen).toEqual([]);
    });
    store.afterCommit(() => seen.push('at once'));
    expect(seen).toEqual(['after v', 'at once']);
  });
});

describe('the file', () => {
  test('commits survive kill -9 right after they return', () => {
    store.close();
    const script = `
      import { openStore } from ${JSON.stringify(join(process.cwd(), 'dist/store.js'))};
      const store = openStore(${JSON.stringify(file)});
      store.settings.set('k', 'v');
      process.kill(process.pid, 'SIGKILL');`;
    expect(spawnSync(process.execPath, ['--input-type=module', '-e', script]).signal).toBe('SIGKILL');
    expect(openStore(file).settings.get('k')).toBe('v');
  });

  test('a corrupt database is refused with the newest backup named', async () => {
    store.settings.set('k', 'v');
    const folder = join(file, '..', 'backups');
    spawnSync('mkdir', [folder]);
    await store.backup(join(folder, 'pinch-2026-11-20.db'));
    store.close();
    const bytes = readFileSync(file);
    writeFileSync(file, Buffer.concat([bytes.subarray(0, 100), Buffer.alloc(bytes.length - 100, 0x5a)]));
    expect(() => openStore(file)).toThrow(/cannot be opened/);
    try {
      openStore(file);
    } catch (error) {
      expect(error).toMatchObject({ code: 'database_corrupt', hint: expect.stringContaining('pinch-2026-11-20.db') });
    }
    expect(openStore(join(folder, 'pinch-2026-11-20.db')).settings.get('k')).toBe('v');
  });
});

describe('a database of an earlier version', () => {
  /** As the first four migrations made it, with a run at work, a message of it, and an answer that is not sent yet. */
  function oldDatabase(): string {
    const old = join(mkdtempSync(join(tmpdir(), 'pinch-old-')), 'pinch.db');
    const db = new Database(old);
    const folder = join(import.meta.dirname, 'core', 'migrations');
    for (const name of readdirSync(folder).sort().slice(0, 4)) db.exec(readFileSync(join(folder, name), 'utf8'));
    db.pragma('user_version = 4');
    db.exec(`
      INSERT INTO groups (id, folder, is_main, created_at) VALUES (1, 'main', 1, 1);
      INSERT INTO chats (id, channel, address, kind, title, group_id, senders_policy, listed_senders, created_at, last_seen_at)
        VALUES (1, 'telegram', '11', 'direct', 'Olga', 1, 'listed', '["ben"]', 1, 1);
      INSERT INTO senders (id, channel, address, name, is_owner) VALUES (1, 'telegram', '11', 'Olga', 1);
      INSERT INTO messages (id, chat_id, direction, platform_id, sender_id, sender_name, text, sent_at, received_at)
        VALUES (1, 1, 'in', '100', 1, 'Olga', 'hello', 1, 1), (2, 1, 'in', '101', 1, 'Olga', 'and this', 2, 2);
      INSERT INTO runs (id, key, kind, group_id, chat_id, session, state, attempt, run_at, lease_owner, created_at, started_at)
        VALUES (1, 'msg:1:1', 'message', 1, 1, 'chat1-1', 'leased', 1, 1, 'before', 1, 1);
      INSERT INTO run_messages (run_id, message_id) VALUES (1, 1), (1, 2);
      INSERT INTO outbox (key, chat_id, run_id, text, next_at, created_at) VALUES ('1:final', 1, 1, 'hi', 1, 1);`);
    db.close();
    return old;
  }

  test('opens with everything in it: the run at work counts as handed over, its answer goes out', () => {
    const old = oldDatabase();
    for (const time of ['first', 'second']) {
      const opened = openStore(old);
      expect(opened.outbox.heads(), time).toMatchObject([{ key: '1:final', text: 'hi' }]);
      expect(opened.messages.ofRun(1)).toMatchObject([
        { text: 'hello', mayAsk: true },
        { text: 'and this', forwarded: false },
      ]);
      expect(opened.groups.chat(1)).toMatchObject({ sendersPolicy: 'listed', listedSenders: ['ben'] });
      expect(opened.runs.messagesNotHanded(1)).toEqual([]);
      opened.close();
    }
    const opened = openStore(old);
    expect(opened.runs.releaseForeignLeases('now', 5)).toMatchObject([
      { id: 1, state: 'ready', attempt: 1, cutOffs: 1 },
    ]);
    opened.close();
  });

  test('topics that were one chat with their group stay in its group, with those who may ask', () => {
    const opened = openStore(oldDatabase());
    const seen = { channel: 'telegram', address: '11/7', kind: 'direct', title: 'Olga › Mine', now: 9 } as const;
    expect(opened.groups.seenChat(seen)).toMatchObject({ groupId: 1, sendersPolicy: 'listed', listedSenders: ['ben'] });
    opened.close();
  });

  test('one that was killed between two migrations goes on with the next', () => {
    const old = oldDatabase();
    const folder = join(import.meta.dirname, 'core', 'migrations');
    const db = new Database(old);
    const [, , , , fifth = ''] = readdirSync(folder).sort();
    db.exec(readFileSync(join(folder, fifth), 'utf8'));
    db.pragma('user_version = 5');
    db.close();
    const opened = openStore(old);
    expect(opened.runs.get(1)).toMatchObject({ state: 'leased', cutOffs: 0 });
    expect(opened.outbox.heads()).toHaveLength(1);
    opened.close();
  });

  test('a mode of egress that was chosen stays, one that was the default follows the settings', () => {
    const old = oldDatabase();
    const folder = join(import.meta.dirname, 'core', 'migrations');
    const db = new Database(old);
    const until = readdirSync(folder).sort();
    for (const name of until.slice(4, until.indexOf('0014-egress-default.sql')))
      db.exec(readFileSync(join(folder, name), 'utf8'));
    db.exec(`INSERT INTO groups (id, folder, is_main, created_at, egress_mode) VALUES (2, 'b', 0, 1, 'none')`);
    db.pragma(`user_version = ${until.indexOf('0014-egress-default.sql')}`);
    db.exec('CREATE TABLE migrations (name TEXT PRIMARY KEY) STRICT');
    for (const name of until.slice(0, until.indexOf('0014-egress-default.sql')))
      db.prepare('INSERT INTO migrations VALUES (?)').run(name);
    db.close();
    const { egress, close } = openStore(old);
    expect([1, 2].map((id) => egress.mode(id, { egressMode: 'listed' }))).toEqual(['listed', 'none']);
    close();
  });
});
