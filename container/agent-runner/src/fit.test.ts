// What does not fit into a turn, or back into a conversation that was summarized: kept in a file and named, never silently cut.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { testMessage } from './testing/host.js';
import { type Bench, lastUserText, setUp, use } from './testing/setup.js';

let bench: Bench;
beforeEach(async () => {
  bench = await setUp([{ text: 'ok' }]);
});
afterEach(() => bench.close());
const inbox = (name: string) => path.join(bench.paths.workspace, 'inbox', name);
const kept = (name: string) => fs.readFileSync(inbox(name), 'utf8');
const requestBytes = () => Buffer.byteLength(JSON.stringify(bench.fake.requests.at(-1)?.body));

test.each([
  ['letters', 'a'],
  ['quotes, which take six characters each', '"'],
  ['characters of four bytes', '😀'],
])('a message of 100,000 %s is shown as far as it goes, and whole in a file', async (_name, character) => {
  const text = `first words ${character.repeat(100_000 / character.length)} last words`;
  await bench.run({ messages: [testMessage(7, text)] });
  expect(kept('7-message.txt')).toBe(text);
  expect(lastUserText(bench)).toContain(`of ${text.length} characters; all of it is in ${inbox('7-message.txt')}`);
  expect(lastUserText(bench)).toContain('first words');
  expect(lastUserText(bench)).not.toContain('last words');
  expect(requestBytes()).toBeLessThan(100_000);
});

test('what a hook received is cut the same way, and stays data', async () => {
  const message = { ...testMessage(-1, 'Look at it.'), untrusted: { source: 'hook: x', text: 'y'.repeat(60_000) } };
  await bench.run({ messages: [message], unattended: { note: 'a hook' } });
  expect(kept('1-untrusted.txt')).toHaveLength(60_000);
  expect(lastUserText(bench)).toMatch(
    /<untrusted source=\\+"hook: x\\+" cut=\\+"this is its beginning, 32000 of 60000/,
  );
});

test('more questions than a turn has room for: the newest are shown, the others are in a file that is named', async () => {
  const messages = Array.from({ length: 100 }, (_, at) =>
    testMessage(at + 1, `question ${at + 1} ${'"'.repeat(1_000)}`),
  );
  const [first, ...others] = messages;
  await bench.run({ messages: first ? [{ ...first, leftOut: 7 }, ...others] : [] });
  const [, count, file = ''] =
    /<left-out>(\d+) messages [^;]*; all of it is in ([^<]*)</.exec(lastUserText(bench)) ?? [];
  expect(path.basename(file)).toBe(`messages-1-${count}.xml`);
  expect(kept(path.basename(file)).match(/<message /g)).toHaveLength(Number(count));
  for (const at of [1, Number(count)]) expect(lastUserText(bench)).not.toContain(`question ${at} `);
  for (const at of [Number(count) + 1, 100]) expect(lastUserText(bench)).toContain(`question ${at} `);
  expect(lastUserText(bench)).toContain('7 older messages of this chat are not shown here: search_history finds them');
  expect(requestBytes()).toBeLessThan(100_000);
});

test('how many older messages were left out stands where they would', async () => {
  const messages = [testMessage(1, 'a'), { ...testMessage(2, 'b'), leftOut: 20_000 }];
  await bench.run({ messages });
  expect(lastUserText(bench)).toMatch(
    />a<\/message>\\n<left-out>at least 20000 older .*<\/left-out>\\n<message id=[^>]*>b</,
  );
});

test('where no file can be, the message is answered and says why', async () => {
  fs.writeFileSync(path.join(bench.paths.workspace, 'inbox'), 'no folder');
  expect(await bench.run({ messages: [testMessage(7, 'x'.repeat(50_000))] })).toMatchObject({ outcome: 'done' });
  expect(lastUserText(bench)).toContain('the rest could not be kept');
});

test('a summary puts back no more of a request than fits: the whole of it is in a file', async () => {
  bench.fake.push(
    { content: [use('todo', { items: [{ text: 'go on', status: 'pending' }] })], usage: { input_tokens: 200_000 } },
    { text: 'nothing' },
    { text: 'a summary' },
    { text: 'done' },
  );
  const messages = Array.from({ length: 6 }, (_, at) => testMessage(at + 1, `part ${at + 1} ${'w'.repeat(9_000)}`));
  await bench.run({ id: 1, messages: [testMessage(99, 'hello')] });
  expect(await bench.run({ id: 2, messages })).toMatchObject({ text: 'done' });
  const summary = JSON.stringify(bench.history().findLast(({ kind }) => kind === 'compact'));
  expect(summary.length).toBeLessThan(25_000);
  expect(summary).toContain(`characters omitted, all of it is in ${inbox('request-2.txt')}`);
  for (const at of [1, 4, 6]) expect(kept('request-2.txt')).toContain(`part ${at} `);
});
