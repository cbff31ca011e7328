// The chat commands as data: their names, who may use them, what they say about themselves. Effects are in commands.ts above.

const taskCommands = ['tasks', 'task', 'heartbeat', 'hook'] as const;
export const commandNames = ['help', 'status', ...taskCommands, 'stop', 'new', 'register', 'pair'] as const;
export type CommandName = (typeof commandNames)[number];

export interface Command {
  name: CommandName;
  /** Everything behind the name, trimmed. */
  argument: string;
  /** People in a registered chat may use it; the others are the owner's. */
  forMembers: boolean;
}

const descriptions: Record<CommandName, { usage: string; what: string; forMembers: boolean }> = {
  help: { usage: '/help', what: 'this list', forMembers: true },
  status: { usage: '/status', what: 'what is running, waiting and connected', forMembers: true },
  tasks: { usage: '/tasks', what: 'what is scheduled here', forMembers: true },
  task: { usage: '/task <number> show|pause|resume|run|cancel', what: 'one of them', forMembers: false },
  heartbeat: {
    usage: '/heartbeat every 30m 8-22 | off',
    what: 'look into `HEARTBEAT.md` now and then and do what is due',
    forMembers: false,
  },
  hook: {
    usage: '/hook [signed | files <pattern>] <what to do>',
    what: 'start work when another program calls, or when a file appears in `inbox/`',
    forMembers: false,
  },
  stop: {
    usage: '/stop',
    what: 'stop what I am doing in this chat (`/stop all`: everything, until `/resume` on the page or `pinch resume`)',
    forMembers: false,
  },
  new: { usage: '/new', what: 'start a new conversation; memory files stay', forMembers: false },
  register: {
    usage: '/register <folder> [all | listed <name>…]',
    what: 'let me work in this chat, with its own memory folder; `listed`: only the named people (and you) may ask me',
    forMembers: false,
  },
  pair: {
    usage: '/pair <code>',
    what: 'make you the owner on this channel (code: `npm run -s pinch -- pair`)',
    forMembers: false,
  },
};

/** Parses `/name argument`; undefined when the text is no known command. Never throws. */
export function parseCommand(text: string): Command | undefined {
  const match = /^\/([a-z]+)(?:\s+([\s\S]*))?$/i.exec(text.trim());
  const word = match?.[1]?.toLowerCase();
  const name = word === 'start' ? 'help' : commandNames.find((known) => known === word);
  return name && { name, argument: (match?.[2] ?? '').trim(), forMembers: descriptions[name].forMembers };
}

export function helpText(assistantName: string): string {
  const lines = commandNames.map((name) => `- \`${descriptions[name].usage}\` — ${descriptions[name].what}`);
  return `I am ${assistantName}. In a direct chat just write; in a group say @${assistantName} or reply to me.\n\n${lines.join('\n')}`;
}

export type Registration =
  | { ok: true; folder: string; sendersPolicy: 'all' | 'listed'; listed: string[] }
  | { ok: false; problem: string };

/** Reads the argument of `/register`. */
export function parseRegistration(argument: string): Registration {
  const [folder = '', policy = 'all', ...listed] = argument.split(/\s+/).filter(Boolean);
  const problem = folderProblem(folder);
  if (problem) return { ok: false, problem };
  if (policy !== 'all' && policy !== 'listed') {
    return {
      ok: false,
      problem: `"${policy}" is neither \`all\` nor \`listed\`. Example: /register family listed Anna @ben`,
    };
  }
  return { ok: true, folder, sendersPolicy: policy, listed };
}

/** Why a name cannot be a group folder, or undefined when it can: lower-case letters, digits, `-` and `_`, at most 40. */
export function folderProblem(folder: string): string | undefined {
  if (folder === '') return 'Tell me a folder name for its memory. Example: /register family';
  if (folder === 'global') return '"global" is the memory every group reads; choose another name.';
  if (/^[a-z0-9][a-z0-9_-]{0,39}$/.test(folder)) return undefined;
  return `"${folder}" cannot be a folder: use lower-case letters, digits, - and _ (at most 40). Example: /register family`;
}
