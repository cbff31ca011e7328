// A conversation as the API compares it: blocks without cache marks, merged turns, signatures over what came before, rough token counts.
import { createHash, createHmac } from 'node:crypto';
import { blocksOf, type MessagesBody, type RequestBlock, type RequestMessage } from './anthropic-shape.js';

export interface Turn {
  role: RequestMessage['role'];
  blocks: RequestBlock[];
}

/** Consecutive messages of one role count as one turn, as in the API. */
export function mergeRoles(messages: RequestMessage[]): Turn[] {
  const turns: Turn[] = [];
  for (const { role, content } of messages) {
    const last = turns.at(-1);
    if (last?.role === role) last.blocks.push(...blocksOf(content));
    else turns.push({ role, blocks: [...blocksOf(content)] });
  }
  return turns;
}

/** Every block of a conversation with its role, without cache marks: two spellings of the same history compare equal. */
export function flatten(messages: RequestMessage[]): string[] {
  return messages.flatMap((message) =>
    blocksOf(message.content).map((block) => JSON.stringify([message.role, { ...block, cache_control: undefined }])),
  );
}

/** Signature of a thinking block that follows `before`; models that bind also sign what came before. */
export function signThinking(input: {
  secret: string;
  model: string;
  binds: boolean;
  before: string[];
  thinking: string;
}): string {
  const prefix = input.binds ? createHash('sha256').update(input.before.join('\n')).digest('hex') : 'any';
  const signed = JSON.stringify([input.binds ? input.model : 'any', prefix, input.thinking]);
  return createHmac('sha256', input.secret).update(signed).digest('base64');
}

/** What the provider alone can read of a page that it found; the same page has the same. */
export function encryptPage(secret: string, url: string, title: string): string {
  return createHmac('sha512', secret)
    .update(JSON.stringify([url, title]))
    .digest('base64');
}

/** Rough tokens of a request: bytes of text over four. */
export function estimateTokens(body: Pick<MessagesBody, 'messages' | 'system' | 'tools'>): number {
  return Math.ceil(JSON.stringify([body.system, body.tools, flatten(body.messages)]).length / 4);
}

/** True when the JSON source carries half a surrogate pair, written out or escaped. */
export function hasLoneSurrogate(source: string): boolean {
  const unescaped = source
    .replace(/\\\\/g, '')
    .replace(/\\u([0-9a-fA-F]{4})/g, (_all, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(unescaped);
}
