// Files that appear in a group's inbox/ start the tasks that wait for them. The container may write there and may put a link in the folder's
// place at any moment: the folder is held open while it is read, and only names and sizes are read.
import { createHash } from 'node:crypto';
import { type FSWatcher, fstatSync, type Stats, watch } from 'node:fs';
import type { LoopDeps } from '../core/deps.js';
import { describeError } from '../core/errors.js';
import { type Folder, inFolder, listFolder, statEntry } from '../core/files.js';
import { handOver } from '../sandbox/home.js';
import type { Task } from './rows.js';
import type { Store } from './store.js';
import type { Tasks } from './tasks.js';

export interface InboxWatchDeps extends LoopDeps {
  store: Store;
  config: { groupsDir: string; keepDays: number };
  tasks: Tasks;
}

/** A file that is still being copied grows. */
const SETTLED_MS = 2_000;
/** Files taken in one go. */
const MAX_AT_ONCE = 20;
/** Entries of an inbox that are read; what chats sent lies there as well. */
const MAX_ENTRIES = 50_000;
/** File systems keep time less exactly than the clock. */
const CLOCK_SLACK_MS = 1_000;
const DAY_MS = 86_400_000;
/** What the runner saves there from chats (`<message>-<index>-…`), hidden files and unfinished downloads. */
const NOT_ANNOUNCED = /^(\d+-\d+-|\.)|\.(part|tmp|crdownload)$/;

export function startInboxWatch(deps: InboxWatchDeps): { stop(): void } {
  const { store, clock, log, config } = deps;
  const over = new AbortController();
  /** By folder. A watcher follows its inode: when the folder is moved and made anew, it still watches the old one and is replaced. */
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
    const tasks = store.tasks.startedByFiles();
    const folders = new Set(tasks.map((task) => inboxOf(deps, task)));
    for (const [folder, { watcher }] of watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    for (const folder of folders) {
      try {
        const waiting = tasks.filter((task) => inboxOf(deps, task) === folder);
        const known = present.get(folder) ?? new Set<string>();
        present.set(folder, known);
        const files = inFolder(config.groupsDir, folder, (inbox) => openInbox(folder, inbox, known), { make: true });
        if (startForNewFiles(deps, { files, tasks: waiting, known })) void lookSoon();
      } catch (error) {
        log.warn({ folder, error: describeError(error) }, 'inbox cannot be watched');
      }
    }
  }

  function openInbox(folder: string, inbox: Folder, known: Set<string>): NewFile[] {
    // The container writes there as well.
    handOver(inbox.fd);
    watchFolder(folder, inbox);
    return newFiles(inbox, known);
  }

  function watchFolder(folder: string, { fd, here }: Folder): void {
    const inode = fstatSync(fd).ino;
    const known = watchers.get(folder);
    if (known?.inode === inode) return;
    known?.watcher.close();
    const watcher = watch(here, () => void lookSoon());
    watcher.on('error', () => {
      watchers.delete(folder);
      void lookSoon();
    });
    watchers.set(folder, { watcher, inode });
  }

  store.signals.on('task', () => void lookSoon());
  look();
  return {
    stop(): void {
      over.abort();
      for (const { watcher } of watchers.values()) watcher.close();
    },
  };
}

/** Below groups/. */
function inboxOf({ store }: InboxWatchDeps, task: Task): string {
  return `${store.groups.get(task.groupId)?.folder}/inbox`;
}

interface NewFile {
  name: string;
  stat: Stats;
}

/** Files that are not known; names that are gone are forgotten. */
function newFiles(inbox: Folder, known: Set<string>): NewFile[] {
  const entries = listFolder(inbox, MAX_ENTRIES);
  if (entries.length === MAX_ENTRIES) throw new Error(`it has ${MAX_ENTRIES} entries or more: make room`);
  const names = new Set(entries.map(({ name }) => name).filter((name) => !NOT_ANNOUNCED.test(name)));
  for (const name of known) if (!names.has(name)) known.delete(name);
  return [...names].flatMap((name) => {
    const stat = known.has(name) ? undefined : statEntry(inbox, name);
    return stat?.isFile() ? [{ name, stat }] : [];
  });
}

interface Inbox {
  files: NewFile[];
  tasks: Task[];
  known: Set<string>;
}

/** One run per file that appeared and task, some at a time. Returns whether another look is due. */
function startForNewFiles(
  { store, clock, config, tasks: service }: InboxWatchDeps,
  { files, tasks, known }: Inbox,
): boolean {
  let isDue = false;
  let started = 0;
  // Of an older file nobody knows any more whether a run was started for it (retention/).
  const oldest = config.keepDays === 0 ? 0 : clock.now() - config.keepDays * DAY_MS;
  for (const { name, stat } of files) {
    // ctime: a file that was moved here keeps its old mtime.
    const since = (task: Task) => Math.max(task.createdAt - CLOCK_SLACK_MS, oldest);
    const waiting = tasks.filter((task) => stat.ctimeMs >= since(task) && matches(task, name));
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
