#!/usr/bin/env node
// The `pinch` command: lets the scripts of a run send, ask, schedule and search. Each command is one call to the host.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as z from 'zod';
import { describeError } from '../../../src/core/errors.js';
import {
  askRequest,
  GATEWAY_PORT,
  historyRequest,
  mountRequest,
  sendRequest,
  serviceProposal,
  taskChange,
  taskInput,
} from '../../../src/wire.js';
import { createHost, type Host } from './host.js';
import { formatTime } from './prompt.js';

const HELP = `pinch send [--chat CHAT] TEXT             send a message; TEXT or PROMPT may be - for standard input
pinch ask QUESTION [CHOICE...]            ask the people of the chat; their answer starts a new run
pinch history [--limit N] QUERY           search the chats and memory files of this group
pinch service                             the APIs of the owner that are there for this group, and their rules
pinch service propose NAME < FILE         ask the owner for a new service: FILE is its entry of services.json, e.g.
      {"kind": "mcp", "packages": ["name@1.2.3"], "command": ["program"], "env": {"X": "NAME_IN_DOTENV"}, "egress": ["host:443"], "tools": {"*": "ask"}, "groups": ["main"]}
      or {"kind": "http", "url": "https://…", "auth": {"bearer": "NAME_IN_DOTENV"}, "groups": ["main"]}
pinch mount FOLDER [--rw] [--name NAME] [--group GROUP]   ask the owner for a folder of the machine, as /mnt/NAME
pinch wait APPROVAL                       wait up to 45 s for the owner's answer to the approval of this number
pinch task add WHEN [OPTIONS] PROMPT      WHEN: --cron "0 9 * * 1-5" | --every 30m | --at "in 5m" or YYYY-MM-DDTHH:MM
pinch task update ID [WHEN] [OPTIONS] [PROMPT]
pinch task list | pause ID | resume ID | cancel ID | run ID

OPTIONS  --title TEXT --tz ZONE --chat CHAT --context chat|fresh --misfire latest|skip|all --overlap skip|queue --after ID,ID
         --timeout 10m --jitter 30s --attempts N --budget USD_A_DAY --check FILE (a bash script: only when it prints something is the model woken)

Exit codes: 0 done, 1 refused or not possible now, 2 wrong usage.`;

const { PINCH_RUN, PINCH_PORT = GATEWAY_PORT, TZ = 'UTC' } = process.env;
const LIMIT_MS = 60_000;
const TASK_ACTIONS = ['add', 'list', ...taskChange.shape.action.options];
const TASK_FLAGS = Object.keys(taskInput.omit({ prompt: true }).shape);

type Call = (host: Host, caller: { runId: number; key: string }, signal: AbortSignal) => Promise<string>;

function askHost(path: string, body: object): Call {
  return (host, caller, signal) => host.ask(path, { ...body, ...caller }, signal);
}

function parse(args: string[], flags: string[] = []) {
  const options = Object.fromEntries(flags.map((name) => [name, { type: 'string' as const }]));
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  return { flags: values, words: positionals };
}

const textFrom = (words: string[]) => (words.join() === '-' ? readFileSync(0, 'utf8') : words.join(' '));

/** A task's fields from the flags; the caller checks the values. */
function taskFields({ check, after, attempts, budget, ...rest }: ReturnType<typeof parse>['flags']) {
  const script = check && readFileSync(check, 'utf8');
  const number = (text: string | undefined) => text && Number(text);
  const numbers = { attempts: number(attempts), budget: number(budget) };
  return { ...rest, check: script, after: after?.split(',').map(Number), ...numbers };
}

const numberOf = (word: string | undefined, what: string) =>
  z.coerce.number(`which ${what}? Give its number`).int().positive().parse(word);

function readTaskCall([action = '', ...args]: string[]): Call {
  if (!TASK_ACTIONS.includes(action)) throw new Error(`task takes one of ${TASK_ACTIONS.join(', ')}`);
  const { words, flags } = parse(args, action === 'add' || action === 'update' ? TASK_FLAGS : []);
  if (action === 'list') return askHost('/tasks/list', {});
  if (action === 'add') return askHost('/tasks', taskInput.parse({ ...taskFields(flags), prompt: textFrom(words) }));
  const [id, ...more] = words;
  if (action !== 'update' && more.length > 0) throw new Error(`what is "${more.join(' ')}" for?`);
  const fields = { ...taskFields(flags), ...(more.length > 0 && { prompt: textFrom(more) }) };
  const change = taskChange.parse({ action, ...(action === 'update' && { fields }) });
  return askHost(`/tasks/${numberOf(id, 'task')}`, change);
}

function readServiceCall([action, name = '']: string[]): Call {
  if (action === undefined || action === 'list') return askHost('/services/list', {});
  if (action !== 'propose') throw new Error('service takes list or propose');
  return askHost(
    '/mcp/propose',
    serviceProposal.omit({ runId: true }).parse({ name, config: readFileSync(0, 'utf8') }),
  );
}

/** The call that the arguments ask for. Throws when they are no command. */
function readCall([command, ...args]: string[]): Call {
  if (command === 'task') return readTaskCall(args);
  if (command === 'ask') {
    const [question, ...choices] = parse(args).words;
    return askHost('/ask', askRequest.omit({ runId: true, key: true }).parse({ question, choices }));
  }
  if (command === 'send') {
    const { words, flags } = parse(args, ['chat']);
    const message = sendRequest.omit({ runId: true, key: true }).parse({ text: textFrom(words), ...flags });
    return askHost('/send', message);
  }
  if (command === 'service') return readServiceCall(args);
  if (command === 'mount') {
    const { words, flags } = parse(
      args.filter((word) => word !== '--rw'),
      ['name', 'group'],
    );
    const wish = { path: words.join(' '), readOnly: !args.includes('--rw'), ...flags };
    return askHost('/mounts', mountRequest.omit({ runId: true }).parse(wish));
  }
  if (command === 'wait') return askHost(`/approvals/${numberOf(parse(args).words[0], 'approval')}/wait`, {});
  if (command !== 'history') throw new Error(`there is no command "${command}"`);
  const { words, flags } = parse(args, ['limit']);
  const { query, limit = 20 } = historyRequest.parse({ query: textFrom(words), limit: Number(flags.limit ?? 20) });
  return async (host, _caller, signal) => {
    const { results, memory, note } = await host.history(query, limit, signal);
    const lines = [
      ...memory.map((m) => `${m.file}:${m.line}: ${m.text}`),
      ...results.map((m) => `${formatTime(m.sentAt, TZ)} ${m.sender} in ${m.chat}: ${m.text}`),
    ];
    return [lines.join('\n') || 'Nothing found.', ...(note ? [note] : [])].join('\n');
  };
}

async function main(args: string[]): Promise<void> {
  let code = 2;
  try {
    if (/^(help|--help|-h|)$/.test(args[0] ?? '')) return console.log(HELP);
    const call = readCall(args);
    code = 1;
    if (!PINCH_RUN) throw new Error('this is no run of the agent: only commands that it started can do this');
    const caller = { runId: Number(PINCH_RUN), key: randomUUID() };
    console.log(await call(createHost(Number(PINCH_PORT)), caller, AbortSignal.timeout(LIMIT_MS)));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : describeError(error);
    console.error(`pinch: ${why}${code === 2 ? '\nSee `pinch help`.' : ''}`);
    process.exitCode = code;
  }
}

main(process.argv.slice(2));
