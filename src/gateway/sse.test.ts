// The event stream both ways: what is encoded can be tapped, however the network cuts it, and rubbish does no harm.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createUsageTap, encodeEvent, encodeMessage, type ReplyMessage, type SseEvent, tapJson } from './sse.js';

const message: ReplyMessage = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-5-5',
  content: [
    { type: 'thinking', thinking: 'hm 🐧', signature: 'sig' },
    { type: 'text', text: 'Grüße, 世界' },
    { type: 'tool_use', id: 'toolu_1', name: 'bash', input: { command: 'echo "🇩🇪"' } },
  ],
  stop_reason: 'tool_use',
  stop_sequence: null,
  usage: {
    input_tokens: 11,
    output_tokens: 222,
    cache_read_input_tokens: 33,
    cache_creation_input_tokens: 44,
    cache_creation: { ephemeral_5m_input_tokens: 14, ephemeral_1h_input_tokens: 30 },
  },
};
const usage = {
  inputTokens: 11,
  outputTokens: 222,
  cacheReadTokens: 33,
  cacheWrite5mTokens: 14,
  cacheWrite1hTokens: 30,
};

function tapAll(pieces: Iterable<Uint8Array>) {
  const tap = createUsageTap();
  for (const piece of pieces) tap.feed(piece);
  return tap.result();
}
const tapEvents = (...events: SseEvent[]) => tapAll(events.map(encodeEvent));

test('usage, model and stop reason survive every way of cutting the bytes', () => {
  const bytes = Buffer.concat(encodeMessage(message, { deltaChars: 2 }));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
      const pieces: Buffer[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = sizes[turn % sizes.length] ?? 1;
        pieces.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(tapAll(pieces)).toMatchObject({
        usage,
        complete: true,
        model: 'claude-sonnet-5-5',
        stopReason: 'tool_use',
        errorType: null,
        bytes: bytes.length,
      });
    }),
  );
});

test('a whole JSON reply gives the same figures as its stream', () => {
  expect(tapJson(Buffer.from(JSON.stringify(message))).usage).toEqual(tapAll(encodeMessage(message)).usage);
});

test('rubbish never throws and changes nothing but the byte count', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (rubbish) => {
      const result = tapAll([rubbish, Buffer.from('\n\n'), ...encodeMessage(message)]);
      expect(result.usage).toEqual(usage);
    }),
  );
  for (const line of [
    'data: {',
    'data: null',
    'data: {"type":3}',
    'data: {"type":"message_delta","usage":"x"}',
    ':ping',
  ]) {
    expect(tapAll([Buffer.from(`${line}\n\n`)])).toMatchObject({ complete: false, started: false });
  }
});

test('a null in message_delta does not erase what message_start said', () => {
  const start = {
    type: 'message_start',
    message: { model: 'm', usage: { input_tokens: 5, output_tokens: 1, cache_read_input_tokens: 7 } },
  };
  const delta = {
    type: 'message_delta',
    delta: {},
    usage: { input_tokens: null, cache_read_input_tokens: null, output_tokens: 9 },
  };
  expect(tapEvents(start, delta)).toMatchObject({
    usage: { inputTokens: 5, cacheReadTokens: 7, outputTokens: 9 },
    complete: true,
  });
});

test('a compaction the provider did on the way is billed on top, its other iterations are not', () => {
  const iterations = [
    { type: 'message', input_tokens: 100, output_tokens: 10 },
    { type: 'compaction', input_tokens: 1_000, output_tokens: 50, cache_read_input_tokens: 3 },
  ];
  const delta = { type: 'message_delta', delta: {}, usage: { input_tokens: 100, output_tokens: 10, iterations } };
  expect(tapEvents(delta).usage).toMatchObject({ inputTokens: 1_100, outputTokens: 60, cacheReadTokens: 3 });
});

test('missing cache fields count as none, writes without a split as five-minute ones', () => {
  const start = (fields: object) => ({
    type: 'message_start',
    message: { usage: { input_tokens: 5, output_tokens: 1, ...fields } },
  });
  expect(tapEvents(start({})).usage).toMatchObject({
    cacheReadTokens: 0,
    cacheWrite5mTokens: 0,
    cacheWrite1hTokens: 0,
  });
  expect(tapEvents(start({ cache_creation_input_tokens: 8 })).usage).toMatchObject({
    cacheWrite5mTokens: 8,
    cacheWrite1hTokens: 0,
  });
});

test('a cut stream is not complete, and its output is guessed from what was streamed', () => {
  const long = { ...message, content: [{ type: 'text' as const, text: 'x'.repeat(3_500) }] };
  const result = tapAll(encodeMessage(long).slice(0, -3));
  expect(result).toMatchObject({ complete: false, started: true, outputEstimate: 1_000, stopReason: null });
  expect(result.usage.inputTokens).toBe(11);
});

test('an error event is noticed', () => {
  expect(tapEvents({ type: 'error', error: { type: 'overloaded_error', message: 'x' } }).errorType).toBe(
    'overloaded_error',
  );
});

test('an endless line is dropped, and the events behind it are read', () => {
  const flood = Array.from({ length: 40 }, () => Buffer.alloc(100_000, 'x'));
  expect(tapAll([...flood, Buffer.from('\n\n'), ...encodeMessage(message)]).usage).toEqual(usage);
});
