// The terminal's commands about tasks and hooks.
import { z } from 'zod';
import { systemClock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { oneLine, printable } from '../core/one-line.js';
import { columns, firstOf, MOST_ROWS, originOf, reading, type TerminalCommand } from '../core/terminal.js';
import { shortTime } from '../core/times.js';
import { visible } from '../core/visible.js';

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

const page = z.object({ tasks: z.array(taskAnswer.loose()), count: z.number().optional() });
const SHOWN = 50;

interface ListCall {
  config: Config;
  argument: string | undefined;
  values: { json?: string | boolean | undefined; all?: string | boolean | undefined };
  ask(call: string): Promise<unknown>;
}

export const tasksCommand = {
  usage: 'tasks [group]',
  what: `what is scheduled, of one group or of all: the next ${SHOWN}, or --all`,
  isEveryday: true as const,
  options: ['all'] as const,
  async run({ config, argument, values, ask }: ListCall): Promise<number> {
    const group = argument === undefined ? '' : `&group=${encodeURIComponent(argument)}`;
    const isAll = values.all === true || values.json === true;
    const { tasks, count } = isAll
      ? { tasks: await allTasks(ask, group), count: undefined }
      : page.parse(await ask(`GET /api/tasks?order=next&limit=${SHOWN}${group}`));
    const command = ['tasks', ...(argument === undefined ? [] : [argument])].join(' ');
    const table = (some: typeof tasks) => columns([HEADING, ...some.map((task) => taskCells(task, config.timeZone))]);
    const forPeople = () =>
      tasks.length === 0 ? 'no tasks' : firstOf(tasks, { shown: SHOWN, isAll, command, count }, table);
    process.stdout.write(`${visible(values.json ? JSON.stringify({ tasks }, null, 2) : forPeople())}\n`);
    return 0;
  },
};

/** Page by page, in the order of their numbers. */
async function allTasks(ask: ListCall['ask'], group: string) {
  const all: z.infer<typeof page>['tasks'] = [];
  for (let more = true; more; ) {
    const { tasks } = page.parse(await ask(`GET /api/tasks?after=${all.at(-1)?.id ?? 0}&limit=${MOST_ROWS}${group}`));
    all.push(...tasks);
    more = tasks.length === MOST_ROWS;
  }
  return all;
}

export const taskTerminal: TerminalCommand[] = [
  {
    usage: 'hook <id>',
    what: 'the secret of a hook',
    call: 'GET /api/tasks/:id/secret',
    show: reading(hookAnswer, (hook, config) =>
      hook.secret === null ? `Task ${hook.id} has no hook.` : hookCall(hook, `${originOf(config)}/hooks/${hook.id}`),
    ),
  },
];

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
