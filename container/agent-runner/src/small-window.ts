// Models with a small window: what is said to them then, and what does not fit even so. A server may cut off the beginning of a prompt that is too long
// without a word, so what fits is reckoned before it is asked. Knows nothing about how the window became known.
import { toolName } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool';
import { aboutTokens, LEAST_WINDOW_TOKENS, type RunSpec } from '../../../src/wire.js';
import type { LoopContext, Tool } from './context.js';
import { windowOf } from './limits.js';
import type { Memory } from './memories.js';
import { memorySection, type Places, rules } from './prompt.js';
import type { Block, Message } from './records.js';

/** Part of a window that the prompt may take before anybody said a word. */
const PROMPT_PART = 0.4;
/** What remains of the tools: `pinch` does in bash what the others do. */
const CORE = /^(bash|read|write|edit|web_fetch|ask|send_message)$/;
/** About so many tokens the API counts for a picture or a document, whatever its bytes. */
const MEDIA_TOKENS = 1_600;

/** The system text of a small window: who it is, what holds, where things are, and the beginning of its memory. The same arguments give the same bytes. */
export function shortPrompt(run: RunSpec, { workspace }: Places, memories: Memory[], window: number): string {
  const memoryChars = Math.floor(window / 4);
  return [
    ...rules(run),
    `# Tools
- Your files are in ${workspace} and stay; files people sent are in ${workspace}/inbox; ${workspace}/CLAUDE.md is your memory and is part of this prompt: keep it very short. What people forbid or want always goes there at once, in their words, under "## Always".
- Your model has a small window: read and print little at a time (head, grep, sed -n), one step after the other.
- \`pinch help\` in bash lists what this machine does for you: tasks, reminders, files to send, history, groups, services. Skills are in /skills, one folder each: read SKILL.md of the one that fits.
- Web sites are reached only where the owner allowed the host; a refusal says what to do.`,
    ...memories.filter(({ text }) => text.trim() !== '').map((memory) => memorySection(memory, memoryChars)),
  ].join('\n\n');
}

const tokensOfPrompt = (system: string, tools: readonly Tool[]) =>
  aboutTokens(system) + aboutTokens(JSON.stringify(tools));

/** The system text and the listed tools of the run's next call: all of it where it fits, else what is needed most. */
export function promptFor(context: LoopContext): { system: string; listed: Tool[] } {
  const { run, system, short, tools } = context;
  const window = windowOf(run);
  const all = { system, listed: tools.listed };
  if (window === undefined || tokensOfPrompt(system, tools.listed) <= window * PROMPT_PART) return all;
  return { system: short(window), listed: tools.listed.filter((tool) => CORE.test(toolName(tool))) };
}

/** What to say instead of an answer when not even the short prompt leaves room for one. */
export function whyTooSmall({ run }: LoopContext): string | undefined {
  const window = windowOf(run);
  if (window === undefined || window >= LEAST_WINDOW_TOKENS) return undefined;
  return `${windowText(run, window)} I need ${LEAST_WINDOW_TOKENS} at least, and 32,000 to work well: ${fixOf(run)}.`;
}

/** Why a conversation that cannot be made shorter ends. */
export function doesNotFit({ run }: LoopContext): string {
  const window = windowOf(run);
  const room = window === undefined ? '' : ` ${windowText(run, window)} More room: ${fixOf(run)}.`;
  return `This conversation does not fit the model. Start over with /new.${room}`;
}

const windowText = ({ model }: RunSpec, window: number) => `The model ${model} has a window of ${window} tokens here.`;
const fixOf = ({ window }: RunSpec) =>
  window?.fix ?? 'set a larger context length in the model server (docs/backends.md)';

/** About what the server will count for a call. */
function tokensOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, part) => {
    if (part.type === 'image' || part.type === 'document') return sum + MEDIA_TOKENS;
    const inner = part.type === 'tool_result' && Array.isArray(part.content) ? part.content : undefined;
    if (!inner) return sum + aboutTokens(JSON.stringify(part));
    return (
      sum +
      inner.reduce(
        (all, { type, ...one }) => all + (type === 'text' ? aboutTokens(JSON.stringify(one)) : MEDIA_TOKENS),
        0,
      )
    );
  }, 0);
}

/** Whether a call surely does not fit the window. One that was learned from a refusal will be refused again. */
export function isTooLong(context: LoopContext, messages: readonly Message[]): boolean {
  const window = context.run.window?.tokens;
  if (window === undefined) return false;
  const { system, listed } = promptFor(context);
  return tokensOfPrompt(system, listed) + messages.reduce((sum, { content }) => sum + tokensOf(content), 0) >= window;
}
