// Files that appear in a group's inbox/ start the tasks that wait for them. The container may write there: only names and sizes are read,
// nothing is opened, and a link in the folder's place is refused.
import { createHash } from 'node:crypto';
import { type FSWatcher, lchownSync, lstatSync, mkdirSync, readdirSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { describeError } from '../errors.js';
import type { Task } from '../store/task-rows.js';
import type { Tasks } from '../tasks.js';
import type { LoopDeps } from './deps.js';

export interface TaskFilesDeps extends LoopDeps {
  config: { groupsDir: string };
  tasks: Tasks;
}

/** A file that is still being copied grows. */
const SETTLED_MS = 2_000;
/** Files taken in one go. */
const MAX_AT_ONCE = 20;
/** File systems keep time less exactly than the clock. */
const CLOCK_SLACK_MS = 1_000;
/** What the runner saves there from chats (`<message>-<index>-…`), hidden files and unfinished downloads. */
const NOT_ANNOUNCED = /^(\d+-\d+-|\.)|\.(part|tmp|crdownload)$/;

export function startTaskFiles(deps: TaskFilesDeps): { stop(): void } {
  const { store, wake, clock, log } = deps;
  const over = new AbortController();
  /** By folder; `inode`: whoever moves the folder away leaves the watcher with the old one. */
  const watchers = new Map<string, { watcher: FSWatcher; inode: number }>();
  /** Names that were there at the last look: a file that is changed in its place does not appear. */
  const present = new Map<string, Set<string>>();
  let isWaiting = false;

  /** Looks soon, once for many changes. */
  async function lookSoon(): Promise<void> {
    if (isWaiting) return;
    isWaiting = true;
    await clock.sleep(SETTLED_MS, over.signal);
    isWaiting = false;
    if (!over.signal.aborted) look();
  }

  function look(): void {
    const tasks = store.tasks.startedBy('files');
    const folders = new Set(tasks.map((task) => inboxOf(deps, task)));
    for (const [folder, { watcher }] of watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    for (const folder of folders) {
      try {
        watchFolder(folder);
        const waiting = tasks.filter((task) => inboxOf(deps, task) === folder);
        const known = present.get(folder) ?? new Set<string>();
        present.set(folder, known);
        if (startForNewFiles(deps, { folder, tasks: waiting, known })) void lookSoon();
      } catch (error) {
        log.warn({ folder, error: describeError(error) }, 'inbox cannot be watched');
      }
    }
  }

  function watchFolder(folder: string): void {
    if (!lstatSync(folder, { throwIfNoEntry: false })) makeInbox(folder);
    const stat = lstatSync(folder);
    if (!stat.isDirectory()) throw new Error('it is no folder');
    const known = watchers.get(folder);
    if (known?.inode === stat.ino) return;
    known?.watcher.close();
    const watcher = watch(folder, () => void lookSoon());
    watcher.on('error', () => {
      watchers.delete(folder);
      void lookSoon();
    });
    watchers.set(folder, { watcher, inode: stat.ino });
  }

  wake.on('tasks', () => void lookSoon());
  look();
  return {
    stop(): void {
      over.abort();
      for (const { watcher } of watchers.values()) watcher.close();
    },
  };
}

function inboxOf({ store, config }: TaskFilesDeps, task: Task): string {
  return join(config.groupsDir, store.groups.get(task.groupId)?.folder ?? '', 'inbox');
}

/** The container writes there as well: it belongs to whom the group's folder belongs to. */
function makeInbox(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const { uid, gid } = lstatSync(dirname(folder));
  lchownSync(folder, uid, gid);
}

interface Inbox {
  folder: string;
  tasks: Task[];
  known: Set<string>;
}

/** One run per file that appeared and task, some at a time. Returns whether another look is due. */
function startForNewFiles({ store, clock, tasks: service }: TaskFilesDeps, { folder, tasks, known }: Inbox): boolean {
  const names = readdirSync(folder).filter((name) => !NOT_ANNOUNCED.test(name));
  for (const name of known) if (!names.includes(name)) known.delete(name);
  let isDue = false;
  let started = 0;
  for (const name of names.filter((one) => !known.has(one))) {
    const stat = lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (!stat?.isFile()) continue;
    // ctime: a file that was moved here keeps its old mtime.
    const waiting = tasks.filter((task) => stat.ctimeMs >= task.createdAt - CLOCK_SLACK_MS && matches(task, name));
    const isSettled = clock.now() - stat.ctimeMs >= SETTLED_MS;
    if (waiting.length > 0 && (!isSettled || started >= MAX_AT_ONCE)) {
      isDue = true;
      continue;
    }
    known.add(name);
    for (const task of waiting) {
      const file = createHash('sha256').update(`${name}\0${stat.mtimeMs}\0${stat.size}`).digest('base64url');
      const key = `hook:${task.id}:${file}`;
      const text = `inbox/${name} (${stat.size} bytes)`;
      if (store.tasks.wasStarted(key)) continue;
      service.start(task, { key, untrusted: { source: 'new file', text } });
      started += 1;
    }
  }
  return isDue;
}

function matches({ starts }: Task, name: string): boolean {
  if (starts.kind !== 'files') return false;
  const pattern = starts.pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${pattern}$`, 'is').test(name);
}
