// What was spent on what: sums of days by group, task and model, for `/cost`, the API and the terminal.
import { dayName } from '../core/day.js';
import { shownLine } from '../core/one-line.js';
import type { Sums } from '../model/rows.js';
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
/** The dearest; what more there are is in the sums. */
const MOST_TASKS = 100;

export type Costs = ReturnType<typeof costsOf>;

/** Of one group or (null) all: today, this month, the last 30 days, and each of these days. */
export function costsOf({ store, clock, config, taskTitle }: CostDeps, groupId: number | null) {
  const { usage } = store;
  const now = clock.now();
  const day = dayName(now, config.timeZone);
  const first = dayName(now - (DAYS - 1) * DAY_MS, config.timeZone);
  const month = `${day.slice(0, 7)}-01`;
  const period = (from: string) => ({
    from,
    ...priced(usage.ofPeriod(from, day, groupId) ?? NOTHING),
    rows: usage.byModel(from, day, groupId).map(({ folder: group, ...row }) => ({ group, ...priced(row) })),
    tasks: usage.byTask(from, day, groupId, MOST_TASKS).map(({ taskId, ...row }) => ({
      task: taskId || null,
      ...priced(row),
      title: taskTitle(taskId) ?? null,
    })),
  });
  const days = usage.byDay(first < month ? first : month, day, groupId).map(priced);
  return { today: period(day), thisMonth: period(month), last30Days: period(first), days };
}

const NOTHING: Sums = { calls: 0, inputTokens: 0, outputTokens: 0, costMicroUsd: 0 };
const priced = <Row extends Sums>(row: Row) => ({ ...row, costUsd: row.costMicroUsd / 1e6 });

/** One sum for each key, the dearest first. */
function sumBy<Row extends Sums>(rows: Row[], keyOf: (row: Row) => string) {
  const sums = new Map<string, number>();
  for (const row of rows) sums.set(keyOf(row), (sums.get(keyOf(row)) ?? 0) + row.costMicroUsd);
  return [...sums]
    .map(([name, costMicroUsd]) => ({ name, costMicroUsd }))
    .sort((a, b) => b.costMicroUsd - a.costMicroUsd);
}

const weekdays = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'UTC',
  weekday: 'short',
  day: 'numeric',
  month: 'short',
});
/** `2026-11-30` as `Mon 30 Nov`. */
const dayText = (day: string): string => weekdays.format(Date.parse(day)).replace(',', '');

/** As people read it; lists are of this month. */
export function costsText({ today, thisMonth, days }: Costs): string {
  const list = <Row extends { costMicroUsd: number }>(
    name: string,
    month: Row[],
    ofToday: Row[],
    label: (row: Row) => string,
  ) => {
    const spentToday = new Map(ofToday.map((row) => [label(row), row.costMicroUsd]));
    const texts = month.map(
      (row) => `${label(row)}: ${dollars(row.costMicroUsd)}, today ${dollars(spentToday.get(label(row)) ?? 0)}`,
    );
    return texts.length > 0
      ? [`**By ${name}, this month**`, ...texts.slice(0, SHOWN_TASKS).map((one) => `- ${one}`)]
      : [];
  };
  const by = (key: 'group' | 'model', rows: Costs['today']['rows']) => sumBy(rows, (row) => row[key]);
  const taskLabel = ({ task, title }: Costs['today']['tasks'][number]) =>
    task === null ? 'conversations' : `task ${task} ${shownLine(title ?? '', MAX_TITLE_CHARS)}`.trim();
  return [
    `**Today** ${dollars(today.costMicroUsd)} in ${today.calls} model calls, **this month** ${dollars(thisMonth.costMicroUsd)} in ${thisMonth.calls}.`,
    ...list('group', by('group', thisMonth.rows), by('group', today.rows), ({ name }) => `\`${name}\``),
    ...list('model', by('model', thisMonth.rows), by('model', today.rows), ({ name }) => `\`${name}\``),
    ...list('task', thisMonth.tasks, today.tasks, taskLabel),
    ...(days.length > 0
      ? [
          '**By day**',
          ...days.slice(0, SHOWN_DAYS).map(({ day, costMicroUsd }) => `- ${dayText(day)}: ${dollars(costMicroUsd)}`),
        ]
      : []),
  ].join('\n');
}
