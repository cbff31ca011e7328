// One odd answer of a back end does not break a conversation.
import { afterEach, expect, test } from 'vitest';
import type { Step } from '../../../test/fakes/anthropic.js';
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
