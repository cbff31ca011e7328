// One odd answer of a back end does not break a conversation.
import { afterEach, expect, test } from 'vitest';
import type { Step } from '../../../test/fakes/anthropic.js';
import type { SseEvent } from '../../../test/fakes/anthropic-events.js';
import { testMessage } from './testing/host.js';
import { type Bench, setUp, use } from './testing/setup.js';

let bench: Bench;
afterEach(() => bench.close());

const refuse = (message: string, fault = 400): Step => ({ fault, type: 'invalid_request_error', message });
const requests = () => bench.fake.requests.map(({ body }) => JSON.stringify(body?.messages ?? []));

/** A message with a picture, of which only the head is one. */
function withPicture(id: number) {
  const bytes = Buffer.alloc(64);
  Buffer.from('89504e470d0a1a0a0000000d494844520000001e00000014', 'hex').copy(bytes);
  bench.host.media.set(`${id}/0`, bytes);
  const picture = { index: 0, kind: 'image' as const, mimeType: 'image/png', fileName: 'a.png', sizeBytes: 64 };
  return { ...testMessage(id, 'look'), media: [picture] };
}

test('a picture that the back end refuses is left out of this call and all later ones', async () => {
  bench = await setUp([
    refuse('messages.0.content.1: Could not process image'),
    { text: 'I could not see the picture.' },
    { text: 'fine' },
  ]);
  expect(await bench.run({ messages: [withPicture(1)] })).toMatchObject({ text: 'I could not see the picture.' });
  await bench.run({ id: 2, messages: [testMessage(2, 'and now?')] });
  expect(requests().map((text) => text.includes('"image"'))).toEqual([true, false, false]);
  expect(requests()[1]).toContain('The model back end refused it');
});

test('thinking that another back end signed is left out', async () => {
  const thinking = { type: 'thinking' as const, thinking: 'hm' };
  bench = await setUp([
    { content: [thinking, { type: 'text', text: 'one' }] },
    refuse('messages.1.content.0: Invalid `signature` in `thinking` block'),
    { text: 'two' },
    { content: [thinking, { type: 'text', text: 'three' }] },
    { text: 'four' },
  ]);
  await bench.run();
  expect(await bench.run({ id: 2, messages: [testMessage(2, 'b')] })).toMatchObject({ text: 'two' });
  await bench.run({ id: 3, messages: [testMessage(3, 'c')] });
  expect(await bench.run({ id: 4, messages: [testMessage(4, 'd')] })).toMatchObject({ text: 'four' });
  // What was thought since is sent as ever.
  expect(requests().map((text) => text.includes('"thinking"'))).toEqual([false, true, false, false, true]);
});

test.each([
  'Could not process image',
  'Invalid `signature` in `thinking` block',
])('nothing of that kind is there: %s is an error like any other', async (message) => {
  bench = await setUp([refuse(message)]);
  expect(await bench.run()).toMatchObject({ outcome: 'failed', errorClass: 'invalid_request' });
  expect(bench.fake.requests).toHaveLength(1);
});

test('a limit that the back end names is kept to', async () => {
  bench = await setUp([
    { text: 'long '.repeat(20), usage: { input_tokens: 5_000 } },
    refuse('input length and `max_tokens` exceed context limit: 7000 + 4000 > 8192'),
    { text: 'nothing' },
    { text: 'what was said' },
    { text: 'an answer' },
  ]);
  const model = 'claude-haiku-4-5';
  await bench.run({ model });
  expect(await bench.run({ id: 2, model, messages: [testMessage(2, 'b')] })).toMatchObject({ text: 'an answer' });
  expect(bench.history().filter(({ kind }) => kind === 'compact')).toHaveLength(1);
});

const nothing: [string, Step][] = [
  ['nothing', { content: [] }],
  ['blanks', { text: ' \n' }],
  ['thinking alone', { content: [{ type: 'thinking', thinking: 'hm' }] }],
];
test.each(nothing)('%s is no answer: once more', async (_name, step) => {
  bench = await setUp([step, { text: 'here I am' }]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'here I am' });
});

test.each(nothing)('%s, twice: the people are told', async (_name, step) => {
  bench = await setUp([step, step, { text: 'later' }]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: expect.stringContaining('gave no answer') });
  expect(await bench.run({ id: 2, messages: [testMessage(2, 'b')] })).toMatchObject({ text: 'later' });
});

test('thinking up to the length limit gets more room', async () => {
  bench = await setUp([
    { content: [{ type: 'thinking', thinking: 'hm' }], stopReason: 'max_tokens' },
    { text: 'done' },
  ]);
  expect(await bench.run()).toMatchObject({ text: 'done' });
  const [first = 0, second = 0] = bench.fake.requests.map(({ body }) => body?.max_tokens ?? 0);
  expect(second).toBe(2 * first);
});

test('an empty end is meant after a message was sent, and where nobody is there', async () => {
  bench = await setUp([{ content: [use('send_message', { text: 'hi' })] }, { content: [] }, { content: [] }]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: '' });
  expect(await bench.run({ id: 2, unattended: { note: 'a task' }, messages: [] })).toMatchObject({ text: '' });
});

test('a back end that gives every call the same id: each has its own result and its own effect', async () => {
  const say = (text: string) => use('send_message', { text }, 'call_0');
  bench = await setUp([
    { content: [say('one'), say('two')] },
    { content: [say('three')] },
    { content: [use('bash', { command: 'echo four' }, 'call_0')] },
    { text: 'done' },
  ]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'done' });
  expect(bench.host.sends.map(({ text }) => text)).toEqual(['one', 'two', 'three']);
  expect(new Set(bench.host.sends.map(({ key }) => key)).size).toBe(3);
  expect(requests().at(-1)).toContain('four');
  expect(bench.fake.rejections()).toEqual([]);
});

test('a sub-agent’s calls are not those of its agent', async () => {
  bench = await setUp([
    { content: [use('send_message', { text: 'mine' }, 'call_0')] },
    { content: [use('agent', { prompt: 'say it' }, 'call_1')] },
    { content: [use('send_message', { text: 'its own' }, 'call_0')] },
    { text: 'said' },
    { text: 'done' },
  ]);
  await bench.run();
  expect(bench.host.sends.map(({ text }) => text)).toEqual(['mine', 'its own']);
  expect(new Set(bench.host.sends.map(({ key }) => key)).size).toBe(2);
});

test('a reply that is longer than the back end gives is asked for shorter, from then on', async () => {
  const words = 'max_tokens: 4000 > 1024, which is the maximum allowed number of output tokens';
  bench = await setUp([refuse(words), { text: 'short' }, { text: 'short again' }]);
  const model = 'claude-haiku-5-5';
  expect(await bench.run({ model })).toMatchObject({ outcome: 'done', text: 'short' });
  await bench.run({ id: 2, model, messages: [testMessage(2, 'b')] });
  expect(bench.fake.requests.map(({ body }) => body?.max_tokens)).toEqual([4_000, 1_024, 1_024]);
});

test.each([
  '{"command": }',
  '"ls"',
  '[1]',
  '{"command": "ls"',
])('the input %s: the model is told, nothing is run', async (rawInput) => {
  bench = await setUp([
    { content: [{ type: 'tool_use', name: 'task_list', rawInput }] },
    { text: 'I see' },
    { text: 'fine' },
  ]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'I see' });
  expect(requests().at(-1)).toContain('was not a JSON object');
  expect(await bench.run({ id: 2, messages: [testMessage(2, 'b')] })).toMatchObject({ text: 'fine' });
  expect(bench.fake.requests).toHaveLength(3);
  expect(bench.fake.rejections()).toEqual([]);
});

const without =
  (name: string) =>
  (events: SseEvent[]): SseEvent[] =>
    events.map((event) => {
      const kept = (one: object) => Object.fromEntries(Object.entries(one).filter(([key]) => key !== name));
      return {
        ...kept(event),
        type: event.type,
        ...(event.message instanceof Object && { message: kept(event.message) }),
      };
    });
const block =
  (content_block: object) =>
  (events: SseEvent[]): SseEvent[] => [
    ...events.slice(0, 1),
    { type: 'content_block_start', index: 0, content_block },
    { type: 'content_block_stop', index: 0 },
    ...events.slice(1).map((event) => (typeof event.index === 'number' ? { ...event, index: event.index + 1 } : event)),
  ];
test.each<[string, (events: SseEvent[]) => SseEvent[]]>([
  ['no usage', without('usage')],
  ['no content at first', without('content')],
  ['a block of another kind', block({ type: 'mystery', riddle: '?' })],
  ['a search that is none', block({ type: 'server_tool_use', id: 'srv_1', name: 'code_execution', input: {} })],
  ['a text of nothing', block({ type: 'text', text: null })],
])('%s in each reply: an answer, and the conversation goes on', async (_name, edit) => {
  bench = await setUp([
    { text: 'one', edit },
    { text: 'two', edit },
  ]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'one' });
  expect(await bench.run({ id: 2, messages: [testMessage(2, 'b')] })).toMatchObject({ outcome: 'done', text: 'two' });
  expect(bench.fake.requests).toHaveLength(2);
  expect(bench.fake.rejections()).toEqual([]);
});

test('names and ids that no back end takes back', async () => {
  bench = await setUp([
    { content: [use('functions.bash', { command: 'ls' }, 'functions.bash:0')] },
    { content: [use('bash', { command: 'echo five' }, 'functions.bash:0')] },
    { text: 'done' },
  ]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'done' });
  expect(requests().at(-1)).toContain('five');
  expect(bench.fake.rejections()).toEqual([]);
});

test('lines without the names of events', async () => {
  const events = [
    { type: 'message_start', message: { id: 'm', role: 'assistant', model: 'm' } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'plain' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' } },
    { type: 'message_stop' },
  ];
  const lines = events.map((event) => `data:${JSON.stringify(event)}\r\n\r\n`).join('');
  bench = await setUp([
    {
      raw: (response) =>
        void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`${lines}data: [DONE]`),
    },
  ]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'plain' });
});

test('a pause behind a text is gone on from, also after a crash', async () => {
  bench = await setUp([{ text: 'One moment.', stopReason: 'pause_turn' }, { text: ' Here it is.' }]);
  expect(await bench.run()).toMatchObject({
    outcome: 'done',
    text: expect.stringMatching(/^One moment\. ?Here it is\.$/),
  });
  expect(bench.fake.rejections()).toEqual([]);
});

test('a pause with nothing in it is no answer', async () => {
  bench = await setUp([{ content: [], stopReason: 'pause_turn' }, { text: 'here I am' }]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'here I am' });
});

test('a picture that is refused in the middle of a stream', async () => {
  const message = 'Could not process image';
  bench = await setUp([
    { text: 'I', interrupt: { after: 2, by: 'error', type: 'invalid_request_error', message } },
    { text: 'I could not see it.' },
  ]);
  expect(await bench.run({ messages: [withPicture(1)] })).toMatchObject({ text: 'I could not see it.' });
});

const json = (body: object, status = 200): Step => ({
  raw: (response) => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
});
const whole = (content: object[], stop_reason: string) =>
  json({ id: 'm', type: 'message', role: 'assistant', model: 'm', content, stop_reason, usage: { input_tokens: 5 } });

test('a whole reply where a stream was asked for', async () => {
  bench = await setUp([
    whole([{ type: 'tool_use', id: 'a', name: 'bash', input: { command: 'echo hello' } }], 'tool_use'),
    whole([{ type: 'text', text: 'all at once' }], 'end_turn'),
  ]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'all at once' });
  expect(requests().at(-1)).toContain('hello');
});

test.each<[object, string]>([
  [{ error: { code: 402, message: 'Insufficient credits' } }, 'billing'],
  [{ error: { code: 403, message: 'Your input was flagged by moderation' } }, 'invalid_request'],
  [{ type: 'error', error: { type: 'rate_limit_error', message: 'slower' } }, 'rate_limit'],
  [{ error: { type: 'invalid_request_error', message: 'it is wrong' } }, 'invalid_request'],
])('an error with status 200: %j is %s', async (body, errorClass) => {
  bench = await setUp([json(body)]);
  expect(await bench.run()).toMatchObject({ outcome: 'failed', errorClass });
  expect(bench.fake.requests).toHaveLength(1);
});

test.each([
  'length',
  'MAX_TOKENS',
  'max_output_tokens',
  'model_length',
])('%s is the length limit', async (stopReason) => {
  bench = await setUp([{ text: 'The first half ', stopReason }, { text: 'and the second.' }]);
  expect(await bench.run()).toMatchObject({ text: expect.stringMatching(/^The first half ?and the second\.$/) });
});

test.each(['content_filter', 'SAFETY', 'PROHIBITED_CONTENT', 'sensitive'])('%s is a refusal', async (stopReason) => {
  bench = await setUp([{ text: 'I', stopReason }]);
  expect(await bench.run()).toMatchObject({ text: expect.stringContaining('declined') });
});

test.each<[string, Record<string, string>]>([
  ['a date', { 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() }],
  ['milliseconds', { 'retry-after-ms': '3600000' }],
])('a long wait that is asked for as %s is left to the host', async (_name, headers) => {
  bench = await setUp([{ fault: 429, type: 'rate_limit_error', headers }]);
  const report = await bench.run();
  expect(report).toMatchObject({ outcome: 'failed', errorClass: 'rate_limit' });
  expect(report.outcome === 'failed' && report.retryAfterMs).toBeGreaterThan(3_500_000);
  expect(bench.fake.requests).toHaveLength(1);
});

test.each([204, 205, 304, 999])('the status %i is no answer, and the runner lives on', async (status) => {
  bench = await setUp([{ raw: (response) => void response.writeHead(status).end() }, { text: 'here I am' }]);
  const report = await bench.run();
  if (status !== 304) expect(report).toMatchObject({ outcome: 'done', text: 'here I am' });
  expect(await bench.run({ id: 2, messages: [testMessage(2, 'b')] })).toMatchObject({ outcome: 'done' });
});

const begin = (index: number, text: string | null): SseEvent => ({
  ...{ type: 'content_block_start', index },
  content_block: { type: 'text', text },
});
const goOn = (index: number, text: string | null): SseEvent => ({
  ...{ type: 'content_block_delta', index },
  delta: { type: 'text_delta', text },
});
const finish = (index: number): SseEvent => ({ type: 'content_block_stop', index });
test.each<[string, SseEvent[]]>([
  ['begins at 1', [begin(1, ''), goOn(1, 'onetwo'), finish(1)]],
  ['has a gap', [begin(0, ''), goOn(0, 'one'), finish(0), begin(2, ''), goOn(2, 'two'), finish(2)]],
  ['begins at 0 twice', [begin(0, ''), goOn(0, 'one'), finish(0), begin(0, ''), goOn(0, 'two'), finish(0)]],
  ['never begins', [goOn(0, 'one'), goOn(0, 'two')]],
  ['has texts of nothing', [begin(0, null), goOn(0, null), goOn(0, 'onetwo'), finish(0)]],
])('a count of blocks that %s: every text arrives', async (_name, blocks) => {
  const edit = (events: SseEvent[]): SseEvent[] => [
    ...events.slice(0, 1),
    ...blocks,
    ...events.filter(({ type }) => /^message_(delta|stop)$/.test(type)),
  ];
  bench = await setUp([{ text: 'x', edit }]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'onetwo' });
});

const startOf = (events: SseEvent[]) => events.filter(({ type }) => type === 'message_start');
test.each<[string, (events: SseEvent[]) => SseEvent[]]>([
  ['twice', (events) => [...startOf(events), ...events]],
  ['again in the middle', (events) => [...events.slice(0, 3), ...startOf(events), ...events.slice(3)]],
  ['never', (events) => events.filter(({ type }) => type !== 'message_start')],
  ['without a message', (events) => [{ type: 'message_start' }, ...events.slice(1)]],
])('a reply that begins %s is read', async (_name, edit) => {
  bench = await setUp([{ text: 'an answer', edit }]);
  expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'an answer' });
  expect(bench.fake.requests).toHaveLength(1);
});

const LONG = { input_tokens: 170_000 };
test.each<[string, string, Step]>([
  [
    'thinking',
    'Invalid `signature` in `thinking` block',
    {
      content: [
        { type: 'thinking', thinking: 'hm' },
        { type: 'text', text: 'one' },
      ],
      usage: LONG,
    },
  ],
  [
    'output',
    'max_tokens: 4000 > 1024, which is the maximum allowed number of output tokens',
    { text: 'one', usage: LONG },
  ],
])('the summary of a long conversation is refused for its %s: made without it', async (_name, words, first) => {
  bench = await setUp([first, { text: 'nothing' }, refuse(words), { text: 'what was said' }, { text: 'two' }]);
  await bench.run();
  expect(await bench.run({ id: 2, messages: [testMessage(2, 'b')] })).toMatchObject({ outcome: 'done', text: 'two' });
  expect(bench.history().filter(({ kind }) => kind === 'compact')).toHaveLength(1);
});

test.each(['refusal', 'model_context_window_exceeded'])('a summary that ends with %s is none', async (stopReason) => {
  const broken: Step = { text: 'I', stopReason };
  bench = await setUp([
    { text: 'one', usage: LONG },
    { text: 'nothing' },
    broken,
    { text: 'what was said' },
    { text: 'two' },
  ]);
  await bench.run();
  expect(await bench.run({ id: 2, messages: [testMessage(2, 'b')] })).toMatchObject({ outcome: 'done', text: 'two' });
  expect(requests().at(-1)).toContain('what was said');
});

test('no summary of what still fits: the conversation goes on as it is', async () => {
  const nothing: Step = { content: [] };
  bench = await setUp([{ text: 'one', usage: LONG }, nothing, nothing, nothing, nothing, { text: 'two' }]);
  await bench.run();
  expect(await bench.run({ id: 2, messages: [testMessage(2, 'b')] })).toMatchObject({ outcome: 'done', text: 'two' });
});

test('a short conversation with too much room for its reply is asked again with less, not summarized', async () => {
  const words =
    "max_tokens is too large: 4000. This model's maximum context length is 12000 tokens and your request has 9000 input tokens";
  const model = 'other-1';
  bench = await setUp([refuse(words), { text: 'fits' }], { models: [model] });
  expect(await bench.run({ model })).toMatchObject({ outcome: 'done', text: 'fits' });
  expect(bench.history().filter(({ kind }) => kind === 'compact')).toEqual([]);
});
