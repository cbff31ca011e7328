// The Messages API's event stream, both ways: a whole reply as events, and a tap that reads usage off raw bytes.
// Knows nothing about HTTP, prices or back ends.
import { StringDecoder } from 'node:string_decoder';
import { z } from 'zod';

export type ReplyBlock =
  | { type: 'text'; text: string }
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'redacted_thinking'; data: string }
  | { type: 'compaction'; content: string | null }
  | { type: 'tool_use'; id: string; name: string; input: Record<string, unknown> };

export interface ReplyUsage {
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens?: number;
  cache_read_input_tokens?: number;
  cache_creation?: { ephemeral_5m_input_tokens: number; ephemeral_1h_input_tokens: number };
}

/** A complete reply of `POST /v1/messages`. */
export interface ReplyMessage {
  id: string;
  type: 'message';
  role: 'assistant';
  model: string;
  content: ReplyBlock[];
  stop_reason: string;
  stop_sequence: null;
  usage: ReplyUsage;
}

export interface SseEvent {
  type: string;
  [field: string]: unknown;
}

export interface EncodeOptions {
  /** Characters per delta; 24 unless told. */
  deltaChars?: number;
  /** The JSON text of a tool call's input, so that a fake can send a broken one. */
  toolJson?: (block: Extract<ReplyBlock, { type: 'tool_use' }>) => string;
}

/** The events of a reply, in the order the API sends them: message_start … message_stop. Never throws. */
export function messageEvents(message: ReplyMessage, options: EncodeOptions = {}): SseEvent[] {
  const { content, stop_reason, stop_sequence, usage } = message;
  const opened = {
    ...message,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { ...usage, output_tokens: Math.min(1, usage.output_tokens) },
  };
  return [
    { type: 'message_start', message: opened },
    ...content.flatMap((block, index) => blockEvents(block, index, options)),
    { type: 'message_delta', delta: { stop_reason, stop_sequence }, usage: { output_tokens: usage.output_tokens } },
    { type: 'message_stop' },
  ];
}

function blockEvents(block: ReplyBlock, index: number, options: EncodeOptions): SseEvent[] {
  const { start, deltas } = blockParts(block, options);
  return [
    { type: 'content_block_start', index, content_block: start },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ];
}

function blockParts(block: ReplyBlock, options: EncodeOptions): { start: object; deltas: object[] } {
  const pieces = (text: string) => cutText(text, options.deltaChars ?? 24);
  switch (block.type) {
    case 'text':
      return {
        start: { type: 'text', text: '' },
        deltas: pieces(block.text).map((text) => ({ type: 'text_delta', text })),
      };
    case 'thinking': {
      const thoughts = pieces(block.thinking).map((thinking) => ({ type: 'thinking_delta', thinking }));
      const start = { type: 'thinking', thinking: '', signature: '' };
      return { start, deltas: [...thoughts, { type: 'signature_delta', signature: block.signature }] };
    }
    case 'tool_use': {
      const json = options.toolJson?.(block) ?? JSON.stringify(block.input);
      const start = { ...block, input: {} };
      return { start, deltas: pieces(json).map((partial_json) => ({ type: 'input_json_delta', partial_json })) };
    }
    case 'compaction':
      return {
        start: { type: 'compaction', content: null },
        deltas: [{ type: 'compaction_delta', content: block.content }],
      };
    case 'redacted_thinking':
      return { start: block, deltas: [] };
  }
}

// By code points: half a surrogate pair in a JSON string would not survive UTF-8.
function cutText(text: string, size: number): string[] {
  const points = Array.from(text);
  const pieces: string[] = [];
  for (let at = 0; at < points.length; at += size) pieces.push(points.slice(at, at + size).join(''));
  return pieces;
}

/** One event as bytes on the wire. */
export function encodeEvent(event: SseEvent): Buffer {
  return Buffer.from(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

/** A reply as the bytes of its event stream, one Buffer per event. */
export function encodeMessage(message: ReplyMessage, options: EncodeOptions = {}): Buffer[] {
  return messageEvents(message, options).map(encodeEvent);
}

/** Token counts of one call in the parts that have different prices. */
export interface TokenUsage {
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWrite5mTokens: number;
  cacheWrite1hTokens: number;
}

const count = z.number().nonnegative().nullish().catch(undefined);
const usageFields = z.object({
  input_tokens: count,
  output_tokens: count,
  cache_creation_input_tokens: count,
  cache_read_input_tokens: count,
  cache_creation: z
    .object({ ephemeral_5m_input_tokens: count, ephemeral_1h_input_tokens: count })
    .nullish()
    .catch(undefined),
});
const rawUsage = usageFields.extend({
  iterations: z
    .array(usageFields.extend({ type: z.string() }))
    .nullish()
    .catch(undefined),
});
type RawUsage = z.infer<typeof rawUsage>;

const text = z.string().nullish().catch(undefined);
const tappedMessage = z.object({
  id: text,
  model: text,
  stop_reason: text,
  usage: rawUsage.nullish().catch(undefined),
});
const tappedEvent = z.object({
  type: z.string(),
  message: tappedMessage.optional().catch(undefined),
  delta: z
    .object({ stop_reason: text, text, thinking: text, partial_json: text, estimated_tokens: count })
    .optional()
    .catch(undefined),
  usage: rawUsage.nullish().catch(undefined),
  error: z.object({ type: text, message: text }).optional().catch(undefined),
});

/** What was read off a reply so far. */
export interface Tapped {
  usage: TokenUsage;
  /** False until the last word on usage came: `message_delta`, or a whole JSON reply. */
  complete: boolean;
  /** True once `message_start` (or a whole reply) was read: input counts are then the provider's. */
  started: boolean;
  model: string | null;
  stopReason: string | null;
  /** Type of an `error` event in the stream. */
  errorType: string | null;
  /** Bytes of the stream. */
  bytes: number;
  /** Output tokens guessed from what was streamed, for a reply that was cut before its usage came. */
  outputEstimate: number;
}

const BYTES_PER_TOKEN = 3.5;

// A line longer than this is not an event whose usage we could need; do not let it fill the memory.
const MAX_LINE_CHARS = 1024 * 1024;

/**
 * Reads usage from the raw bytes of an event stream, cut anywhere. Never throws: bytes it does not understand are counted and skipped.
 * `usage` = message_start's, overlaid with every non-null field of each message_delta (they are cumulative), plus compaction iterations.
 */
export function createUsageTap(): { feed(chunk: Uint8Array): void; result(): Tapped } {
  const decoder = new StringDecoder('utf8');
  const state = { raw: emptyRaw(), complete: false, started: false, bytes: 0, outputBytes: 0, hiddenTokens: 0 };
  const seen: Pick<Tapped, 'model' | 'stopReason' | 'errorType'> = { model: null, stopReason: null, errorType: null };
  let line = '';
  let skipping = false;

  function take(complete: string): void {
    if (!complete.startsWith('data:')) return;
    const event = parseJson(tappedEvent, complete.slice(5));
    if (!event) return;
    if (event.message) {
      state.started = true;
      seen.model = event.message.model ?? seen.model;
    }
    state.raw = overlay(overlay(state.raw, event.message?.usage), event.usage);
    if (event.type === 'message_delta' && event.usage) state.complete = true;
    seen.stopReason = event.delta?.stop_reason ?? seen.stopReason;
    const { text, thinking, partial_json, estimated_tokens } = event.delta ?? {};
    state.outputBytes += Buffer.byteLength(`${text ?? ''}${thinking ?? ''}${partial_json ?? ''}`);
    state.hiddenTokens += estimated_tokens ?? 0;
    if (event.type === 'error') seen.errorType = event.error?.type ?? 'unknown';
  }

  return {
    feed(chunk) {
      state.bytes += chunk.length;
      const lines = (line + decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))).split(
        /\r\n|\n|\r/,
      );
      line = lines.pop() ?? '';
      for (const complete of lines) {
        if (!skipping) take(complete);
        skipping = false;
      }
      if (line.length > MAX_LINE_CHARS) {
        line = '';
        skipping = true;
      }
    },
    result: () => ({
      ...seen,
      usage: tokensOf(state.raw),
      complete: state.complete,
      started: state.started,
      bytes: state.bytes,
      outputEstimate: Math.ceil(state.outputBytes / BYTES_PER_TOKEN) + state.hiddenTokens,
    }),
  };
}

/** The same facts from a whole, non-streamed JSON reply. Never throws. */
export function tapJson(body: Buffer): Tapped {
  const message = parseJson(tappedMessage, body.toString('utf8'));
  const usage = message?.usage;
  return {
    usage: tokensOf(usage ?? emptyRaw()),
    complete: usage != null,
    started: usage != null,
    model: message?.model ?? null,
    stopReason: message?.stop_reason ?? null,
    errorType: null,
    bytes: body.length,
    outputEstimate: usage?.output_tokens ?? 0,
  };
}

const emptyRaw = (): RawUsage => ({});

function overlay(base: RawUsage, over: RawUsage | null | undefined): RawUsage {
  const given = Object.entries(over ?? {}).filter(([, value]) => value !== null && value !== undefined);
  return { ...base, ...Object.fromEntries(given) };
}

function tokensOf(raw: RawUsage): TokenUsage {
  const billed = [raw, ...(raw.iterations ?? []).filter((step) => step.type === 'compaction')].map(tokensOfOne);
  const sum = (pick: (usage: TokenUsage) => number) => billed.reduce((total, usage) => total + pick(usage), 0);
  return {
    inputTokens: sum((usage) => usage.inputTokens),
    outputTokens: sum((usage) => usage.outputTokens),
    cacheReadTokens: sum((usage) => usage.cacheReadTokens),
    cacheWrite5mTokens: sum((usage) => usage.cacheWrite5mTokens),
    cacheWrite1hTokens: sum((usage) => usage.cacheWrite1hTokens),
  };
}

function tokensOfOne(raw: z.infer<typeof usageFields>): TokenUsage {
  const hourWrites = raw.cache_creation?.ephemeral_1h_input_tokens ?? 0;
  const writes = raw.cache_creation_input_tokens ?? (raw.cache_creation?.ephemeral_5m_input_tokens ?? 0) + hourWrites;
  return {
    inputTokens: raw.input_tokens ?? 0,
    outputTokens: raw.output_tokens ?? 0,
    cacheReadTokens: raw.cache_read_input_tokens ?? 0,
    // Writes without a split are five-minute ones, the default.
    cacheWrite5mTokens: Math.max(0, writes - hourWrites),
    cacheWrite1hTokens: hourWrites,
  };
}

function parseJson<T>(schema: z.ZodType<T>, source: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(source)).data;
  } catch {
    // Not JSON: the caller counts the bytes and goes on.
    return undefined;
  }
}
