// Brings memory files back: each wish is a row, the runner in the group's container does it. A container that does not run is started for it, one that
// works does it beside its work.
import { once } from 'node:events';
import { atMost } from '../core/clock.js';
import type { BaseDeps } from '../core/deps.js';
import { describeError, PinchError } from '../core/errors.js';
import type { Group } from '../core/types.js';
import type { GroupContainer, Pool } from '../sandbox/pool.js';
import { createFileRestorer, type FileRestorerDeps } from './restore-file.js';
import type { Restore, RestoreItem } from './rows.js';
import type { Store } from './store.js';
import { shownPath } from './view.js';

export interface RestoreDeps extends BaseDeps, FileRestorerDeps {
  pool: Pick<Pool, 'acquire' | 'release' | 'canHost' | 'containers'>;
  stopped(): boolean;
}

/** For a place among the containers. */
const ROOM_MS = 120_000;
const END_MS = 1_000;

export type Restores = ReturnType<typeof createRestores>;

export function createRestores(deps: RestoreDeps) {
  const { store, clock } = deps;
  const files = createFileRestorer(deps);
  const over = new AbortController();
  /** By row id; and of each group the last one: they go one after the other. */
  const working = new Map<number, Promise<void>>();
  const last = new Map<number, Promise<void>>();

  async function carryOut({ groupId, items }: Restore): Promise<void> {
    const group = store.groups.get(groupId);
    if (!group) throw new PinchError('not_found', 'this group is gone');
    if (deps.stopped()) throw new PinchError('stopped', 'everything is stopped', { hint: '`/resume` first' });
    const worker = await acquire(deps, group, over.signal);
    try {
      // One that cannot be does not keep the others from it.
      const problems: string[] = [];
      for (const one of inOrder(store, items))
        await files.restore(worker, groupId, one).catch((error: unknown) => problems.push(describeError(error)));
      if (problems.length > 0)
        throw new PinchError('not_restored', problems.join('; ') + others(items.length - problems.length));
    } finally {
      deps.pool.release(worker, false);
    }
  }

  /** Never rejects. A daemon that ends leaves the row as it is: the next one does it. */
  async function work(row: Restore): Promise<void> {
    const problem = await carryOut(row).then(
      () => null,
      (error: unknown) => describeError(error),
    );
    if (!over.signal.aborted || problem === null) recordEnd(deps, row, problem);
  }

  function look(): void {
    if (over.signal.aborted) return;
    for (const row of store.memory.waitingRestores().filter(({ id }) => !working.has(id))) {
      const turn = (last.get(row.groupId) ?? Promise.resolve()).then(() => work(row));
      last.set(row.groupId, turn);
      working.set(row.id, turn);
      void turn.finally(() => working.delete(row.id));
    }
  }

  return {
    routes: files.routes,
    /** In the caller's transaction; returns its number. */
    request(groupId: number, chatId: number | null, items: RestoreItem[]): number {
      const id = store.memory.addRestore({ groupId, chatId, items, now: clock.now() });
      store.signal('memory');
      return id ?? 0;
    },
    /** How it ended, or that it still waits after `ms`. */
    async ended(id: number, ms: number): Promise<Pick<Restore, 'state' | 'problem'>> {
      const until = clock.now() + ms;
      const row = () => store.memory.restore(id) ?? { state: 'failed' as const, problem: 'it is gone' };
      while (row().state === 'waiting' && clock.now() < until) await heard(deps, 'memory', until - clock.now());
      return row();
    },
    start(): void {
      store.signals.on('memory', look);
      look();
    },
    async stop(): Promise<void> {
      over.abort();
      await atMost(clock, END_MS, Promise.allSettled(working.values()));
    },
  };
}

function recordEnd({ store, clock, log }: RestoreDeps, { id, chatId, items }: Restore, problem: string | null): void {
  store.transaction(() => {
    if (!store.memory.endRestore(id, problem === null ? 'done' : 'failed', problem) || chatId === null) return;
    const names = items.map(({ path }) => shownPath(path)).join(', ');
    const text =
      problem === null
        ? `Done: ${names} ${items.length > 1 ? 'are' : 'is'} as before. What I know from this conversation stays until \`/new\`; \`/memory\` has all versions.`
        : `That could not be brought back: ${problem}`;
    store.outbox.add({ key: `restore:${id}`, chatId, runId: null, text, now: clock.now() });
  });
  log.info({ restore: id, files: items.length, problem }, 'memory restore ended');
  store.signal('memory');
}

const others = (done: number): string =>
  done > 0 ? ` (${done} more ${done === 1 ? 'file is' : 'files are'} as before)` : '';

/** What goes comes first: a file may stand where a folder of another one was. */
function inOrder({ memory }: Store, items: RestoreItem[]): RestoreItem[] {
  const isGone = ({ version }: RestoreItem) => version === null || memory.get(version)?.state === 'deleted';
  return [...items.filter(isGone), ...items.filter((one) => !isGone(one))];
}

type Hearing = Pick<RestoreDeps, 'store' | 'clock'>;

/** Resolves with the next signal, or after `ms`. Never rejects. */
async function heard({ store, clock }: Hearing, signal: 'memory' | 'run:ready', ms: number): Promise<void> {
  const over = new AbortController();
  await atMost(clock, ms, once(store.signals, signal, { signal: over.signal }));
  over.abort();
}

/** A place in the group's own container, which works already, or in a new one. Throws `no_room` when there is none for long. */
async function acquire(deps: RestoreDeps, group: Group, over: AbortSignal): Promise<GroupContainer> {
  const { pool, clock } = deps;
  // That of a dry run has a copy of the folder.
  const isOwn = ({ dryRun, state }: { dryRun?: number; state: string }) => dryRun === undefined && state !== 'ending';
  const isThere = () => pool.containers().some((one) => one.group === group.folder && isOwn(one));
  const until = clock.now() + ROOM_MS;
  while (!over.aborted && !isThere() && !pool.canHost(group.id, false)) {
    if (clock.now() >= until)
      throw new PinchError('no_room', 'all containers work for other groups; try again when one is free');
    await heard(deps, 'run:ready', 1_000);
  }
  if (over.aborted) throw new PinchError('stopped', 'Pinch ends');
  // A person waits for it.
  return pool.acquire(group, false);
}
