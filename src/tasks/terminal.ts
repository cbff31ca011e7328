// The terminal's commands about tasks and hooks.
import { z } from 'zod';
import { oneLine } from '../core/one-line.js';
import { originOf, reading, type TerminalCommand } from '../core/terminal.js';

const taskAnswer = z.object({
  id: z.number(),
  title: z.string(),
  state: z.string(),
  starts: z.string(),
  next: z.array(z.string()),
  failures: z.number(),
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
    call: 'GET /api/tasks',
    show: reading(
      z.object({ tasks: z.array(taskAnswer) }),
      ({ tasks }) => [...tasks.map(taskText), ...moreText(tasks)].join('\n') || 'no tasks',
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

function taskText({ id, title, state, starts, next, failures }: z.infer<typeof taskAnswer>): string {
  const failed = failures > 0 ? `, failed ${failures} times in a row` : '';
  return `${String(id).padStart(5)}  ${state.padEnd(7)}  ${oneLine(title, 80)}: ${starts.replaceAll('`', '')}${failed}${next[0] ? `, next ${next[0]}` : ''}`;
}
