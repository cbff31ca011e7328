// `pinch task …` in the terminal: what `/task` is in a chat, over the daemon's JSON API.
import { z } from 'zod';
import { systemClock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import { visible } from '../core/visible.js';
import { showTask } from './terminal.js';
import { parseWhen } from './when.js';

interface TaskCall {
  config: Config;
  argument: string | undefined;
  rest: string[];
  values: { json?: string | boolean | undefined; chat?: string | boolean | undefined };
  ask(call: string, body?: object): Promise<unknown>;
}

const changed = z.object({
  task: z.object({
    id: z.number(),
    title: z.string(),
    state: z.string(),
    starts: z.string(),
    next: z.array(z.string()),
  }),
});
const usage = (what: string, hint: string) => new PinchError('usage', what, { hint });
const ADD = 'pinch task add "every weekday at 8:30" "tell me the weather"';
const EDIT = 'pinch task 3 edit when "every 2h", `edit what "…"`, `edit title "…"` or edit "every 2h" "…"';

export const taskCommand = {
  usage: 'task <id|add> [action] [words…]',
  what: 'one task with its next times and latest slots; `add "<when>" "<what>"` (--chat <channel:address>), `<id> edit|pause|resume|cancel|run`',
  options: ['chat'] as const,
  async run(call: TaskCall): Promise<number> {
    const answer = await carryOut(call);
    const { data } = changed.safeParse(answer);
    const isLook = call.rest.length === 0 && call.argument !== 'add';
    const forPeople = () => (isLook ? showTask(answer, call.config) : data && lineOf(data.task));
    const text = (call.values.json ? undefined : forPeople()) ?? JSON.stringify(answer, null, 2);
    process.stdout.write(`${visible(text)}\n`);
    return 0;
  },
};

function carryOut(call: TaskCall): Promise<unknown> {
  const { argument = '', rest, ask, values } = call;
  if (argument === 'add') {
    const { prompt, ...when } = read(call, rest.join(' '));
    if (prompt === '') throw usage('what shall be done then?', ADD);
    return ask('POST /api/tasks', { ...when, prompt, ...(values.chat && { chat: values.chat }) });
  }
  if (!/^\d{1,15}$/.test(argument)) throw usage('which one? Give its number, or `add`', '`tasks` lists them');
  const [action, ...words] = rest;
  const path = `/api/tasks/${argument}`;
  if (action === undefined) return ask(`GET ${path}`);
  if (action === 'run') return ask(`POST ${path}/run`);
  if (['pause', 'resume', 'cancel'].includes(action)) return ask(`PATCH ${path}`, { action });
  if (action === 'edit' && words.length > 0) return ask(`PATCH ${path}`, edited(call, words));
  throw usage(
    `there is no \`task ${argument} ${oneLine(rest.join(' '), 60)}\``,
    action === 'edit' ? EDIT : 'edit, pause, resume, cancel or run',
  );
}

function edited(call: TaskCall, [field = '', ...words]: string[]): object {
  const text = words.join(' ');
  if (['when', 'what', 'title'].includes(field) && text === '') throw usage(`${field} shall it be?`, EDIT);
  if (field === 'what') return { prompt: text };
  if (field === 'title') return { title: text };
  const { prompt, ...when } = read(call, field === 'when' ? text : [field, ...words].join(' '));
  return { ...when, ...(prompt !== '' && { prompt }) };
}

function read({ config }: TaskCall, text: string) {
  const { when, rest } = parseWhen(text, { now: systemClock.now(), timeZone: config.timeZone });
  return { ...when, prompt: rest };
}

function lineOf({ id, title, state, starts, next }: z.infer<typeof changed>['task']): string {
  return `Task ${id} (${oneLine(title, 80)}) is ${state}, ${starts.replaceAll('`', '')}${next.length > 0 ? `; next: ${next.join(' · ')}` : ''}`;
}
