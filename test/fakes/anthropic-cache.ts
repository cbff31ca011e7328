// The prompt cache of the fake: usage counted from the prefixes it has really seen, and a report of what broke a prefix.
// Entries never expire and there is no minimum length; everything else follows the API (order tools, system, messages; marks; look-back).
import { createHash } from 'node:crypto';
import type { ReplyUsage } from './anthropic-events.js';
import { flatten } from './anthropic-history.js';
import { blocksOf, type MessagesBody } from './anthropic-shape.js';

const LOOK_BACK_BLOCKS = 20;

interface Item {
  text: string;
  mark: '5m' | '1h' | undefined;
}

export type CacheUsage = Required<
  Omit<ReplyUsage, 'output_tokens' | 'server_tool_use' | 'cost' | 'is_byok' | 'cost_details'>
>;

export type PromptCache = ReturnType<typeof createPromptCache>;

/** Counts the input of each request against what earlier requests wrote. One per fake. */
export function createPromptCache() {
  const written = new Set<string>();
  return {
    /** Usage of this request; also stores its marked prefixes. */
    use(body: MessagesBody): CacheUsage {
      const items = itemsOf(body);
      const prefixes = prefixesOf(body.model, items);
      const marked = [...items.keys()].filter((at) => items[at]?.mark);
      const tokensTo = (at: number) => prefixes[at]?.tokens ?? 0;
      const read = Math.max(-1, ...marked.map((at) => lastWritten(prefixes, written, at)));
      const last = marked.at(-1) ?? -1;
      const lastLong = items.findLastIndex((item) => item.mark === '1h');
      for (const at of marked) written.add(prefixes[at]?.hash ?? '');
      const readTokens = tokensTo(read);
      const writeTokens = Math.max(0, tokensTo(last) - readTokens);
      const longTokens = Math.min(writeTokens, Math.max(0, tokensTo(lastLong) - readTokens));
      return {
        input_tokens: tokensTo(items.length - 1) - readTokens - writeTokens,
        cache_read_input_tokens: readTokens,
        cache_creation_input_tokens: writeTokens,
        cache_creation: { ephemeral_5m_input_tokens: writeTokens - longTokens, ephemeral_1h_input_tokens: longTokens },
      };
    },
  };
}

interface Prefix {
  hash: string;
  tokens: number;
}

function lastWritten(prefixes: Prefix[], written: Set<string>, from: number): number {
  for (let at = from; at >= 0 && at > from - LOOK_BACK_BLOCKS; at -= 1) {
    if (written.has(prefixes[at]?.hash ?? '')) return at;
  }
  return -1;
}

function prefixesOf(model: string, items: Item[]): Prefix[] {
  let hash = model;
  let tokens = 0;
  return items.map((item) => {
    hash = sha(`${hash}\n${item.text}`);
    tokens += Math.ceil(item.text.length / 4);
    return { hash, tokens };
  });
}

function itemsOf(body: MessagesBody): Item[] {
  const system = typeof body.system === 'string' ? blocksOf(body.system) : (body.system ?? []);
  const marked = (block: object): Item['mark'] => {
    const mark = 'cache_control' in block ? block.cache_control : undefined;
    if (!mark || typeof mark !== 'object') return undefined;
    return 'ttl' in mark && mark.ttl === '1h' ? '1h' : '5m';
  };
  const blocks = body.messages.flatMap((message) => blocksOf(message.content));
  const texts = flatten(body.messages);
  const items: Item[] = [
    ...[...(body.tools ?? []), ...system].map((block) => ({
      text: JSON.stringify({ ...block, cache_control: undefined }),
      mark: marked(block),
    })),
    ...blocks.map((block, at) => ({ text: texts[at] ?? '', mark: marked(block) })),
  ];
  const end = items.at(-1);
  if (body.cache_control && end) end.mark ??= body.cache_control.ttl ?? '5m';
  return items;
}

export interface PrefixChange {
  session: string;
  /** Index in `requests` of the request that no longer continues the one before it in its session. */
  request: number;
  changed: 'system' | 'tools' | 'history';
}

/**
 * Finds requests that do not continue the request before them in the same session: other system text, other tools, or a history that
 * does not begin with the one sent before. A session is the `x-pinch-run` header, or else the first message (the gateway strips the header).
 */
export function findPrefixChanges(
  calls: { body: MessagesBody; run: string | undefined; index: number }[],
): PrefixChange[] {
  const last = new Map<string, MessagesBody>();
  return calls.flatMap(({ body, run, index }) => {
    const session = run ?? sha(flatten(body.messages)[0] ?? '').slice(0, 12);
    const before = last.get(session);
    last.set(session, body);
    if (!before) return [];
    const parts: PrefixChange['changed'][] = ['system', 'tools', 'history'];
    return parts
      .filter((part) => partChanged(part, before, body))
      .map((changed) => ({ session, request: index, changed }));
  });
}

function partChanged(part: PrefixChange['changed'], before: MessagesBody, now: MessagesBody): boolean {
  if (part !== 'history') return JSON.stringify(before[part]) !== JSON.stringify(now[part]);
  const history = flatten(now.messages);
  return flatten(before.messages).some((block, at) => history[at] !== block);
}

const sha = (source: string) => createHash('sha256').update(source).digest('hex');
