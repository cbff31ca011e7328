// The chat commands about tasks: /tasks, /task, /heartbeat, /hook.

import type { Chat, Group } from '../core/types.js';
import { type ChatCommand, inGroup } from '../groups/chat-command.js';
import { taskName } from '../runs/unattended.js';
import { taskInput } from '../wire.js';
import { parseHeartbeat } from './heartbeat.js';
import type { Store } from './store.js';
import type { Tasks } from './tasks.js';
import { taskConfirmation } from './text.js';

export interface TaskCommandDeps {
  store: Store;
  tasks: Tasks;
}

export function taskCommands(deps: TaskCommandDeps): ChatCommand[] {
  const { store } = deps;
  return [
    {
      usage: '/tasks',
      what: 'what is scheduled here',
      forMembers: true,
      answer: inGroup(store, (group, { byOwner, chat }) =>
        byOwner ? deps.tasks.list(scopeOf(group)) : deps.tasks.list(group.id, chat.id),
      ),
    },
    {
      usage: '/task <number> show|pause|resume|run|cancel|budget <amount>',
      what: 'one of them',
      answer: inGroup(store, (group, { argument }) => changeTask(deps, scopeOf(group), argument)),
    },
    {
      usage: '/heartbeat every 30m 8-22 | off',
      what: 'look into `HEARTBEAT.md` now and then and do what is due',
      answer: inGroup(store, (_group, { chat, argument }) => setHeartbeat(deps, chat, argument)),
    },
    {
      usage: '/hook [signed | files <pattern>] <what to do>',
      what: 'start work when another program calls, or when a file appears in `inbox/`',
      answer: inGroup(store, (_group, { chat, argument }) => addHook(deps, chat, argument)),
    },
  ];
}

/** In the main group the owner sees the tasks of all. */
const scopeOf = ({ isMain, id }: Group): number | null => (isMain ? null : id);

const USAGE =
  'Write `/task <number> show`, or `pause`, `resume`, `run`, `cancel` or `budget <US dollars a day>` instead of `show`; `/tasks` has the numbers.';

function changeTask({ tasks }: TaskCommandDeps, scope: number | null, argument: string): string {
  const [number = '', action = 'show', amount] = argument.toLowerCase().split(/\s+/);
  if (!/^\d{1,15}$/.test(number)) return USAGE;
  const task = tasks.find(Number(number), scope);
  switch (action) {
    case 'show':
      return tasks.details(task);
    case 'run':
      tasks.change(task, { action });
      return `${taskName(task)} starts now, unless it is working already.`;
    case 'pause':
    case 'resume':
    case 'cancel':
      return taskConfirmation(tasks.change(task, { action }));
    case 'budget': {
      const budget = taskInput.shape.budget.safeParse(Number(amount?.replace(/^\$/, ''))).data;
      if (budget === undefined) return USAGE;
      tasks.change(task, { action: 'update', fields: { budget } });
      return `${taskName(task)} may cost $${budget.toFixed(2)} a day.`;
    }
    default:
      return USAGE;
  }
}

function setHeartbeat({ store, tasks }: TaskCommandDeps, chat: Chat, argument: string): string {
  const known = tasks.open(chat.groupId).find((task) => task.key.startsWith(`heartbeat:${chat.groupId}:`));
  if (argument === '')
    return known ? tasks.details(known) : 'There is no heartbeat. `/heartbeat every 30m 8-22` starts one.';
  if (argument.toLowerCase() === 'off') {
    if (known) tasks.change(known, { action: 'cancel' });
    return 'There is no heartbeat any more.';
  }
  const input = parseHeartbeat(argument);
  if (known) tasks.change(known, { action: 'cancel' });
  const task = tasks.add(input, chat, { key: `heartbeat:${chat.groupId}:${store.tasks.count()}` });
  return `${taskConfirmation(task)} It may cost $${input.budget.toFixed(2)} a day and looks into \`HEARTBEAT.md\` of this group.`;
}

const HOOK_USAGE =
  'Write `/hook <what I shall do when it is called>` (`/hook signed …` takes only calls that are signed with their time), or `/hook files *.pdf <what I shall do with each new file in inbox/>`; `/tasks` lists them.';

function addHook({ tasks }: TaskCommandDeps, chat: Chat, argument: string): string {
  const [, pattern, prompt = argument] = /^files\s+(\S+)\s+([\s\S]+)$/i.exec(argument) ?? [];
  if (prompt.trim() === '' || ['files', 'signed'].includes(prompt)) return HOOK_USAGE;
  if (pattern !== undefined)
    return taskConfirmation(tasks.add({ prompt, overlap: 'queue' }, chat, { starts: { kind: 'files', pattern } }));
  const [, asked] = /^signed\s+([\s\S]+)$/i.exec(argument) ?? [];
  const starts = { kind: 'hook' as const, ...(asked !== undefined && { signed: true as const }) };
  const task = tasks.add({ prompt: asked ?? prompt, overlap: 'queue' }, chat, { starts });
  return (
    `${taskConfirmation(task)}\n\nIts address is \`POST /hooks/${task.id}\` on the page's port. The secret stays on the machine: ` +
    `\`npm run -s pinch -- hook ${task.id}\` shows it.`
  );
}
