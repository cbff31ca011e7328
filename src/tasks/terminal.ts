// The terminal's commands about tasks and hooks.
import { z } from 'zod';
import { systemClock } from '../core/clock.js';
import { oneLine, printable } from '../core/one-line.js';
import { columns, originOf, reading, type TerminalCommand } from '../core/terminal.js';
import { shortTime } from '../core/times.js';

const taskAnswer = z.object({
  id: z.number(),
  title: z.string(),
  state: z.string(),
  starts: z.string(),
  next: z.array(z.string()),
  failures: z.number(),
  nextAt: z.number().nullable(),
});

const oneTask = taskAnswer.extend({
  prompt: z.string(),
  chatTitle: z.string(),
  costTodayMicroUsd: z.number(),
  slots: z.array(
    z.object({
      slotAt: z.number(),
      state: z.string(),
      count: z.number(),
      runId: z.number().nullable(),
      detail: z.string(),
    }),
  ),
});

const hookAnswer = z.object({ id: z.number(), secret: z.string().nullable(), signed: z.boolean().default(false) });

/** A command that calls the hook. */
function hookCall({ secret, signed }: z.infer<typeof hookAnswer>, url: string): string {
  if (!signed) return `curl -X POST ${url} -H 'Authorization: Bearer ${secret}' -d 'what happened'`;
  return [
    `body='what happened'; at=$(date +%s)`,
    `signature=$(printf '%s.%s' "$at" "$body" | openssl dgst -sha256 -hmac '${secret}' -r | cut -d' ' -f1)`,
    `curl -X POST ${url} -H "X-Pinch-Timestamp: $at" -H "X-Pinch-Signature: sha256=$signature" --data-raw "$body"`,
  ].join('\n');
}

export const taskTerminal: TerminalCommand[] = [
  {
    usage: 'tasks',
    what: 'what is scheduled',
    isEveryday: true,
    call: 'GET /api/tasks',
    show: reading(z.object({ tasks: z.array(taskAnswer) }), ({ tasks }, { timeZone }) =>
      tasks.length === 0
        ? 'no tasks'
        : [columns([HEADING, ...tasks.map((task) => taskCells(task, timeZone))]), ...moreText(tasks)].join('\n'),
    ),
  },
  {
    usage: 'hook <id>',
    what: 'the secret of a hook',
    call: 'GET /api/tasks/:id/secret',
    show: reading(hookAnswer, (hook, config) =>
      hook.secret === null ? `Task ${hook.id} has no hook.` : hookCall(hook, `${originOf(config)}/hooks/${hook.id}`),
    ),
  },
];

/** The API gives a thousand at a time. */
const moreText = (tasks: { id: number }[]): string[] =>
  tasks.length < 1_000 ? [] : [`There may be more: GET /api/tasks?after=${tasks.at(-1)?.id} has the next ones.`];

const HEADING = ['TASK', 'STATE', 'NEXT', 'FAILED', 'STARTS', 'TITLE'];

function taskCells(
  { id, state, nextAt, failures, starts, title }: z.infer<typeof taskAnswer>,
  timeZone: string,
): string[] {
  const next = nextAt === null ? '' : shortTime(nextAt, systemClock.now(), timeZone);
  return [`${id}`, state, next, failures === 0 ? '' : `${failures}×`, starts.replaceAll('`', ''), oneLine(title, 80)];
}

/** One task with its next times and latest slots, of `GET /api/tasks/:id`. */
export const showTask = reading(z.object({ task: oneTask }), ({ task }, { timeZone }) => taskText(task, timeZone));

function taskText(task: z.infer<typeof oneTask>, timeZone: string): string {
  const now = systemClock.now();
  const slots = task.slots.map(({ slotAt, state, count, runId, detail }) => [
    shortTime(slotAt, now, timeZone),
    count > 1 ? `${state} ${count}×` : state,
    runId === null ? '' : `run ${runId}`,
    oneLine(detail, 100),
  ]);
  return [
    columns([HEADING, taskCells(task, timeZone)]),
    '',
    `For ${oneLine(task.chatTitle, 60)}, $${(task.costTodayMicroUsd / 1_000_000).toFixed(4)} today:`,
    ...printable(task.prompt)
      .split('\n')
      .map((line) => `  ${line}`),
    ...(task.next.length > 0 ? ['', `Next: ${task.next.join(' · ')}`] : []),
    ...(slots.length > 0 ? ['', columns(slots)] : []),
  ].join('\n');
}
