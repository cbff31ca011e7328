// Files that appear in a group's inbox/ start the tasks that wait for them. The container may write there: only names and sizes are read,
// nothing is opened, and a link in the folder's place is refused.
import { createHash } from 'node:crypto';
import { type FSWatcher, lstatSync, mkdirSync, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
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
/** File systems keep time less exactly than the clock. */
const CLOCK_SLACK_MS = 1_000;
/** What the runner saves there from chats (`<message>-<index>-…`), hidden files and unfinished downloads. */
const NOT_ANNOUNCED = /^(\d+-\d+-|\.)|\.(part|tmp|crdownload)$/;

export function startTaskFiles(deps: TaskFilesDeps): { stop(): void } {
  const { store, wake, clock, log } = deps;
  const over = new AbortController();
  const watchers = new Map<string, FSWatcher>();
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
    for (const [folder, watcher] of watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    for (const folder of folders) {
      try {
        watchFolder(folder);
        const waiting = tasks.filter((task) => inboxOf(deps, task) === folder);
        if (startForNewFiles(deps, folder, waiting)) void lookSoon();
      } catch (error) {
        log.warn({ folder, error: describeError(error) }, 'inbox cannot be watched');
      }
    }
  }

  function watchFolder(folder: string): void {
    if (!lstatSync(folder, { throwIfNoEntry: false })) mkdirSync(folder);
    if (!lstatSync(folder).isDirectory()) throw new Error('it is no folder');
    if (watchers.has(folder)) return;
    const watcher = watch(folder, () => void lookSoon());
    watcher.on('error', () => {
      watchers.delete(folder);
      void lookSoon();
    });
    watchers.set(folder, watcher);
  }

  wake.on('tasks', () => void lookSoon());
  look();
  return {
    stop(): void {
      over.abort();
      for (const watcher of watchers.values()) watcher.close();
    },
  };
}

function inboxOf({ store, config }: TaskFilesDeps, task: Task): string {
  return join(config.groupsDir, store.groups.get(task.groupId)?.folder ?? '', 'inbox');
}

/** One run per file and task. Returns whether files are there that still change. */
function startForNewFiles({ store, clock, tasks: service }: TaskFilesDeps, folder: string, tasks: Task[]): boolean {
  let isUnsettled = false;
  for (const name of readdirSync(folder)) {
    const stat = lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (!stat?.isFile() || NOT_ANNOUNCED.test(name)) continue;
    // ctime: a file that was moved here keeps its old mtime.
    const waiting = tasks.filter((task) => stat.ctimeMs >= task.createdAt - CLOCK_SLACK_MS && matches(task, name));
    if (waiting.length > 0 && clock.now() - stat.ctimeMs < SETTLED_MS) isUnsettled = true;
    else
      for (const task of waiting) {
        const file = createHash('sha256').update(`${name}\0${stat.mtimeMs}\0${stat.size}`).digest('base64url');
        const key = `hook:${task.id}:${file}`;
        const text = `inbox/${name} (${stat.size} bytes)`;
        if (!store.tasks.wasStarted(key)) service.start(task, { key, untrusted: { source: 'new file', text } });
      }
  }
  return isUnsettled;
}

function matches({ starts }: Task, name: string): boolean {
  if (starts.kind !== 'files') return false;
  const pattern = starts.pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${pattern}$`, 'is').test(name);
}
