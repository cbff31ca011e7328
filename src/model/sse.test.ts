// The event stream both ways: what is encoded can be tapped, however the network cuts it, and rubbish does no harm.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeEvent, messageEvents, type ReplyMessage, type SseEvent } from '../../test/fakes/anthropic-events.js';
import { encodeMessage } from './demo-model.js';
import { createUsageTap } from './sse.js';

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
  webSearches: 0,
};

function tapAll(pieces: Iterable<Buffer>) {
  const tap = createUsageTap();
  for (const piece of pieces) tap.feed(piece);
  return tap.result();
}
const stream = (reply: ReplyMessage, deltaChars = 24) => messageEvents(reply, { deltaChars }).map(encodeEvent);
const tapEvents = (...events: SseEvent[]) => tapAll(events.map(encodeEvent));

test('a stream is whole with the blank line behind its last event, wherever it is cut', () => {
  const text = Buffer.concat(stream(message)).toString();
  for (const all of [text, text.replaceAll('\n', '\r\n')])
    for (let left = 1; left < 60; left += 1) {
      const bytes = Buffer.from(all);
      const tap = createUsageTap();
      tap.feed(bytes.subarray(0, -left));
      expect(tap.isWhole()).toBe(false);
      tap.feed(bytes.subarray(-left));
      expect(tap.isWhole()).toBe(true);
    }
});

test('usage and stop reason survive every way of cutting the bytes', () => {
  const bytes = Buffer.concat(stream(message, 2));
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
        stopReason: 'tool_use',
      });
    }),
  );
});

test('a whole JSON reply gives the same figures as its stream', () => {
  const tap = createUsageTap();
  tap.feedWhole(JSON.stringify(message, null, 2));
  expect(tap.result()).toMatchObject({ usage, complete: true, stopReason: 'tool_use' });
  expect(tap.result().usage).toEqual(tapAll(stream(message)).usage);
});

test('rubbish never throws and changes nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (rubbish) => {
      const result = tapAll([Buffer.from(rubbish), Buffer.from('\n\n'), ...stream(message)]);
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

test('a cut stream is not complete, and says what it was told', () => {
  const long = { ...message, content: [{ type: 'text' as const, text: 'x'.repeat(3_500) }] };
  const result = tapAll(stream(long).slice(0, -3));
  expect(result).toMatchObject({ complete: false, started: true, stopReason: null });
  expect(result.usage.inputTokens).toBe(11);
});

test('what the host encodes itself is read by its own tap', () => {
  const content = [
    { type: 'text' as const, text: 'Grüße, 世界' },
    { type: 'tool_use' as const, id: 'toolu_1', name: 'bash', input: { command: 'echo "🇩🇪"' } },
  ];
  const own = { ...message, content, usage: { input_tokens: 11, output_tokens: 222 } };
  expect(tapAll([Buffer.from(encodeMessage(own))])).toMatchObject({
    usage: { inputTokens: 11, outputTokens: 222 },
    complete: true,
    stopReason: 'tool_use',
  });
});

test('an endless line is dropped, and the events behind it are read', () => {
  const flood = Array.from({ length: 40 }, () => Buffer.alloc(100_000, 'x'));
  expect(tapAll([...flood, Buffer.from('\n\n'), ...stream(message)]).usage).toEqual(usage);
});

test.each<[object, number | undefined]>([
  [{ cost: 0.00123456 }, 1_235],
  [{ cost: 0 }, 0],
  [{ cost: 0.0001, is_byok: true, cost_details: { upstream_inference_cost: 0.002 } }, 2_100],
  [{ cost: 0.002, is_byok: false, cost_details: { upstream_inference_cost: 0.002 } }, 2_000],
  [{ cost: 0.002, cost_details: { upstream_inference_cost: null } }, 2_000],
  [{ cost: -1 }, undefined],
  [{ cost: '1' }, undefined],
  [{ cost: null }, undefined],
  [{ cost: Number.POSITIVE_INFINITY }, undefined],
  [{}, undefined],
])('a back end that says %j reports %s micro USD', (more, microUsd) => {
  const whole = createUsageTap();
  whole.feedWhole(JSON.stringify({ ...message, usage: { ...message.usage, ...more } }));
  const streamed = tapEvents({ type: 'message_delta', delta: {}, usage: { output_tokens: 1, ...more } });
  expect([whole.result().reportedMicroUsd, streamed.reportedMicroUsd]).toEqual([microUsd, microUsd]);
});
