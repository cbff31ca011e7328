// The books of the model's calls: each reserves its worst case as a row before it is made, and is settled with what it came to. A call that a
// crash cut off keeps its worst case as its cost.
import { dayName } from '../core/day.js';
import type { LoopDeps } from '../core/deps.js';
import { timeText } from '../core/times.js';
import type { Ledger } from '../model/model.js';
import type { ModelCallRow } from '../model/rows.js';
import {
  type Cap,
  type CapDeps,
  capText,
  decideBudget,
  dollars,
  limitOf,
  periodCaps,
  raiseText,
  refusalText,
} from './caps.js';
import { raiseButtons } from './raise.js';

/** From this part of a cap on the owner is warned. */
const WARN_AT = 0.8;

export interface LedgerDeps extends CapDeps, Pick<LoopDeps, 'notifyOwner'> {
  /** The task that the run works for, when it has a limit of its own for a day. */
  taskCap(runId: number): { taskId: number; limitMicroUsd: number } | undefined;
  /** What this run alone may cost, when the owner said so. */
  runCap(runId: number): number | null | undefined;
}

/** A call that is under way. */
interface OpenCall {
  call: ModelCallRow;
  day: string;
  taskId: number | undefined;
}

export function createLedger(deps: LedgerDeps): Ledger {
  const { store, clock, config } = deps;
  // Only to tell a cap that is used up from one that calls under way hold: what this process forgets counts as spent.
  const open = new Map<number, OpenCall>();
  return {
    fits: (call) => decideBudget(call.costMicroUsd, capsOf(deps, call, open).caps).kind === 'fits',
    reserve: (call) =>
      store.transaction(() => {
        const { caps, taskId } = capsOf(deps, call, open);
        const decision = decideBudget(call.costMicroUsd, caps);
        if (decision.kind === 'full') return refuse(deps, call, decision.cap);
        if (decision.kind === 'busy') {
          const message = `${capText(decision.cap)} is held by calls that are under way; try again in a moment`;
          return { status: 429, type: 'rate_limit_error', message };
        }
        const day = dayName(clock.now(), config.timeZone);
        const id = store.usage.record(call, day);
        open.set(id, { call, day, taskId });
        return { settle: (actual) => settle(id, actual) };
      }),
  };

  function settle(id: number, actual: ModelCallRow): void {
    const reserved = open.get(id);
    if (!reserved) throw new Error(`call ${id} is settled already`);
    open.delete(id);
    // It does not wait for the disk, as the end of the reply waits for it: should a power cut undo it, the worst case stays its cost.
    store.unhurried(() => {
      store.usage.settle(id, reserved.day, reserved.call, actual);
      for (const cap of capsOf(deps, actual, open).caps) warn(deps, cap, actual.groupId);
    });
  }
}

/** All caps that a call counts for. The first that are full are those that last longest. */
function capsOf(deps: LedgerDeps, { groupId, runId }: ModelCallRow, open: Map<number, OpenCall>) {
  const { store, clock, config } = deps;
  const group = store.groups.get(groupId);
  if (!group) throw new Error(`a call of group ${groupId}, which does not exist`);
  const task = runId === null ? undefined : deps.taskCap(runId);
  const day = dayName(clock.now(), config.timeZone);
  const caps = periodCaps(deps, group);
  if (task) {
    const { taskId, limitMicroUsd: limit } = task;
    const [ofDay] = caps.slice(1);
    caps.push({ ...ofDay, name: 'task', of: `${taskId}`, limit, spent: store.usage.spentByTask(taskId, day), held: 0 });
  }
  if (runId !== null)
    caps.push({
      name: 'run',
      of: `${runId}`,
      limit: deps.runCap(runId) ?? limitOf(deps, 'run', null),
      spent: store.usage.spentByRun(runId),
      held: 0,
    });
  const counts = (cap: Cap, { call, day, taskId }: OpenCall): boolean => {
    if (cap.name === 'run') return call.runId === runId;
    if (cap.name === 'task') return `${taskId}` === cap.of;
    return day.startsWith(cap.period ?? day) && (cap.name !== 'group' || call.groupId === groupId);
  };
  for (const cap of caps) for (const one of open.values()) if (counts(cap, one)) cap.held += one.call.costMicroUsd;
  return { caps, taskId: task?.taskId };
}

/** However often a container asks again, its run's timeline says it once in so long. */
const NOTED_AGAIN_MS = 1_000;

/** The run's timeline keeps why: the queue decides by it what becomes of the run. */
function refuse({ store, clock, config }: LedgerDeps, { runId, costMicroUsd }: ModelCallRow, cap: Cap) {
  const { name, of, period, endsAt, limit, spent } = cap;
  const amounts = { limitMicroUsd: limit, spentMicroUsd: spent, worstCaseMicroUsd: costMicroUsd };
  const refusal = { cap: name, of, period, endsAt, ...amounts };
  const text = refusalText(refusal, config.timeZone);
  const now = clock.now();
  if (runId !== null && !store.events.budgetRefusal(runId, now - NOTED_AGAIN_MS))
    store.events.add(runId, now, 'budget_refused', { ...refusal, text });
  return { status: 402, type: 'billing_error', message: text };
}

/** Once per cap and period, and once more when the owner has raised it. */
function warn({ notifyOwner, config }: LedgerDeps, cap: Cap, groupId: number): void {
  const { name, of = '', period, limit, spent, held, endsAt } = cap;
  const settled = spent - held;
  if (period === undefined || endsAt === undefined || name === 'task' || settled < limit * WARN_AT) return;
  notifyOwner(
    `budget-low:${name}:${of}:${period}:${limit}`,
    `${Math.floor((settled / limit) * 100)} % of ${capText(cap)} is spent: ${dollars(settled)} of ${dollars(limit)}. It begins anew at ` +
      `${timeText(endsAt, config.timeZone)} (${config.timeZone}). ${raiseText(cap)} raises it, \`/cost\` shows what it was spent on.`,
    undefined,
    raiseButtons(cap, 0, groupId),
  );
}
