// The demo model: a scripted back end for a first run without an account. It drives the agent's real tools, answers the last message,
// says in every reply that it is a script; the reply is a pure function of the request.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from '../gateway/body.js';
import type { Exchange } from './upstream.js';

export const DEMO_FOOTER = '— demo model, no account needed. For real answers set ANTHROPIC_API_KEY in .env';

const HELP = `Hello! I am the **demo model**: a small script, not an AI. I am here so that you can see Pinch work before you connect a real model: your messages, the container, its tools and the files are all real.

Five things to try:
1. \`remember that my bike is blue\`, then \`what do you remember?\`
2. \`run: uname -a && whoami\` (runs in this group's own container)
3. \`list files\`
4. \`search for bike\` (looks through this group's messages)
5. \`todo: buy bread, call Anna\``;

type Call = [tool: string, input: Record<string, unknown>];
type Ability = [pattern: RegExp, intro: string, use: (words: string, folder: string) => Call];

// The first that fits is done, with the words of its last bracket.
const ABILITIES: Ability[] = [
  [/^(?:please )?remember(?: that)?:? (.+)/is, 'I wrote it down in `CLAUDE.md`:', remember],
  [/^(recall|what is my)\b|\byou(r memory| remember| recall)\b/i, 'This is in my memory file `CLAUDE.md`:', recall],
  [/^(?:(?:run|execute):?\s|\$)\s*(`?)(.+)\1$/is, 'My container says:', bash],
  [/\b(list|show|which|what)\b.{0,20}\bfiles\b/i, 'My files:', (_, folder) => bash(`ls -la '${folder}'`)],
  [/^remind (?:me|us) (in .+)/is, 'It is noted:', remind],
  [/\b(list|show|which|what)\b.{0,20}\b(tasks|scheduled|reminders)\b/i, 'My tasks:', () => ['task_list', {}]],
  [/^search(?: for)?:? (.+)/is, 'The message history has this:', (query) => ['search_history', { query, limit: 10 }]],
  [/^to-?do:? (.+)/is, 'My list now:', todo],
];

function bash(command: string): Call {
  return ['bash', { command }];
}

function remember(fact: string, folder: string): Call {
  const line = `- ${fact.replace(/\s+/g, ' ')}`.replaceAll("'", `'\\''`);
  // A file that does not end in a newline would swallow the new line.
  const newline = `[ -z "$(tail -c 1 CLAUDE.md 2>/dev/null)" ] || echo >> CLAUDE.md`;
  // An earlier command may have left the shell outside the group's folder.
  return bash(`cd '${folder}'; ${newline}; printf '%s\\n' '${line}' >> CLAUDE.md && tail -n 1 CLAUDE.md`);
}

function recall(_words: string, folder: string): Call {
  const empty = 'It is still empty. Try: remember that my bike is blue';
  return bash(`cd '${folder}'; [ -s CLAUDE.md ] && cat CLAUDE.md || echo '${empty}'`);
}

/** `in 10 seconds to stretch` */
function remind(words: string): Call {
  const [, count = '1', unit = 'm', what = words] =
    /^in (?:(\d+)|an?) *([smhd])\w* *(?:to|of|about|that)? *(.*)/is.exec(words) ?? [];
  return [
    'task_schedule',
    { at: `in ${count}${unit}`, prompt: `Reminder: ${what}`, title: what.slice(0, 60) || 'Reminder' },
  ];
}

function todo(list: string): Call {
  return ['todo', { items: list.split(/[,;\n]+/).map((text) => ({ text: text.trim(), status: 'pending' })) }];
}

const MAX_SHOWN_CHARS = 3_000;

/** A code block that its content cannot end early. */
function fence(text: string): string {
  let ticks = '```';
  while (text.includes(ticks)) ticks += '`';
  return `${ticks}\n${head(text, MAX_SHOWN_CHARS)}\n${ticks}`;
}

/** At most so many characters, never half of one. */
function head(text: string, max: number): string {
  return Array.from(text).slice(0, max).join('');
}

const text = z.string().catch('');
/** The API takes a text wherever it takes a list of blocks; here it is always a list. */
const listOf = <T extends z.ZodType>(block: T) => {
  const wrap = (content: unknown) => (typeof content === 'string' ? [{ type: 'text', text: content }] : content);
  return z.preprocess(wrap, z.array(block)).catch([]);
};
/** `content` is the result of a tool. */
const part = z.object({ type: text, text, content: listOf(z.object({ text })), is_error: z.boolean().catch(false) });
const demoRequest = z.object({
  system: z.unknown().optional(),
  messages: z.array(z.object({ role: text, content: listOf(part) })).catch([]),
});
type DemoRequest = z.infer<typeof demoRequest>;

/** Larger calls have pictures in them, which the demo model does not look at: it gets those calls without their long texts. */
const MAX_DEMO_BYTES = 256 * 1024;

/** Answers in the place of a back end; leaves the end of the reply to its caller. */
export function answerDemo({ call, response, progress, tap }: Exchange): void {
  progress.status = 200;
  const { body, bodyBytes, json, path } = call;
  const whole = Object(bodyBytes <= MAX_DEMO_BYTES ? parseJson(Buffer.concat(body).toString()) : json);
  const message = demoReply(whole);
  const reply = JSON.stringify(path === '/v1/messages' ? message : { input_tokens: demoTokens(whole) });
  tap.feedWhole(reply);
  response.writeHead(200, { 'content-type': json.stream ? 'text/event-stream' : 'application/json' });
  response.write(json.stream ? encodeMessage(message) : reply);
}

/** A reply as its event stream, message_start … message_stop; a block comes whole, without deltas. Never throws. */
export function encodeMessage(message: { content: object[]; stop_reason: string; usage: object }): string {
  const { content, stop_reason, usage } = message;
  const events = [
    { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
    ...content.flatMap((content_block, index) => [
      { type: 'content_block_start', index, content_block },
      { type: 'content_block_stop', index },
    ]),
    { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage },
    { type: 'message_stop' },
  ];
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
}

/** The reply to the body of a request; the same request gives the same reply. Never throws. */
export function demoReply(body: object) {
  const request = demoRequest.parse(body);
  // Hashed so that ids are unique in every history they can meet in, without chance or a counter.
  const id = createHash('sha256').update(JSON.stringify(request.messages)).digest('hex').slice(0, 16);
  const block = nextStep(request, id);
  return {
    id: `msg_demo_${id}`,
    type: 'message',
    role: 'assistant',
    model: 'demo',
    content: [block],
    stop_reason: block.type === 'tool_use' ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: demoTokens(body), output_tokens: demoTokens(block) },
  };
}

/** Tokens of a request or a reply, roughly: four characters each. */
function demoTokens(value: object): number {
  return Math.ceil(JSON.stringify(value).length / 4);
}

function nextStep(request: DemoRequest, id: string) {
  const { texts, asked, result } = readTurn(request);
  if (/\bsummarize it now\b/i.test(texts.at(-1) ?? '')) {
    const wrote = texts.slice(-21, -1).map((xml) => `- ${head(wordsOf(xml), 200)}`);
    return { type: 'text' as const, text: `Summary by the demo model. The people wrote lately:\n${wrote.join('\n')}` };
  }
  // It has no memory of its own to write down before that.
  if (/\ba summary is about to take the place\b/i.test(texts.at(-1) ?? ''))
    return { type: 'text' as const, text: 'nothing' };
  const say = (text: string) => ({ type: 'text' as const, text: `${text}\n\n${DEMO_FOOTER}` });
  if (asked.startsWith('Reminder: ')) return say(`⏰ ${asked}`);
  if (/^(hi|hello|hey|help|\/?start|what can you do)\b.{0,40}$/i.test(asked)) return say(HELP);
  for (const [pattern, intro, use] of ABILITIES) {
    const match = pattern.exec(asked);
    if (!match) continue;
    const [name, input] = use(match.at(-1) ?? '', folderOf(request));
    if (!result) return { type: 'tool_use' as const, id: `toolu_demo_${id}`, name, input };
    const output = result.content.map((one) => one.text).join('\n');
    const failed = result.is_error || /\[exit code \d+\]$/.test(output);
    return say(`${failed ? `\`${name}\` did not work:` : intro}\n${fence(output.trim())}`);
  }
  return say(
    `You said: “${head(asked, 300)}”. I am only the demo model and follow a script: say \`help\` to see what I can do.`,
  );
}

/** The last message with the tool result that came after it. Knows the runner's XML (container/agent-runner/src/prompt.ts). */
function readTurn({ messages }: DemoRequest) {
  const parts = messages.filter(({ role }) => role === 'user').flatMap(({ content }) => content);
  const texts = parts.filter(({ type }) => type === 'text');
  const last = texts.findLast(({ text }) => text.includes('<message ')) ?? texts.at(-1);
  const after = last ? parts.slice(parts.indexOf(last)) : [];
  const result = after.findLast(({ type }) => type === 'tool_result');
  return { texts: texts.map(({ text }) => text), asked: wordsOf(last?.text ?? ''), result };
}

// The runner puts these in front of a message's text.
const PREAMBLE = /^(<reply-to\b[^>]*>[^<]*<\/reply-to>|<edited>[^<]*<\/edited>|<media\b[^>]*\/>)*/;
const ENTITIES: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&amp;': '&' };

/** What a person wrote in the last message of a text, unescaped, without the mention of the assistant. */
function wordsOf(xml: string): string {
  const inner = [...xml.matchAll(/<message\b[^>]*>([\s\S]*?)<\/message>/g)].at(-1)?.[1] ?? xml;
  const words = inner
    .replace(/<\/?(?:forwarded|untrusted)\b[^>]*>/g, '')
    .replace(PREAMBLE, '')
    .replace(/&(lt|gt|quot|amp);/g, (entity) => ENTITIES[entity] ?? entity);
  return words.replace(/^\s*@[\p{L}\p{N}_-]+[\s,:]*/u, '').trim();
}

/** The group's folder; the runner's prompt names the memory file by its full path, outside a container not /workspace. */
function folderOf({ system }: DemoRequest): string {
  return /- (\/[^"'\\]*?)\/CLAUDE\.md is your memory/.exec(JSON.stringify(system ?? ''))?.[1] ?? '/workspace';
}
