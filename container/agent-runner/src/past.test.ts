// search_history: each find says whether it is a message, a line of a memory file or of a past session.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Entry } from './records.js';
import { textBlock, toolResult } from './records.js';
import { testMessage } from './testing/host.js';
import { type Bench, setUp, use } from './testing/setup.js';

let bench: Bench;
beforeEach(async () => {
  bench = await setUp([]);
});
afterEach(() => bench.close());

let seq = 0;
function past(name: string, entries: Entry[]): void {
  const lines = entries.map((entry) => {
    seq += 1;
    return JSON.stringify({ seq, ts: Date.UTC(2026, 4, 1), runId: 900, ...entry });
  });
  fs.writeFileSync(path.join(bench.paths.sessions, name), `${lines.join('\n')}\nnot a record: Rome\n`);
}
const said = (text: string): Entry => ({
  ...{ kind: 'assistant', model: 'm', stopReason: 'end_turn', tokens: 1 },
  content: [textBlock(text)],
});
const called = (name: string, input: object): Entry => ({
  ...{ kind: 'assistant', model: 'm', stopReason: 'tool_use', tokens: 1 },
  content: [{ type: 'tool_use', id: 'a', name, input }],
});
const got = (text: string): Entry => ({
  ...{ kind: 'user', origin: 'results', messageIds: [] },
  content: [toolResult('a', text), textBlock('words of people about Rome')],
});

async function search(query: string, limit = 20): Promise<string> {
  bench.fake.push({ content: [use('search_history', { query, limit })] }, { text: 'ok' });
  seq += 1;
  await bench.run({ id: 1_000 + seq, session: 'now-1', messages: [testMessage(1_000 + seq, 'Rome? I say it now')] });
  const body = bench.fake.requests.at(-1)?.body;
  return JSON.stringify(body?.messages.at(-1)?.content);
}

test('finds are told apart, and what a session still sees is not found', async () => {
  past('chat1-1.jsonl', [
    said('the hotel in Rome costs 90'),
    called('bash', { command: 'book --city Rome' }),
    got('booked: ROME, room 5'),
  ]);
  past('chat1-2.archive.jsonl', [{ kind: 'compact', content: [textBlock('They want a trip to Romé.')] }]);
  past('now-1.archive.jsonl', [said('long ago: Rome by train')]);
  bench.host.history.push({ chat: 'Family', sender: 'Ann', sentAt: 0, text: 'I <3 Rome' });
  bench.host.memory.found.push({ file: 'memory/trip.md', line: 3, text: 'Rome, 5 May' });
  const found = await search('rome');
  for (const part of [
    '<memory file=\\"memory/trip.md\\" line=\\"3\\">Rome, 5 May</memory>',
    '<message chat=\\"Family\\" sender=\\"Ann\\"',
    'what=\\"said\\">the hotel in Rome costs 90</session>',
    'what=\\"call of bash\\">',
    '<session name=\\"chat1-1\\" time=\\"2026-05-01 02:00 Fri\\" what=\\"result\\">booked: ROME, room 5</session>',
    'what=\\"summary\\">They want a trip to Romé.',
    'long ago: Rome by train',
  ])
    expect([part, found.includes(part)]).toEqual([part, true]);
  for (const part of ['I say it now', 'words of people', 'search_history', 'not a record'])
    expect([part, found.includes(part)]).toEqual([part, false]);
});

test('all words must occur, links and pipes are left alone, and there is an end to it', async () => {
  past(
    'chat1-1.jsonl',
    Array.from({ length: 400 }, (_, n) => said(`room ${n} in Rome`)),
  );
  fs.symlinkSync('/etc/passwd', path.join(bench.paths.sessions, 'x.jsonl'));
  const found = await search('rome "room 7"');
  expect(found.match(/<session /g)).toHaveLength(1);
  expect((await search('rome', 3)).match(/<session /g)).toHaveLength(3);
  expect(await search('rome helicopter')).toContain('Nothing found.');
});
