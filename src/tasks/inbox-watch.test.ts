import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../core/clock.js';
import type { Signals } from '../core/signals.js';
import type { Chat } from '../core/types.js';
import { openStore, type Store } from '../store.js';
import { startInboxWatch } from './inbox-watch.js';
import { createTasks, type Tasks } from './tasks.js';

let groupsDir: string;
let inbox: string;
let store: Store;
let signals: Signals;
let tasks: Tasks;
let chat: Chat;
let running: { stop(): void } | undefined;
let warnings: string[];

/** Ten times as fast. */
const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 10, signal) };

beforeEach(() => {
  groupsDir = mkdtempSync(join(tmpdir(), 'pinch-inbox-'));
  mkdirSync(join(groupsDir, 'main'));
  inbox = join(groupsDir, 'main', 'inbox');
  store = openStore(':memory:');
  signals = store.signals;
  tasks = createTasks({ store, clock, config: { timeZone: 'UTC' } });
  const group = store.groups.ensure('main', true, 1);
  const seen = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: 1 });
  store.groups.assignChat(seen.id, group.id);
  chat = { ...seen, groupId: group.id };
  warnings = [];
});
afterEach(() => {
  running?.stop();
  rmSync(groupsDir, { recursive: true, force: true });
});

function start(from = store, time = clock): void {
  running?.stop();
  const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
  running = startInboxWatch({
    store: from,
    clock: time,
    log,
    tasks,
    notifyOwner: () => 0,
    config: { groupsDir, keepDays: 90 },
  });
}
const wait = (pattern: string) =>
  tasks.add({ prompt: 'File it', overlap: 'queue' }, chat, { starts: { kind: 'files', pattern } });
const announced = () => store.tasks.waiting().map(({ input }) => input?.untrusted?.text);
const drop = (name: string, text = 'x') => writeFileSync(join(inbox, name), text);

test('a file that appears starts its task once, when it has stopped growing; others do not', async () => {
  mkdirSync(inbox);
  drop('old.pdf');
  await systemClock.sleep(1_200);
  wait('*.pdf');
  start();
  for (const name of ['new.PDF', 'note.txt', '12-0-photo.pdf', '.hidden.pdf', 'half.pdf.part']) drop(name);
  await expect.poll(announced).toEqual(['inbox/new.PDF (1 bytes)']);
  drop('note2.txt');
  await systemClock.sleep(800);
  expect(announced()).toHaveLength(1);
});

test('one that was moved there keeps its old date and counts; what came while nobody looked as well', async () => {
  wait('*');
  const elsewhere = join(groupsDir, 'report.csv');
  writeFileSync(elsewhere, 'a,b');
  utimesSync(elsewhere, 1, 1);
  mkdirSync(inbox);
  renameSync(elsewhere, join(inbox, 'report.csv'));
  start();
  await expect.poll(announced).toEqual(['inbox/report.csv (3 bytes)']);
});

test('a file that lies there since before runs are kept starts nothing: nobody knows whether it did', async () => {
  wait('*');
  mkdirSync(inbox);
  drop('old.csv');
  const days = (count: number) => ({ ...clock, now: () => clock.now() + count * 86_400_000 });
  start(store, days(91));
  await systemClock.sleep(800);
  expect(announced()).toEqual([]);
  start(store, days(89));
  await expect.poll(announced).toEqual(['inbox/old.csv (1 bytes)']);
});

test('a link in place of the folder is refused, one in it is passed over', async () => {
  wait('*');
  symlinkSync('/etc', inbox);
  start();
  expect(announced()).toEqual([]);
  expect(warnings.join()).toContain('it is no folder');
  rmSync(inbox);
  mkdirSync(inbox);
  symlinkSync('/etc/passwd', join(inbox, 'passwd'));
  signals.emit('task');
  drop('real');
  await expect.poll(announced).toEqual(['inbox/real (1 bytes)']);
});

test('a folder that is exchanged with a link between any two of our steps tells no name of another folder', async () => {
  wait('*');
  const [other, aside] = [join(groupsDir, 'other'), join(groupsDir, 'aside')];
  mkdirSync(inbox);
  drop('own');
  mkdirSync(other);
  writeFileSync(join(other, 'secret of another group'), 'x');
  await systemClock.sleep(2_500);
  const exchange = () => {
    renameSync(inbox, join(groupsDir, 'moving'));
    if (existsSync(aside)) renameSync(aside, inbox);
    else symlinkSync(other, inbox);
    renameSync(join(groupsDir, 'moving'), aside);
  };
  // What the loop asks between two steps of its own: at each of them a container that is fast enough can do the same.
  for (const offset of [0, 1, 2, 3]) {
    const get = (id: number) => {
      exchange();
      return store.groups.get(id);
    };
    for (let n = 0; n < offset; n += 1) exchange();
    start({ ...store, groups: { ...store.groups, get } });
    await systemClock.sleep(300);
    running?.stop();
    if (lstatSync(inbox).isSymbolicLink()) exchange();
  }
  expect(announced().filter((text) => text?.includes('secret'))).toEqual([]);
});

test('a file that is changed in its place starts nothing; one that comes back after it was taken away does', async () => {
  wait('*');
  start();
  drop('scan.pdf', 'one');
  await expect.poll(announced).toHaveLength(1);
  drop('scan.pdf', 'changed by the agent');
  await systemClock.sleep(600);
  expect(announced()).toHaveLength(1);
  rmSync(join(inbox, 'scan.pdf'));
  await systemClock.sleep(600);
  drop('scan.pdf', 'another scan');
  await expect.poll(announced).toHaveLength(2);
});

test('a folder that was replaced is watched in its new place', async () => {
  wait('*');
  start();
  renameSync(inbox, `${inbox}-old`);
  mkdirSync(inbox);
  await systemClock.sleep(800);
  drop('late.txt');
  await expect.poll(announced).toEqual(['inbox/late.txt (1 bytes)']);
});

test('a hundred files at once are all taken, some at a time', async () => {
  wait('*');
  start();
  for (let n = 0; n < 100; n += 1) drop(`file-${n}`);
  await expect.poll(announced).toHaveLength(100);
  expect(new Set(announced()).size).toBe(100);
});
