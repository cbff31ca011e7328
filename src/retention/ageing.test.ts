// Five years of use, a month at a time, with a pass of the retention after each: only what is meant to grow has grown.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { openStore, type Store } from '../store.js';
import { passOnce } from './sweep.js';
import { keeping } from './tables.js';

const DAY_MS = 86_400_000;
const BEGIN = Date.UTC(2026, 0, 1);
const MONTHS = 60;
const log = pino({ level: 'silent' });

/** Always as many rows, by the functions that the modules use; keys of accounts and what is left by killed work as SQL. */
function useForAMonth(store: Store, month: number, now: number): void {
  const group = store.groups.ensure('main', true, now);
  const seen = { channel: 'telegram', kind: 'direct' as const, title: 'A', now };
  const chat = store.groups.seenChat({ ...seen, address: '1' });
  const stranger = { channel: 'telegram', address: `9${month}`, name: 'S', username: null, chatId: chat.id };
  store.groups.seenSender(stranger);
  store.groups.seenChat({ ...seen, address: stranger.address });
  if (month === 0) store.groups.assignChat(chat.id, group.id);
  for (let n = 0; n < 3; n += 1) work(store, `${month}-${n}`, { groupId: group.id, chatId: chat.id, now });
  store.pageSessions.add(`hash${month}`, now, now + 7 * DAY_MS);
  store.pageSessions.trim(now, 32);
  store.budgets.setCap({ name: 'day', groupId: null, day: `day${1_000 + month}`, microUsd: 1 });
  store.budgets.dropCapsBefore(`day${1_000 + month}`);
  const rule = { groupId: group.id, host: `h${month}.example`, ports: null, address: null };
  store.egress.put({ ...rule, until: now + DAY_MS, now });
  store.egress.removeEnded(now);
  store.egress.addBytes({ groupId: group.id, bytes: 1, now });
  const auth = store.channelAuth.of('whatsapp', () => now);
  auth.set([
    { kind: 'sent', id: `${month}`, value: '{}' },
    ...['a', 'b'].map((id) => ({ kind: 'session', id, value: `${month}` })),
  ]);
  auth.prune('sent', now - 14 * DAY_MS);
  if (month % 6 === 5) auth.archive();
}

type Place = { groupId: number; chatId: number; now: number };

/** A message and its run, or a task and its run, with all that comes of it. */
function work(store: Store, name: string, { groupId, chatId, now }: Place): void {
  const said = { chatId, senderId: null, senderName: 'A', text: `words ${name}`, sentAt: now, now };
  const messageId = store.messages.add({ ...said, direction: 'in', platformId: name }) ?? 0;
  const task = name.endsWith('-0') ? store.tasks.add({ ...once(name, now), groupId, chatId, now }) : undefined;
  const session = task ? `task${task.id}-${now}` : `chat${chatId}-1`;
  const kind = task ? ('task' as const) : ('message' as const);
  const runId =
    store.runs.enqueue({ key: name, kind, groupId, chatId, session, runAt: now, now, taskId: task?.id ?? null }) ?? 0;
  store.runs.attachMessages(runId, chatId, messageId);
  if (task) {
    store.tasks.addSlot({ taskId: task.id, slotAt: now, state: 'running', runId, now });
    store.tasks.endSlot({ taskId: task.id, slotAt: now, state: 'done', detail: '', now });
    store.tasks.setState(task.id, 'done', null);
    store.taints.mark(session, groupId, 'a page', now);
  }
  store.events.add(runId, now, 'claimed', { attempt: 1 });
  store.usage.record(call(groupId, runId, now), new Date(now).toISOString().slice(0, 10));
  const fields = { subject: 's', agentSubject: null, detail: 'd', always: null, input: {}, hash: name };
  const asked = { ...fields, kind: 'service', groupId, chatId, runId, createdAt: now, expiresAt: now + DAY_MS };
  const id = store.approvals.add(asked) ?? 0;
  store.serviceBodies.put(id, Buffer.from('x'));
  store.approvals.close({ id, state: 'denied', decidedBy: null, result: null, now });
  store.outbox.add({ key: `${name}:1`, chatId, runId, text: 'out', now });
  for (const row of store.outbox.ofRun(runId)) {
    store.outbox.sent(row.id, now);
    store.messages.add({ ...said, direction: 'out', platformId: `o${name}`, runId, outboxId: row.id });
  }
  store.runs.cancelRun(runId, now);
  remember(store, name, { groupId, chatId, runId, now });
}

/** One file that changes each time, one that is made and deleted. */
function remember(store: Store, name: string, { groupId, chatId, runId, now }: Place & { runId: number }): void {
  const by = { groupId, author: 'run' as const, runId, restores: null, sources: [], secrets: [], at: now };
  const write = (path: string) => {
    const id = store.memory.add({ ...by, path, state: 'kept', hash: `${path} ${name}`, bytes: 1 }, name);
    store.memory.putTerms(id, name);
  };
  for (const path of ['CLAUDE.md', `memory/${name}.md`]) write(path);
  store.memory.add({ ...by, path: `memory/${name}.md`, state: 'deleted', hash: null, bytes: 0 }, null);
  const restore = store.memory.addRestore({ groupId, chatId, items: [], now }) ?? 0;
  store.memory.endRestore(restore, 'done', null);
}

const once = (key: string, at: number) => ({
  ...{ key, title: 't', prompt: 'p', nextAt: null, secret: null },
  starts: { kind: 'once' as const, at, timeZone: 'UTC' },
  options: { context: 'fresh' as const, misfire: 'skip' as const, overlap: 'skip' as const, jitterMs: 0, after: [] },
});
const call = (groupId: number, runId: number, at: number) => ({
  ...{ groupId, runId, at, model: 'm', inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWrite5mTokens: 0 },
  ...{ cacheWrite1hTokens: 0, costMicroUsd: 1, estimated: false, status: 200, stopReason: null, durationMs: 1 },
  ...{ firstByteMs: null, requestId: null },
});

/** Names of the tables that have more rows at the end than after two years and a half, and of those that had any. */
async function age(keepMessagesDays: number): Promise<{ grown: string[]; used: string[] }> {
  const home = mkdtempSync(join(tmpdir(), 'pinch-age-'));
  const store = openStore(join(home, 'pinch.db'));
  const reader = new Database(join(home, 'pinch.db'), { readonly: true });
  const tables = Object.keys(keeping);
  const count = (table: string) => Number(reader.prepare(`SELECT count(*) FROM ${table}`).pluck().get());
  const sizes: number[][] = [];
  for (let month = 0; month < MONTHS; month += 1) {
    const now = BEGIN + month * 30 * DAY_MS;
    store.transaction(() => useForAMonth(store, month, now));
    while (store.searchIndex.step());
    const clock = { now: () => now, random: () => 0.5, sleep: async () => undefined };
    const config = { dataDir: home, groupsDir: join(home, 'groups'), keepDays: 90, keepMessagesDays };
    await passOnce({ store, clock, log, config }, new AbortController().signal);
    sizes.push(tables.map(count));
  }
  store.close();
  const at = (month: number, index: number) => sizes[month]?.[index] ?? 0;
  return {
    grown: tables.filter((_, index) => at(MONTHS - 1, index) > at(MONTHS / 2 - 1, index)),
    used: tables.filter((_, index) => sizes.some((row) => (row[index] ?? 0) > 0)),
  };
}

test('what is not kept for ever stays as large as it was, and messages too when the owner says so', {
  timeout: 120_000,
}, async () => {
  const kept = (how: string) => Object.keys(keeping).filter((table) => keeping[table]?.kept === how);
  const forEver = await age(0);
  expect(forEver.grown.filter((table) => !['for ever', 'messages'].some((how) => kept(how).includes(table)))).toEqual(
    [],
  );
  // What is said to go was there.
  expect(kept('days').filter((table) => !forEver.used.includes(table))).toEqual([]);
  expect(forEver.grown).toContain('messages');
  const bounded = await age(90);
  expect(bounded.grown.filter((table) => !kept('for ever').includes(table))).toEqual([]);
});
