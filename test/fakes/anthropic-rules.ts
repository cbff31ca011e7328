// What the Messages API refuses beyond the mere shape, as small pure functions. A rule returns the text of the 400, or undefined.
// Knows nothing about HTTP connections or scripts.
import { z } from 'zod';
import { encryptPage, estimateTokens, flatten, mergeRoles, signThinking, type Turn } from './anthropic-history.js';
import { imageProblem, mediaLimits } from './anthropic-media.js';
import {
  blocksOf,
  type MessagesBody,
  type ModelProfile,
  type RequestBlock,
  type RequestMessage,
} from './anthropic-shape.js';

export interface RuleInput {
  body: MessagesBody;
  betas: ReadonlySet<string>;
  version: string;
  profile: ModelProfile;
  /** Signs thinking blocks. */
  secret: string;
}
type Rule = (input: RuleInput) => string | undefined;

export const BODY_LIMIT_BYTES = 32 * 1024 * 1024;

/** The first rule a request breaks, as the API's message; undefined when it is fine. Never throws. */
export function brokenRule(input: RuleInput): string | undefined {
  for (const rule of rules) {
    const problem = rule(input);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** A schema failure in the API's words: `messages.0.content: Input should be …`. */
export function shapeProblem(error: z.ZodError): string {
  const issue = deepest(error.issues[0]);
  if (!issue) return 'Invalid request';
  if (issue.code !== 'unrecognized_keys') return `${issue.path.join('.')}: ${issue.message}`;
  const path = [...issue.path, issue.keys[0]].join('.');
  return `${path}: Extra inputs are not permitted`;
}

type Issue = z.ZodError['issues'][number];

// A union reports every branch; the branch that got furthest is the one that was meant.
function deepest(issue: Issue | undefined): Issue | undefined {
  if (issue?.code !== 'invalid_union') return issue;
  const branches = issue.errors.map((branch) => deepest(branch[0])).filter((inner) => inner !== undefined);
  const best = branches.sort((a, b) => b.path.length - a.path.length)[0];
  return best && best.path.length > 0 ? { ...best, path: [...issue.path, ...best.path] } : issue;
}

const SAMPLING = ['temperature', 'top_p', 'top_k'] as const;
const sampling: Rule = ({ body, version }) => {
  if (version < '2026-10-21') return undefined;
  const found = SAMPLING.find((name) => body[name] !== undefined);
  return found && `${found}: sampling parameters are not supported in this API version`;
};

const BETA_FIELDS: Record<string, readonly string[]> = {
  thread: ['message-threads-2026-08-12'],
  compaction: ['compact-2026-09-04'],
  context_management: ['context-management-2025-06-27', 'compact-2026-01-12'],
  mcp_servers: ['mcp-client-2025-11-20', 'mcp-client-2026-09-15'],
  fallbacks: ['server-side-fallback-2026-06-01', 'server-side-fallback-2026-07-01'],
};
const betaFields: Rule = ({ body, betas }) => {
  const has = (names: readonly string[] = []) => names.some((name) => betas.has(name));
  for (const [field, value] of Object.entries(body)) {
    if (field in BETA_FIELDS && value !== undefined && !has(BETA_FIELDS[field])) {
      return `${field}: Extra inputs are not permitted`;
    }
  }
  const { thinking } = body;
  if (thinking && 'display' in thinking && thinking.display === 'updates') {
    if (!betas.has('thinking-display-updates-2026-08-18'))
      return "thinking.display: Input should be 'summarized' or 'omitted'";
  }
  if (thinking && 'block_binding' in thinking && thinking.block_binding) {
    if (!betas.has('thinking-binding-controls-2026-08-01'))
      return 'thinking.block_binding: Extra inputs are not permitted';
  }
  return undefined;
};

const maxTokens: Rule = ({ body, profile }) => {
  if (body.max_tokens > profile.maxTokens) {
    return `max_tokens: ${body.max_tokens} > ${profile.maxTokens}, which is the maximum allowed number of output tokens for ${body.model}`;
  }
  const { thinking } = body;
  if (thinking?.type === 'enabled' && thinking.budget_tokens >= body.max_tokens) {
    return '`max_tokens` must be greater than `thinking.budget_tokens`';
  }
  return undefined;
};

const firstMessage: Rule = ({ body, betas }) => {
  const first = body.messages.find((message) => message.role !== 'system');
  if (first?.role === 'user') return undefined;
  const compacted = first && blocksOf(first.content)[0]?.type === 'compaction';
  const allowed = betas.has('compact-2026-09-04') || betas.has('compact-2026-01-12');
  return compacted && allowed ? undefined : 'messages: first message must use the "user" role';
};

const lastMessage: Rule = ({ body, profile }) => {
  const last = body.messages.at(-1);
  if (last?.role !== 'assistant') return undefined;
  const end = blocksOf(last.content).at(-1);
  // A paused turn goes back last; that is no prefill.
  if (!profile.prefill && end?.type === 'text') {
    return 'This model does not support assistant message prefill. The conversation must end with a user message.';
  }
  if (end?.type === 'text' && /\s$/.test(end.text))
    return 'messages: final assistant content cannot end with trailing whitespace';
  return undefined;
};

const contents: Rule = ({ body }) => {
  for (const [at, message] of body.messages.entries()) {
    const final = at === body.messages.length - 1 && message.role === 'assistant';
    if (message.content.length === 0 && !final) {
      return `messages.${at}: all messages must have non-empty content except for the optional final assistant message`;
    }
    for (const [index, block] of blocksOf(message.content).entries()) {
      const problem = blockProblem(block, message.role);
      if (problem && !(final && message.content.length === 0)) return `messages.${at}.content.${index}: ${problem}`;
    }
  }
  const system = typeof body.system === 'string' ? [] : (body.system ?? []);
  return system.some((block) => block.text === '') ? 'system: text content blocks must be non-empty' : undefined;
};

function blockProblem(block: RequestBlock, role: RequestMessage['role']): string | undefined {
  const assistantOnly = [
    ...['tool_use', 'thinking', 'redacted_thinking', 'compaction', 'server_tool_use', 'web_search_tool_result'],
  ];
  const userOnly = ['tool_result', 'image', 'document'];
  if (role !== 'assistant' && assistantOnly.includes(block.type))
    return `\`${block.type}\` blocks can only be in \`assistant\` messages`;
  if (role !== 'user' && userOnly.includes(block.type))
    return `\`${block.type}\` blocks can only be in \`user\` messages`;
  if (block.type === 'tool_result' && Array.isArray(block.content)) {
    return block.content.map((inner) => blockProblem(inner, 'user')).find((problem) => problem !== undefined);
  }
  if (block.type === 'image') return imageProblem(block.source);
  if (block.type !== 'text') return undefined;
  if (block.text === '') return 'text content blocks must be non-empty';
  if (block.text.trim() === '') return 'text content blocks must contain non-whitespace text';
  return role === 'user' && block.citations ? 'citations are not permitted in user text blocks' : undefined;
}

const toolPairs: Rule = ({ body }) => {
  const merged = mergeRoles(body.messages);
  const known = new Set<string>();
  for (const [at, { role, blocks }] of merged.entries()) {
    if (role === 'user') continue;
    const uses = blocks.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []));
    for (const id of uses) {
      if (known.has(id)) return `messages.${at}: \`tool_use\` ids must be unique`;
      known.add(id);
    }
    const answers = resultIds(merged[at + 1]?.blocks ?? []);
    const missing = uses.filter((id) => !answers.includes(id));
    if (missing.length > 0) {
      return `messages.${at}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`;
    }
  }
  return merged.map((turn, at) => resultProblem(turn, merged[at - 1], at)).find((problem) => problem !== undefined);
};

const resultIds = (blocks: RequestBlock[]) =>
  blocks.flatMap((block) => (block.type === 'tool_result' ? [block.tool_use_id] : []));

function resultProblem(turn: Turn, before: Turn | undefined, at: number): string | undefined {
  const ids = resultIds(turn.blocks);
  const asked = (before?.blocks ?? []).flatMap((block) => (block.type === 'tool_use' ? [block.id] : []));
  for (const [index, id] of ids.entries()) {
    if (!asked.includes(id)) {
      return `messages.${at}.content.${index}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${id}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`;
    }
    if (ids.indexOf(id) !== index)
      return `messages.${at}.content: each tool_use must have a single result. Found multiple \`tool_result\` blocks with id: ${id}`;
  }
  const firstOther = turn.blocks.findIndex((block) => block.type !== 'tool_result');
  const lastResult = turn.blocks.findLastIndex((block) => block.type === 'tool_result');
  if (firstOther >= 0 && firstOther < lastResult)
    return `messages.${at}: \`tool_result\` blocks must come first in the message`;
  return undefined;
}

const citation = z.strictObject({
  ...{ type: z.literal('web_search_result_location'), url: z.string(), title: z.string(), cited_text: z.string() },
  encrypted_index: z.string(),
});
function isOwnCitation(value: unknown, secret: string): boolean {
  const { data } = citation.safeParse(value);
  return data !== undefined && data.encrypted_index === encryptPage(secret, data.url, data.cited_text);
}

/** Each search has its result behind it. Only the last may still wait: last of all, or while results of the client's own tools go back. */
const searches: Rule = ({ body, secret }) => {
  const turns = mergeRoles(body.messages);
  const asked = new Map<string, number>();
  const found = new Set<string>();
  for (const [at, { blocks }] of turns.entries()) {
    for (const block of blocks) {
      if (block.type === 'server_tool_use') {
        if (asked.has(block.id)) return `messages.${at}: \`tool_use\` ids must be unique`;
        asked.set(block.id, at);
      }
      if (block.type === 'web_search_tool_result') {
        if (!asked.has(block.tool_use_id) || found.has(block.tool_use_id))
          return `messages.${at}: unexpected \`tool_use_id\` found in \`web_search_tool_result\` blocks: ${block.tool_use_id}`;
        found.add(block.tool_use_id);
        const pages = Array.isArray(block.content) ? block.content : [];
        if (pages.some(({ url, title, encrypted_content: given }) => given !== encryptPage(secret, url, title)))
          return `messages.${at}: Invalid \`encrypted_content\` in \`search_result\` block`;
      }
      const cited = block.type === 'text' ? (block.citations ?? []) : [];
      if (cited.some((one) => !isOwnCitation(one, secret)))
        return `messages.${at}: Invalid \`encrypted_index\` in \`web_search_result_location\``;
    }
  }
  const end = turns.findLastIndex(({ role }) => role === 'assistant');
  const after = turns.slice(end + 1).flatMap(({ blocks }) => blocks);
  const mayWait = after.length === 0 || after.some(({ type }) => type === 'tool_result');
  for (const [id, at] of asked) {
    if (!found.has(id) && !(at === end && mayWait))
      return `messages.${at}: \`web_search\` tool use with id \`${id}\` was found without a corresponding \`web_search_tool_result\` block`;
  }
  const offered = body.tools?.some(({ type }) => type === 'web_search_20250305');
  return asked.size > 0 && !offered ? 'messages: `server_tool_use` blocks of a tool that is not in `tools`' : undefined;
};

const tools: Rule = ({ body, profile }) => {
  const names = (body.tools ?? []).map((tool) => tool.name);
  if (new Set(names).size < names.length) return 'tools: Tool names must be unique.';
  const choice = body.tool_choice;
  if (!choice) return undefined;
  if (names.length === 0) return 'tool_choice: may only be specified while providing tools';
  if ((choice.type === 'any' || choice.type === 'tool') && !profile.forcedToolChoice) {
    return `tool_choice: \`${choice.type}\` is not supported by this model`;
  }
  return choice.type === 'tool' && !names.includes(choice.name)
    ? `Tool '${choice.name}' not found in provided tools`
    : undefined;
};

const cacheMarks: Rule = ({ body }) => {
  const system = typeof body.system === 'string' ? [] : (body.system ?? []);
  const blocks = [...(body.tools ?? []), ...system, ...body.messages.flatMap((message) => blocksOf(message.content))];
  const marks = blocks.flatMap((block) =>
    'cache_control' in block && block.cache_control ? [block.cache_control] : [],
  );
  if (body.cache_control) marks.push(body.cache_control);
  if (marks.length > 4) return `A maximum of 4 blocks with cache_control may be provided. Found ${marks.length}.`;
  const firstShort = marks.findIndex((mark) => mark.ttl !== '1h');
  const lastLong = marks.findLastIndex((mark) => mark.ttl === '1h');
  if (firstShort >= 0 && firstShort < lastLong) {
    return "cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block";
  }
  return undefined;
};

const thinkingBlocks: Rule = ({ body, profile, secret }) => {
  const { thinking } = body;
  if (thinking && 'block_binding' in thinking && thinking.block_binding?.prefix_mismatch_behavior === 'drop_block')
    return undefined;
  const before: string[] = [];
  for (const [at, message] of body.messages.entries()) {
    for (const [index, block] of blocksOf(message.content).entries()) {
      if (block.type === 'thinking') {
        const input = { secret, model: body.model, binds: profile.bindsThinking, before, thinking: block.thinking };
        if (signThinking(input) !== block.signature)
          return `messages.${at}.content.${index}: Invalid \`signature\` in \`thinking\` block`;
      }
      before.push(...flatten([{ role: message.role, content: [block] }]));
    }
  }
  return undefined;
};

const media: Rule = ({ body }) => mediaLimits(body.messages);

const window: Rule = ({ body, profile }) => {
  const tokens = estimateTokens(body);
  return tokens > profile.windowTokens
    ? `prompt is too long: ${tokens} tokens > ${profile.windowTokens} maximum`
    : undefined;
};

const rules: readonly Rule[] = [
  sampling,
  betaFields,
  maxTokens,
  firstMessage,
  contents,
  toolPairs,
  searches,
  lastMessage,
  tools,
  cacheMarks,
  thinkingBlocks,
  media,
  window,
];
