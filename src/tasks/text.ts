// What people and models read about tasks: times in their zone, lines of a list, notices to the owner. Pure.
import { oneLine, printable, quoted, shownLine } from '../core/one-line.js';
import { timeText } from '../core/times.js';
import { MAX_TITLE_CHARS, taskName } from '../runs/unattended.js';
import { isTimed, type SlotView, type Starts, type Task } from './rows.js';
import { nextSlots } from './schedule.js';

const UNITS = [
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** 5400000 as `1h30m`. */
export function durationText(ms: number): string {
  let left = ms;
  const parts = UNITS.map(([unit, size]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return count > 0 ? `${count}${unit}` : '';
  });
  return parts.join('') || '0s';
}

export function startsText(starts: Starts): string {
  switch (starts.kind) {
    case 'cron':
      return `cron \`${starts.cron}\` (${starts.timeZone})`;
    case 'every':
      return `every ${durationText(starts.everyMs)}`;
    case 'once':
      return `once (${starts.timeZone})`;
    case 'hook':
      return starts.signed ? 'when its hook is called, signed with the time' : 'when its hook is called';
    case 'files':
      return `when a file \`${oneLine(starts.pattern, 100).replaceAll('`', '')}\` appears in inbox/`;
  }
}

/** The next three times in the task's zone, as text; empty when there are none. */
export function nextTimes({ starts, state, nextAt }: Task): string[] {
  if (state !== 'active' || nextAt === null || !isTimed(starts)) return [];
  return [nextAt, ...nextSlots(starts, nextAt, 2)].map((at) => timeText(at, starts.timeZone));
}

/** Whoever made a task chose its title, and whatever failed its error. */
const MAX_ERROR_CHARS = 500;

/** What the asker is told about a new or changed task: when it comes next. `tz`: the zone as they wrote it. */
export function taskConfirmation(task: Task, tz?: string): string {
  const times = nextTimes(task);
  const state = task.state === 'active' ? 'scheduled' : task.state;
  const zoneName = 'timeZone' in task.starts ? task.starts.timeZone : undefined;
  const zone = zoneName ? ` (${zoneName})` : '';
  // `CST` is the name of several zones, and `EST` knows no summer time.
  const isOther = tz && zoneName && !tz.includes('/') && tz.toLowerCase() !== zoneName.toLowerCase();
  const taken = isOther ? ` "${tz}" was taken for ${zoneName}: if another one is meant, name a city of it.` : '';
  const next = times.length > 0 ? ` Next: ${times.join(' · ')}${zone}.` : '';
  return `${taskName(task)} is ${state}, ${startsText(task.starts)}.${next}${taken}`;
}

/** More than that is no list any more. */
export const MAX_LISTED = 50;

interface ListManner {
  /** What became of a task's last time. */
  lastOf(task: Task): string;
  maxChars?: number | undefined;
}

/** The first ones of `count`, each with what became of its last time: as many as have room. */
export function taskList(
  tasks: Task[],
  count: number,
  { lastOf, maxChars = Number.POSITIVE_INFINITY }: ListManner,
): string {
  let left = maxChars;
  const lines = tasks.slice(0, MAX_LISTED).map((task) => taskLine(task, lastOf(task)));
  const fits = lines.findIndex((line) => {
    left -= line.length + 1;
    return left < 0;
  });
  if (fits >= 0) lines.length = fits;
  const more = count - lines.length;
  return [...lines, ...(more > 0 ? [`… and ${more} more`] : [])].join('\n') || 'There are no tasks.';
}

function taskLine(task: Task, last = ''): string {
  const { id, title, state, failures, starts } = task;
  const [next] = nextTimes(task);
  const notes = [
    state === 'active' ? '' : state,
    failures > 1 ? `failed ${failures} times in a row` : '',
    next ? `next ${next}${zoneOf(starts)}` : '',
    last,
  ];
  return [`**${id}** ${shownLine(title, MAX_TITLE_CHARS)}: ${startsText(starts)}`, ...notes.filter(Boolean)].join(', ');
}

const MAX_WHY_CHARS = 160;

/** Of a task's newest slot, if there is one: `last Mon 23 Nov 2026, 09:00: failed in run 3 (why)`. */
export function lastText([slot]: SlotView[], timeZone: string): string {
  if (!slot || slot.state === 'waiting') return '';
  const { slotAt, state, detail, runId } = slot;
  const of = runId === null ? '' : ` in run ${runId}`;
  return `last ${timeText(slotAt, timeZone)}: ${state}${of}${detail ? ` (${shownLine(detail, MAX_WHY_CHARS)})` : ''}`;
}

/** That of a cron pattern stands beside it. */
const zoneOf = (starts: Starts): string => (starts.kind === 'every' ? ` (${starts.timeZone})` : '');

export interface TaskFacts {
  chatTitle: string;
  /** Newest first. */
  slots: SlotView[];
  costTodayMicroUsd: number;
}

/** All there is to know. */
export function taskDetails(task: Task, facts: TaskFacts, timeZone: string): string {
  const { chatTitle, slots, costTodayMicroUsd } = facts;
  const { misfire, overlap, context, after, check, budgetMicroUsd } = task.options;
  const dollars = (microUsd: number) => `$${(microUsd / 1e6).toFixed(2)}`;
  const limit = budgetMicroUsd === undefined ? '' : ` of ${dollars(budgetMicroUsd)}`;
  const times = nextTimes(task);
  const rules = [`misfire ${misfire}`, `overlap ${overlap}`, `context ${context}`];
  if (after.length > 0) rules.push(`after ${after.join(', ')}`);
  if (check) rules.push('with a check script');
  return [
    taskLine(task),
    `To: ${shownLine(chatTitle, MAX_TITLE_CHARS)} (${rules.join(', ')}); cost today: ${dollars(costTodayMicroUsd)}${limit}`,
    ...(times.length > 0 ? [`Next: ${times.join(' · ')}`] : []),
    `> ${printable(task.prompt).replaceAll('\n', '\n> ')}`,
    ...slots.map((slot) => slotLine(slot, timeZone)),
  ].join('\n');
}

function slotLine({ slotAt, state, count, detail, runId, delivery }: SlotView, timeZone: string): string {
  const facts = [
    count > 1 ? `${state} ×${count}` : state,
    runId === null ? '' : `run ${runId}`,
    delivery === null ? '' : `message ${delivery}`,
    shownLine(detail, MAX_ERROR_CHARS),
  ];
  return `- ${timeText(slotAt, timeZone)}: ${facts.filter(Boolean).join(', ')}`;
}

/** What the owner is told. */
export const taskNotices = {
  failed: (task: Task, error: string): string =>
    `${taskName(task)} failed. ${quoted(error)}\n\nIts next times stay as they are. \`/task ${task.id} run\` tries it again now.`,
  paused: (task: Task, failures: number, error: string): string =>
    `${taskName(task)} failed${failures > 1 ? ` ${failures} times in a row` : ''} and is paused. ${quoted(error)}\n\n\`/task ${task.id} resume\` starts it again.`,
  tooMany: (folder: string, why: string): string =>
    `I refused tasks in group \`${folder}\`: ${why}.\n\n\`/tasks\` there lists them, \`/task <number> cancel\` removes one. More of such refusals today are only in the timelines of its runs.`,
  blocked: (task: Task, why: string): string => `${taskName(task)} did not run: ${why}.`,
  missed: (task: Task): string =>
    `${taskName(task)} was due while this machine was off; it did not run.\n\n\`/task ${task.id} run\` runs it now.`,
};
