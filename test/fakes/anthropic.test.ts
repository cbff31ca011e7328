// The fake itself, driven by the real SDK: what it serves, how it fails, what it remembers.
import Anthropic, { APIError, AuthenticationError } from '@anthropic-ai/sdk';
import { afterEach, expect, test } from 'vitest';
import { type FakeAnthropic, type FakeOptions, startFakeAnthropic } from './anthropic.js';

const open: FakeAnthropic[] = [];
afterEach(async () => {
  for (const fake of open.splice(0)) await fake.close();
});

async function start(options: FakeOptions = {}) {
  const fake = await startFakeAnthropic(options);
  open.push(fake);
  const client = new Anthropic({ baseURL: fake.url, authToken: 'test-key', apiKey: null, maxRetries: 0 });
  return { fake, client };
}

const hello: Anthropic.MessageCreateParamsNonStreaming = {
  model: 'claude-sonnet-5-5',
  max_tokens: 1000,
  messages: [{ role: 'user', content: 'Grüße, 世界 🐧' }],
};
const textOf = (message: Anthropic.Message) =>
  message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
const caught = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

test('without a script it echoes the last message, streamed and not', async () => {
  const { client, fake } = await start();
  expect(textOf(await client.messages.create(hello))).toBe('You said: Grüße, 世界 🐧');
  expect(textOf(await client.messages.stream(hello).finalMessage())).toBe('You said: Grüße, 世界 🐧');
  const xml =
    '<messages now="x">\n<message id="1" sender="A" time="t">one</message>\n<message id="2" sender="A" time="t">a &lt;b&gt; &amp;amp; c</message>\n</messages>';
  const wrapped = { ...hello, messages: [{ role: 'user' as const, content: xml }] };
  expect(textOf(await client.messages.create(wrapped))).toBe('You said: a <b> &amp; c');
  expect(fake.rejections()).toEqual([]);
});

test('bytes cut inside UTF-8 and JSON, with pings, arrive whole', async () => {
  const { client, fake } = await start();
  fake.push({ text: 'Größe: 世界 🐧🇩🇪 "quoted"\n'.repeat(3), splitBytes: 1, deltaChars: 3, pings: true });
  const message = await client.messages.stream(hello).finalMessage();
  expect(textOf(message)).toBe('Größe: 世界 🐧🇩🇪 "quoted"\n'.repeat(3));
});

test('a two-turn conversation with thinking and parallel tools is accepted only with its history unaltered', async () => {
  const { client, fake } = await start({
    script: [
      {
        content: [
          { type: 'thinking', thinking: 'two things at once' },
          { type: 'text', text: 'Looking.' },
          { type: 'tool_use', name: 'bash', input: { command: 'ls' } },
          { type: 'tool_use', name: 'bash', input: { command: 'pwd' } },
        ],
      },
    ],
  });
  const tools: Anthropic.Tool[] = [{ name: 'bash', input_schema: { type: 'object' } }];
  const first = await client.messages.stream({ ...hello, tools }).finalMessage();
  expect(first.stop_reason).toBe('tool_use');
  const results = first.content.flatMap((block) =>
    block.type === 'tool_use' ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: 'done' }] : [],
  );
  expect(results).toHaveLength(2);
  const assistant = { role: 'assistant' as const, content: first.content };
  const ask = (messages: Anthropic.MessageParam[]) => client.messages.create({ ...hello, tools, messages });
  await ask([...hello.messages, assistant, { role: 'user', content: results }]);
  const edited = await caught(
    ask([{ role: 'user', content: 'other words' }, assistant, { role: 'user', content: results }]),
  );
  expect(edited).toMatchObject({ status: 400, type: 'invalid_request_error' });
  expect(String(edited)).toContain('Invalid `signature` in `thinking` block');
  const unanswered = await caught(ask([...hello.messages, assistant, { role: 'user', content: results.slice(1) }]));
  expect(String(unanswered)).toContain('were found without `tool_result` blocks');
  expect(fake.rejections()).toHaveLength(2);
});

test('a wrong key is 401 until it is right', async () => {
  const { client, fake } = await start({ key: 'other' });
  expect(await caught(client.messages.create(hello))).toBeInstanceOf(AuthenticationError);
  fake.setKey('test-key');
  await client.messages.create(hello);
});

test('faults carry their status, type and headers', async () => {
  const { client, fake } = await start();
  fake.push({ fault: 529, type: 'overloaded_error', message: 'Overloaded', headers: { 'retry-after': '7' } });
  const error = await caught(client.messages.create(hello));
  expect(error).toBeInstanceOf(APIError);
  expect(error).toMatchObject({ status: 529, type: 'overloaded_error' });
  expect(error instanceof APIError && error.headers?.get('retry-after')).toBe('7');
});

test.each([
  ['a cut socket', { after: 3, by: 'cut' as const }, /terminated|aborted|reset|error/i],
  ['an end without message_stop', { after: 3, by: 'end' as const }, /stream ended/],
  ['an error event', { after: 3, by: 'error' as const, type: 'overloaded_error' }, /overloaded_error/],
])('%s in the middle of a stream reaches the client as an error', async (_name, interrupt, words) => {
  const { client, fake } = await start();
  fake.push({ text: 'a long enough text to be cut somewhere', interrupt });
  expect(String(await caught(client.messages.stream(hello).finalMessage()))).toMatch(words);
});

test('a stalled stream stays open until the client gives up, and the fake knows it was left', async () => {
  const { client, fake } = await start();
  fake.push({ text: 'never finished', interrupt: { after: 3, by: 'stall' } });
  const stream = client.messages.stream(hello);
  const ended = caught(stream.finalMessage());
  await new Promise((resolve) => stream.once('streamEvent', resolve));
  stream.abort();
  await ended;
  const [request] = await fake.waitForRequests(1);
  expect(await request?.ended).toBe('aborted');
});

test('tool input that is not JSON is sent as scripted', async () => {
  const { client, fake } = await start();
  fake.push({ content: [{ type: 'tool_use', name: 'bash', rawInput: '{"command": "ls' }], stopReason: 'max_tokens' });
  const message = await client.messages.stream(hello).finalMessage();
  expect(message.stop_reason).toBe('max_tokens');
});

test('the cache is simulated from prefixes really sent', async () => {
  const { client, fake } = await start();
  const cached = { ...hello, system: 'You are terse. '.repeat(50), cache_control: { type: 'ephemeral' as const } };
  const first = await client.messages.create(cached);
  expect(first.usage.cache_read_input_tokens).toBe(0);
  const messages = [
    ...hello.messages,
    { role: 'assistant' as const, content: first.content },
    { role: 'user' as const, content: 'more' },
  ];
  const second = await client.messages.create({ ...cached, messages });
  expect(second.usage.cache_read_input_tokens).toBe(first.usage.cache_creation_input_tokens);
  const third = await client.messages.create({ ...cached, system: 'Changed.', messages });
  expect(third.usage.cache_read_input_tokens).toBe(0);
  expect(fake.prefixChanges()).toMatchObject([{ request: 2, changed: 'system' }]);
});

test('count_tokens answers with an estimate', async () => {
  const { client } = await start();
  const { model, messages } = hello;
  expect((await client.messages.countTokens({ model, messages })).input_tokens).toBeGreaterThan(3);
});
