// What was spent on what: sums of days by group, task and model, for `/cost`, the API and the terminal.
import { dayName } from '../core/day.js';
import { shownLine } from '../core/one-line.js';
import type { CostRow } from '../model/rows.js';
import { type CapDeps, dollars } from './caps.js';

export interface CostDeps extends CapDeps {
  /** What a task is called; undefined when it is gone. */
  taskTitle(id: number): string | undefined;
}

const DAYS = 30;
const DAY_MS = 86_400_000;
const SHOWN_DAYS = 7;
const SHOWN_TASKS = 10;
const MAX_TITLE_CHARS = 40;

type Sums = Pick<CostRow, 'calls' | 'inputTokens' | 'outputTokens' | 'costMicroUsd'>;
export type Costs = ReturnType<typeof costsOf>;

/** Of one group or (null) all: today, this month, the last 30 days, and each of these days. */
export function costsOf({ store, clock, config, taskTitle }: CostDeps, groupId: number | null) {
  const now = clock.now();
  const day = dayName(now, config.timeZone);
  const first = dayName(now - (DAYS - 1) * DAY_MS, config.timeZone);
  const month = `${day.slice(0, 7)}-01`;
  const all = store.usage.costs(first < month ? first : month, day, groupId);
  const period = (from: string) => {
    const rows = all.filter((row) => row.day >= from);
    const [total = priced(NOTHING)] = sumBy(rows, () => ({}));
    const tasks = sumBy(rows, ({ taskId }) => ({ task: taskId || null })).map((row) => ({
      ...row,
      title: taskTitle(row.task ?? 0) ?? null,
    }));
    return { from, ...total, rows: sumBy(rows, ({ folder: group, model }) => ({ group, model })), tasks };
  };
  const days = sumBy(all, (row) => ({ day: row.day })).sort((a, b) => (a.day < b.day ? 1 : -1));
  return { today: period(day), thisMonth: period(month), last30Days: period(first), days };
}

const NOTHING: Sums = { calls: 0, inputTokens: 0, outputTokens: 0, costMicroUsd: 0 };
const priced = <Row extends Sums>(row: Row) => ({ ...row, costUsd: row.costMicroUsd / 1e6 });

/** One row for each key, the dearest first. */
function sumBy<Key extends object, Row extends Sums>(rows: Row[], keyOf: (row: Row) => Key) {
  const sums = new Map<string, Key & Sums>();
  for (const row of rows) {
    const key = keyOf(row);
    const name = JSON.stringify(key);
    const sum = sums.get(name) ?? { ...key, ...NOTHING };
    sum.calls += row.calls;
    sum.inputTokens += row.inputTokens;
    sum.outputTokens += row.outputTokens;
    sum.costMicroUsd += row.costMicroUsd;
    sums.set(name, sum);
  }
  return [...sums.values()].map(priced).sort((a, b) => b.costMicroUsd - a.costMicroUsd);
}

/** As people read it; amounts are of this month, and of today in brackets. */
export function costsText({ today, thisMonth, days }: Costs): string {
  const list = <Row extends Sums>(name: string, month: Row[], ofToday: Row[], label: (row: Row) => string) => {
    const spentToday = new Map(ofToday.map((row) => [label(row), row.costMicroUsd]));
    const texts = month.map(
      (row) => `${label(row)} ${dollars(row.costMicroUsd)} (${dollars(spentToday.get(label(row)) ?? 0)})`,
    );
    return texts.length > 0 ? [`- ${name}: ${texts.slice(0, SHOWN_TASKS).join(', ')}`] : [];
  };
  const by = (key: 'group' | 'model', rows: Costs['today']['rows']) => sumBy(rows, (row) => ({ name: row[key] }));
  const taskLabel = ({ task, title }: Costs['today']['tasks'][number]) =>
    task === null ? 'no task' : `${task} ${shownLine(title ?? '', MAX_TITLE_CHARS)}`.trim();
  return [
    `This month ${dollars(thisMonth.costMicroUsd)} in ${thisMonth.calls} model calls (today ${dollars(today.costMicroUsd)} in ${today.calls}).`,
    ...list('groups', by('group', thisMonth.rows), by('group', today.rows), ({ name }) => `\`${name}\``),
    ...list('models', by('model', thisMonth.rows), by('model', today.rows), ({ name }) => `\`${name}\``),
    ...list('tasks', thisMonth.tasks, today.tasks, taskLabel),
    ...(days.length > 0
      ? [
          `- days: ${days
            .slice(0, SHOWN_DAYS)
            .map(({ day, costMicroUsd }) => `${day} ${dollars(costMicroUsd)}`)
            .join(', ')}`,
        ]
      : []),
  ].join('\n');
}
