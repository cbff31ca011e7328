// A complete reply as the events of the Messages API's stream, with every kind of block and any size of delta.
// Written apart from the host's own encoder and tap, so that each is checked against something else. Knows nothing about scripts.

export type ReplyBlock =
  | { type: 'text'; text: string; citations?: Citation[] }
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'redacted_thinking'; data: string }
  | { type: 'compaction'; content: string | null }
  | { type: 'tool_use'; id: string; name: string; input: Record<string, unknown> }
  | { type: 'server_tool_use'; id: string; name: 'web_search'; input: { query: string }; caller: { type: 'direct' } }
  | {
      type: 'web_search_tool_result';
      tool_use_id: string;
      content: FoundPage[] | { type: 'web_search_tool_result_error'; error_code: string };
      caller: { type: 'direct' };
    };

/** A page that a search of the provider found; only the provider can read its content. */
export interface FoundPage {
  type: 'web_search_result';
  url: string;
  title: string;
  encrypted_content: string;
  page_age: string | null;
}
export interface Citation {
  type: 'web_search_result_location';
  url: string;
  title: string;
  encrypted_index: string;
  cited_text: string;
}

export interface ReplyUsage {
  input_tokens: number;
  output_tokens: number;
  server_tool_use?: { web_search_requests: number };
  cache_creation_input_tokens?: number;
  cache_read_input_tokens?: number;
  /** What OpenRouter says that it cost, US dollars. */
  cost?: number;
  is_byok?: boolean;
  cost_details?: { upstream_inference_cost: number | null };
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
    // How many searches there were is known at the end only.
    usage: { ...usage, output_tokens: Math.min(1, usage.output_tokens), server_tool_use: null },
  };
  const { output_tokens, server_tool_use, cost } = usage;
  const atEnd = { output_tokens, ...(server_tool_use && { server_tool_use }), ...(cost !== undefined && { cost }) };
  return [
    { type: 'message_start', message: opened },
    ...content.flatMap((block, index) => blockEvents(block, index, options)),
    { type: 'message_delta', delta: { stop_reason, stop_sequence }, usage: atEnd },
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
        deltas: [
          ...pieces(block.text).map((text) => ({ type: 'text_delta', text })),
          ...(block.citations ?? []).map((citation) => ({ type: 'citations_delta', citation })),
        ],
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
    case 'server_tool_use': {
      const json = pieces(JSON.stringify(block.input));
      const start = { ...block, input: {} };
      return { start, deltas: json.map((partial_json) => ({ type: 'input_json_delta', partial_json })) };
    }
    case 'web_search_tool_result':
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
