// A store with the budgets of a small household, for tests of this module.
import { createFakeClock } from '../../../test/fakes/clock.js';
import type { ModelCallRow } from '../../model/rows.js';
import { openStore } from '../../store.js';
import { createBudgetModule } from '../module.js';

export const USD = 1_000_000;
export const TIME_ZONE = 'Europe/Berlin';
const SETTINGS = { month: 10 * USD, day: 2 * USD, group: 1 * USD, run: 0.5 * USD };

/** `now`: ISO time. `limits` in micro USD. */
export function createHome({ now = '2026-11-21T09:00:00Z', limits = {}, file = ':memory:' } = {}) {
  const clock = createFakeClock(Date.parse(now));
  const store = openStore(file);
  const signals = store.signals;
  const notices = new Map<string, string>();
  const paused: number[] = [];
  const group = (folder: string) => store.groups.ensure(folder, folder === 'main', 1);
  const seen = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: 1 });
  store.groups.assignChat(seen.id, group('main').id);
  const chat = { ...seen, groupId: group('main').id };
  const config = { timeZone: TIME_ZONE, budgets: { ...SETTINGS, ...limits } };
  const deps = {
    ...{ store, clock, config },
    notifyOwner(key: string, text: string) {
      if (!notices.has(key)) notices.set(key, text);
      return chat.id;
    },
    taskCap: store.tasks.capOfRun,
    runCap: store.runs.limitOf,
    taskTitle: (id: number) => store.tasks.get(id)?.title,
    pauseTask: (id: number) => void paused.push(id),
  };
  let count = 0;
  return {
    ...{ store, clock, signals, notices, paused, deps, group, chat },
    ...createBudgetModule(deps),
    /** A new process on the same rows. */
    restart: () => createBudgetModule(deps),
    run({
      folder = 'main',
      taskId = null,
      chatId = chat.id,
    }: {
      folder?: string;
      taskId?: number | null;
      chatId?: number;
    } = {}): number {
      count += 1;
      const where = { groupId: group(folder).id, chatId, session: `s${count}` };
      const when = { runAt: clock.now(), now: clock.now() };
      return (
        store.runs.enqueue({ key: `k${count}`, kind: taskId ? 'task' : 'message', taskId, ...where, ...when }) ?? 0
      );
    },
    call(
      costMicroUsd: number,
      { folder = 'main', runId = null }: { folder?: string; runId?: number | null } = {},
    ): ModelCallRow {
      return {
        ...{
          groupId: group(folder).id,
          runId,
          at: clock.now(),
          model: 'm',
          costMicroUsd,
          estimated: true,
          status: 499,
        },
        ...{ inputTokens: 100, outputTokens: 10, cacheReadTokens: 0, cacheWrite5mTokens: 0, cacheWrite1hTokens: 0 },
        ...{ stopReason: null, durationMs: 0, firstByteMs: null, requestId: null },
      };
    },
  };
}

export type Home = ReturnType<typeof createHome>;

/** Makes a call that costs what it reserves. Throws what it was refused with. */
export function spend({ ledger, call }: Home, costMicroUsd: number, of: Parameters<Home['call']>[1] = {}): void {
  const reserved = ledger.reserve(call(costMicroUsd, of));
  if ('status' in reserved) throw new Error(reserved.message);
  reserved.settle({ ...call(costMicroUsd, of), status: 200, estimated: false });
}
