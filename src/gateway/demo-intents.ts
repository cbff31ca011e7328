// What the demo model understands: one line of patterns per ability, each a tool call and how to tell its result. Pure.
import { parseWhen } from './demo-when.js';

export type Plan =
  | { kind: 'say'; text: string }
  | { kind: 'call'; tool: string; input: Record<string, unknown>; tell(result: string): string };

export interface PlanContext {
  /** Names of the tools of this request. */
  tools: ReadonlySet<string>;
  /** The group's folder as the agent sees it. */
  workspace: string;
}

interface Ability {
  pattern: RegExp;
  plan(match: string[], context: PlanContext, whole: string): Plan | undefined;
}

export const HELP = `Hello! I am the **demo model**: a small script, not an AI. I am here so that you can see Pinch work before you connect a real model: your messages, the container, its tools and the files are all real.

Five things to try:
1. \`remember that my bike is blue\`, then \`what do you remember?\`
2. \`run: uname -a && whoami\` (runs in this group's own container)
3. \`list files\`
4. \`search for bike\` (looks through this group's messages)
5. \`todo: buy bread, call Anna\`

Also: \`read <file>\`, \`write <file>: <text>\`, \`send: <text>\`, \`fetch <url>\`, \`remind me in 5m to stretch\`.`;

const KNOWN_COMMANDS =
  'ls|pwd|date|uname|cat|echo|printf|whoami|id|df|du|ps|env|hostname|uptime|free|find|grep|rg|head|tail|wc|touch|mkdir|rm|cp|mv|git|python3|node|jq|curl|sleep|seq|for|while|test|true|false';

const abilities: readonly Ability[] = [
  {
    pattern: /^(?:hi|hello|hey|help|start|what can you do)\b[\s\S]{0,40}$/i,
    plan: () => ({ kind: 'say', text: HELP }),
  },
  { pattern: /^reminder: ?([\s\S]+)/i, plan: ([what = '']) => ({ kind: 'say', text: `⏰ Reminder: ${what}` }) },
  {
    pattern: /^(?:(?:what|which) (?:tasks|reminders)|(?:list|show)(?: me)?(?: my| the)? (?:tasks|reminders))/i,
    plan: listTasks,
  },
  { pattern: /^cancel (?:the )?(?:task|reminder) #?(\d+)/i, plan: cancelTask },
  {
    pattern: /^(?:remind me|every|in \d|at \d|tomorrow)[\s\S]*/i,
    plan: (_match, context, whole) => schedule(whole, context),
  },
  { pattern: /^(?:please )?(?:remember|note|keep in mind)(?: that| this)?[:,]? ([\s\S]+)/i, plan: remember },
  {
    pattern:
      /^(?:recall|memory)\b|(?:do|can) you (?:remember|recall|know)\b|\byour memory\b|^(?:what|who|where|when|which)\b.{0,60}\b(?:my|our|am i)\b/i,
    plan: recall,
  },
  {
    pattern: /^(?:run|execute|bash)\b(?: the command)?\s*:?\s*(`+)(?:\w*\n)?([\s\S]+?)\1/i,
    plan: ([, command], context) => run(command, context),
  },
  { pattern: /^(?:(?:run|execute|bash)\s*:|\$)\s*([\s\S]+)/i, plan: ([command], context) => run(command, context) },
  {
    pattern: new RegExp(`^(?:run|execute)(?: the command)? ((?:${KNOWN_COMMANDS})\\b[\\s\\S]*)`, 'i'),
    plan: ([command], context) => run(command, context),
  },
  {
    pattern: /\b(?:list|show|see)\b.{0,20}\bfiles\b|\b(?:what|which) files\b/i,
    plan: (_match, context) => run(`ls -la ${quote(context.workspace)}`, context),
  },
  { pattern: /^(?:search|look)(?: the)?(?: history| messages| chats?)?(?: for)?:? ([\s\S]+)/i, plan: search },
  { pattern: /^to-?do(?: list)?:? ([\s\S]+)/i, plan: todo },
  { pattern: /^send(?: a message)?: ?([\s\S]+)/i, plan: sendNow },
  { pattern: /^write (?:to )?`?([^\s`:]+)`?: ?([\s\S]+)/i, plan: write },
  { pattern: /^(?:read|show)(?: the)?(?: file)? `?([\w./-]*[./][\w./-]+)`?$/i, plan: read },
  { pattern: /^(?:fetch |open |get )?(https?:\/\/\S+)$/i, plan: fetchPage },
];

/** What to do about one message. Never throws. */
export function planFor(message: string, context: PlanContext): Plan {
  const text = message
    .replace(/^\s*@[\p{L}\p{N}_-]+[\s,:]*/u, '')
    .replace(/[\s,]*@[\p{L}\p{N}_-]+\s*$/u, '')
    .trim();
  for (const { pattern, plan } of abilities) {
    const match = pattern.exec(text);
    const found = match && plan(match.slice(1), context, text);
    if (found) return found;
  }
  const quoted = text.slice(0, 300).replace(/\s+/g, ' ');
  return {
    kind: 'say',
    text: `You said: “${quoted}”. I am only the demo model and follow a script, so I have no real answer to that. Say \`help\` to see what I can do.`,
  };
}

function call(
  tool: string,
  input: Record<string, unknown>,
  context: PlanContext,
  tell: (result: string) => string,
): Plan {
  if (context.tools.has(tool)) return { kind: 'call', tool, input, tell };
  return {
    kind: 'say',
    text: `I would use the tool \`${tool}\` for that, but it is not available in this version of Pinch yet.`,
  };
}

function remember([what = '']: string[], context: PlanContext): Plan {
  const fact = what.trim().replace(/\s+/g, ' ');
  const file = quote(`${context.workspace}/CLAUDE.md`);
  // A file that does not end in a newline would swallow the new line.
  const newline = `if [ -s ${file} ] && [ -n "$(tail -c 1 ${file})" ]; then echo >> ${file}; fi`;
  const command = `${newline}; printf '%s\\n' ${quote(`- ${fact}`)} >> ${file} && tail -n 1 ${file}`;
  return call('bash', { command }, context, (result) =>
    /\[exit code/.test(result)
      ? `I could not write it down:\n${fence(result)}`
      : `I wrote it down in \`CLAUDE.md\`, the memory of this group:\n\n${result.trim()}`,
  );
}

function recall(_match: string[], context: PlanContext, whole: string): Plan {
  const command = `cat ${quote(`${context.workspace}/CLAUDE.md`)} 2>/dev/null || true`;
  return call('bash', { command }, context, (result) => {
    const memory = result.trim();
    if (memory === '' || memory === '(no output)')
      return 'My memory of this group is still empty. Try `remember that my bike is blue`.';
    const words =
      whole
        .toLowerCase()
        .match(/\p{L}{4,}/gu)
        ?.filter((word) => !STOP_WORDS.has(word)) ?? [];
    const fitting = memory
      .split('\n')
      .filter((line) => /^[-*] /.test(line) && words.some((word) => line.toLowerCase().includes(word)));
    return fitting.length > 0
      ? `My memory file says:\n\n${fitting.join('\n')}`
      : `This is in my memory file \`CLAUDE.md\`:\n\n${fence(memory)}`;
  });
}

const STOP_WORDS = new Set([
  'what',
  'which',
  'where',
  'when',
  'remember',
  'recall',
  'know',
  'about',
  'memory',
  'your',
  'name',
  'have',
  'does',
  'told',
]);

function run(command: string | undefined, context: PlanContext): Plan | undefined {
  const line = command?.trim();
  if (!line) return undefined;
  return call(
    'bash',
    { command: line },
    context,
    (result) => `I ran this in my container:\n${fence(`$ ${line}\n${result.trim()}`)}`,
  );
}

function search([words = '']: string[], context: PlanContext): Plan {
  const query = words
    .replace(/^["“”'`]+|["“”'`?.!]+$/g, '')
    .trim()
    .slice(0, 500);
  if (query === '') return { kind: 'say', text: 'What should I search for? Try `search for bike`.' };
  return call(
    'search_history',
    { query, limit: 10 },
    context,
    (result) => `The message history has this about “${query}”:\n${fence(result.trim() || 'nothing')}`,
  );
}

function todo([list = '']: string[], context: PlanContext): Plan {
  const items = list
    .split(/[,;\n]/)
    .map((item) => item.trim())
    .filter(Boolean)
    .map((text) => ({ text, status: 'pending' }));
  return call('todo', { items }, context, (result) => `My list now:\n\n${result.trim()}`);
}

function sendNow([text = '']: string[], context: PlanContext): Plan {
  return call('send_message', { text: text.trim() }, context, () => 'I sent that as a message of its own.');
}

function write([path = '', text = '']: string[], context: PlanContext): Plan {
  return call(
    'write',
    { path, content: `${text.trim()}\n` },
    context,
    (result) => `Written to \`${path}\`. ${result.trim()}`,
  );
}

function read([path = '']: string[], context: PlanContext): Plan {
  return call('read', { path }, context, (result) => `\`${path}\`:\n${fence(result.trim())}`);
}

function fetchPage([url = '']: string[], context: PlanContext): Plan {
  return call(
    'web_fetch',
    { url },
    context,
    (result) => `The page says (text from the web, not checked):\n${fence(result.trim().slice(0, 1_500))}`,
  );
}

const ASK_WHEN = 'When? Try `remind me in 5m to stretch` or `remind me every weekday at 9 to stretch`.';

function schedule(text: string, context: PlanContext): Plan | undefined {
  const parsed = parseWhen(text);
  if (!parsed) return /^remind me/i.test(text) ? { kind: 'say', text: ASK_WHEN } : undefined;
  const { when, what } = parsed;
  return call(
    'task_schedule',
    { prompt: `Reminder: ${what}`, ...when },
    context,
    (result) => `Scheduled: ${what}.\n\n${result.trim()}`,
  );
}

function listTasks(_match: string[], context: PlanContext): Plan {
  return call('task_list', {}, context, (result) => `The tasks of this group:\n${fence(result.trim() || 'none')}`);
}

function cancelTask([id = '']: string[], context: PlanContext): Plan {
  return call('task_cancel', { id: Number(id) }, context, (result) => `Task ${id} is cancelled. ${result.trim()}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const MAX_SHOWN = 3_000;

/** A code block that its content cannot end early. */
export function fence(text: string): string {
  const shown = text.length > MAX_SHOWN ? `${Array.from(text).slice(0, MAX_SHOWN).join('')}\n[…]` : text;
  const longest = Math.max(2, ...(shown.match(/`+/g) ?? []).map((ticks) => ticks.length));
  const ticks = '`'.repeat(longest + 1);
  return `${ticks}\n${shown}\n${ticks}`;
}
