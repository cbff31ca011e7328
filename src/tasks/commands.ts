// The chat commands about tasks: /tasks, /task, /heartbeat, /hook.

import { readAmount } from '../budgets/amount.js';
import { PinchError } from '../core/errors.js';
import { oneLine, shownLine } from '../core/one-line.js';
import type { Chat, Group } from '../core/types.js';
import { type ChatCommand, inGroup } from '../groups/chat-command.js';
import { taskName } from '../runs/unattended.js';
import { taskInput } from '../wire.js';
import { parseHeartbeat } from './heartbeat.js';
import { badTask } from './options.js';
import type { Task } from './rows.js';
import type { Store } from './store.js';
import type { Tasks } from './tasks.js';
import { taskConfirmation } from './text.js';
import { WHEN } from './when.js';

export interface TaskCommandDeps {
  store: Store;
  tasks: Tasks;
}

export function taskCommands(deps: TaskCommandDeps): ChatCommand[] {
  const { store } = deps;
  return [
    {
      usage: '/tasks [<group>]',
      what: 'what is scheduled here, what comes next first',
      inShort: 'what is planned, and when next',
      forMembers: true,
      answer: inGroup(store, (group, { byOwner, chat, argument }) =>
        byOwner
          ? deps.tasks.list(listedGroup(store, group, argument), { maxChars: MAX_LIST_CHARS })
          : deps.tasks.list(group.id, { chatId: chat.id, maxChars: MAX_LIST_CHARS }),
      ),
    },
    {
      usage: '/task add <when> <what> | <number> [show|edit|pause|resume|run|cancel|budget <amount>]',
      what: 'schedule something here, or see and change one of them',
      answer: inGroup(store, (group, { argument, chat }) =>
        /^add\b/i.test(argument) ? addTask(deps, chat, argument.slice(3)) : changeTask(deps, scopeOf(group), argument),
      ),
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

/** In one message of any channel. */
const MAX_LIST_CHARS = 3_500;

/** In the main group the owner may name one of the others. */
function listedGroup(store: Store, group: Group, folder: string): number | null {
  if (folder === '' || !group.isMain) return scopeOf(group);
  const named = store.groups.all().find((one) => one.folder === folder);
  if (named) return named.id;
  throw new PinchError('not_found', `there is no group "${oneLine(folder, 60)}"`, { hint: '`/status` names them' });
}

const USAGE =
  'Write `/task <number> show`, or `edit`, `pause`, `resume`, `run`, `cancel` or `budget <US dollars a day>` instead of `show`, or `/task add <when> <what>`; `/tasks` has the numbers.';
const ADD_USAGE = `Write \`/task add\`, when and what, for example \`/task add every weekday at 8:30 tell me the weather\`; when: ${WHEN}.`;
const EDIT_USAGE = `Write \`/task <number> edit when <when>\`, \`edit what <what>\`, \`edit title <title>\`, or \`edit <when> <what>\`; when: ${WHEN}.`;

function addTask({ tasks }: TaskCommandDeps, chat: Chat, argument: string): string {
  const { prompt, ...when } = argument.trim() === '' ? { prompt: '' } : tasks.read(argument);
  if (prompt === '') return ADD_USAGE;
  const task = tasks.add({ ...when, ...checkedWords({ prompt }), prompt }, chat);
  return taskConfirmation(task, when.tz);
}

/** What people write may be as long as what an agent writes, and no longer. */
function checkedWords(fields: { prompt?: string; title?: string }): { prompt?: string; title?: string } {
  const { data, error } = taskInput.pick({ prompt: true, title: true }).partial().safeParse(fields);
  if (data) return { ...(data.prompt && { prompt: data.prompt }), ...(data.title && { title: data.title }) };
  throw badTask(error.issues[0]?.message ?? 'that is too long');
}

/** The new times, words or title of a task, or times and words at once. */
function editTask({ tasks }: TaskCommandDeps, task: Task, argument: string): string {
  const [, field = '', value = ''] = /^(when|what|title)\s+([\s\S]+)$/i.exec(argument) ?? [];
  const name = field.toLowerCase();
  if (argument === '' || (name === '' && /^(when|what|title)$/i.test(argument))) return EDIT_USAGE;
  if (name === 'what') return edited(tasks.change(task, { action: 'update', fields: checkedWords({ prompt: value }) }));
  if (name === 'title') return edited(tasks.change(task, { action: 'update', fields: checkedWords({ title: value }) }));
  const { prompt, ...when } = tasks.read(name === 'when' ? value : argument);
  if (name === 'when' && prompt !== '') return EDIT_USAGE;
  const words = prompt === '' ? {} : checkedWords({ prompt });
  return taskConfirmation(tasks.change(task, { action: 'update', fields: { ...when, ...words } }), when.tz);
}

const edited = (task: Task): string => `${taskConfirmation(task)}\n> ${shownLine(task.prompt, 300)}`;

function changeTask(deps: TaskCommandDeps, scope: number | null, argument: string): string {
  const { tasks } = deps;
  const [number = '', action = 'show'] = argument.toLowerCase().split(/\s+/);
  if (!/^\d{1,15}$/.test(number)) return USAGE;
  const task = tasks.find(Number(number), scope);
  switch (action) {
    case 'show':
      return tasks.details(task);
    case 'edit':
      return editTask(deps, task, argument.replace(/^\S+\s+\S+\s*/, ''));
    case 'run':
      tasks.change(task, { action });
      return `${taskName(task)} starts now, unless it is working already.`;
    case 'pause':
    case 'resume':
    case 'cancel':
      return taskConfirmation(tasks.change(task, { action }));
    case 'budget': {
      const budget = taskInput.shape.budget.safeParse(readAmount(argument.replace(/^\S+\s+\S+\s*/, ''))).data;
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
