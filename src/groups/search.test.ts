// What a search finds and does not find, and that neither a long history nor a hostile query holds the process.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLoopCheck } from '../../test/fakes/loop-delay.js';
import { systemClock } from '../core/clock.js';
import { openStore, type Store } from '../store.js';
import { startIndexing } from './search-index.js';
import { termsOf } from './search-words.js';

let folder: string;
let store: Store;
let chatId: number;
let groupId: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinch-search-'));
  store = openStore(join(folder, 'pinch.db'));
  groupId = store.groups.ensure('main', true, 1).id;
  chatId = chatOf('w1', groupId);
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

function chatOf(address: string, group: number): number {
  const { id } = store.groups.seenChat({ channel: 'web', address, kind: 'direct', title: address, now: 1 });
  store.groups.assignChat(id, group);
  return id;
}
function say(text: string, chat = chatId): number {
  const fields = { direction: 'in' as const, senderId: null, senderName: 'Anna', sentAt: 1, now: 1 };
  return (
    store.messages.add({ ...fields, chatId: chat, platformId: `${Math.floor(performance.now() * 1e6)}`, text }) ?? 0
  );
}
const search = (query: string, group = groupId) => store.messages.search(group, query, 50);
const found = async (query: string) => (await search(query)).results.map(({ text }) => text);
function indexAll() {
  while (store.searchIndex.step());
}

test.each([
  // Words inside a sentence of scripts without spaces.
  ['会议', ['明天下午的会议改到三点'], ['会面', '议会']],
  ['会议改到', ['明天下午的会议改到三点'], ['会议没有改到明天']],
  ['猫', ['我家的猫很可爱'], ['我家的狗']],
  ['大阪', ['来週東京から大阪へ行きます'], ['大きい坂']],
  ['ラーメン', ['昨日ﾗｰﾒﾝを食べた'], ['ラー油とメンマ']],
  ['ガス', ['ｶﾞｽ代を払った'], ['カス']],
  ['iPhone15', ['新しいiPhone15を買った'], ['iPhone 14']],
  ['민국', ['대한민국 만세'], ['민족과 국가']],
  ['학교', ['학교에서 만나요'], ['학생']],
  ['อาหาร', ['ฉันชอบอาหารไทย'], ['อากาศ']],
  // Signs that belong to a word.
  ['C++', ['I write C++.', 'c++17 is out'], ['vitamin C', 'cats', 'C# too']],
  ['C++17', ['c++17 is out'], ['C++ in 17 days', 'C17']],
  ['C#', ['C# is fine', '(c#)'], ['C++', 'c sharp']],
  ['C', ['vitamin C'], ['cats', 'cc']],
  ['.NET', ['on .NET 8'], ['the net', 'internet']],
  ['a@b.example', ['mail a@b.example, please'], ['a b example', 'aa@b.example']],
  ['foo_bar', ['call foo_bar()'], ['foo bar', 'foo.bar']],
  ['v1.2.3', ['release v1.2.3 is out'], ['v1.2 and 3', 'v1.23']],
  ["don't", ["I don't know", 'I don’t know'], ['don t-shirt']],
  ['R&D', ['the R&D budget'], ['R and D', 'r, d']],
  ['2026-11-29', ['on 2026-11-29', 'on 2026/11/29'], ['2026: 29 of 11']],
  ['#garden', ['a #garden party'], ['the garden']],
  ['100 €', ['it costs 100 €'], ['it costs 100 $']],
  // Letters in several forms.
  ['naive', ['a naïve plan', 'NAÏVE', 'nai\u0308ve'], ['native']],
  ['naïve', ['a naive plan'], ['nave']],
  ['über', ['Uber Nacht', 'ÜBER'], ['ubiquitous']],
  ['strasse', ['Hauptstr. und Straße', 'STRASSE'], ['strase']],
  ['ｆｕｌｌ', ['full width'], ['fool']],
  ['שלום', ['שָׁלוֹם לכם'], ['שלו']],
  ['🎉', ['party 🎉🎉', '🎉'], ['🎂']],
  ['👍🏽', ['ok 👍'], ['👎']],
  // Beginnings and phrases.
  ['repair', ['repaired', 'repair'], ['repay']],
  ['"boiler repair"', ['the boiler repair', 'boiler, repair'], ['repair the boiler', 'boiler repairs']],
  ['"the boiler" cold', ['cold: the boiler'], ['the cold boiler']],
  ['boiler cold', ['the cold boiler'], ['boiler', 'cold']],
])('%s finds what people mean by it, and nothing else', async (query, yes, no) => {
  const all = [...yes, ...no];
  for (const text of all) say(text);
  expect((await found(query)).sort()).toEqual([...yes].sort());
});

test.each([
  '"',
  'boiler"',
  '*',
  'a OR',
  'NEAR(',
  'terms: x',
  '-',
  '()',
  '""',
  "'; DROP",
  '\u0000',
  '\ud800',
  '^a',
  '{a}',
  'a:b',
])('the query %j is words or nothing, never an error', async (query) => {
  say('the boiler');
  expect(await search(query)).toMatchObject({ results: expect.any(Array) });
});

test('any text is found by any of its own pieces between spaces, and no query fails', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 60 }), async (text) => {
      const id = say(text);
      const hits = await search(text);
      if (termsOf(text).size > 0 && !text.includes('"') && text.length < 20)
        expect(hits.results.length + (hits.note ? 1 : 0)).toBeGreaterThan(0);
      expect(id).toBeGreaterThan(0);
    }),
    { numRuns: 30 },
  );
});

test('a search without a word, with too many, or with more than fits says so', async () => {
  expect(await search('+-* ?!')).toEqual({ results: [], note: expect.stringContaining('no word') });
  const many = Array.from({ length: 60 }, (_, n) => `w${n}`).join(' ');
  expect(await search(many)).toEqual({ results: [], note: expect.stringContaining('too many words') });
  for (let n = 0; n < 30; n += 1) say(`boiler ${'x'.repeat(5_000)}`);
  const { results, note } = await search('boiler');
  expect(note).toContain('more than fits');
  expect(JSON.stringify(results).length).toBeLessThan(70_000);
});

test('a search begins with the group: what others say neither shows nor hides anything, and a chat takes its messages along', async () => {
  const other = store.groups.ensure('work', false, 1).id;
  const theirs = chatOf('w2', other);
  store.transaction(() => {
    for (let n = 0; n < 200; n += 1) say(`conference ${n} contract${n}`, theirs);
  });
  say('a contribution');
  indexAll();
  expect(await found('con')).toEqual(['a contribution']);
  expect(await found('cont')).toEqual(['a contribution']);
  store.groups.assignChat(theirs, groupId);
  expect((await search('conference 7', other)).results).toEqual([]);
  indexAll();
  expect(await found('conference 7')).toEqual(expect.arrayContaining(['conference 7 contract7']));
  // So many words begin so that the texts are looked at.
  expect((await found('contra')).length).toBe(50);
  expect(await found('contrib')).toEqual(['a contribution']);
});

test('a changed message is found by what it says now only', async () => {
  const id = say('the old boiler');
  expect(await found('boiler')).toHaveLength(1);
  store.messages.rewrite(id, { text: 'the new kettle', sentAt: 2, intent: 'said' });
  expect(await found('boiler')).toEqual([]);
  expect(await found('kettle')).toEqual(['the new kettle']);
});

test('messages from before an update are indexed step by step, newest first, said so, and go on after a kill', async () => {
  store.transaction(() => {
    for (let n = 0; n < 2_000; n += 1) say(`message ${n} ${n === 3 ? 'needle' : 'straw'}`);
  });
  indexAll();
  // As the migration leaves it.
  store.statements.run("INSERT INTO messages_fts (messages_fts) VALUES ('delete-all')")();
  store.statements.run('INSERT INTO search_todo (chat_id, from_id, until_id) VALUES (?1, 1, 2000)')(chatId);
  expect(store.searchIndex.step()).toBe(true);
  expect(await search('needle')).toEqual({ results: [], note: expect.stringContaining('still being indexed') });
  expect((await search('1999')).results).toHaveLength(1);
  store.close();
  store = openStore(join(folder, 'pinch.db'));
  const before = store.statements.value<[], number>('SELECT until_id FROM search_todo')() ?? 0;
  expect(before).toBeLessThan(2_000);
  const indexing = startIndexing({ store, clock: systemClock });
  while (store.searchIndex.isBehind(groupId)) await systemClock.sleep(5);
  await indexing.stop();
  expect(await search('needle')).toEqual({ results: [expect.objectContaining({ text: 'message 3 needle' })] });
});

test('what is new is indexed without a search', async () => {
  const indexing = startIndexing({ store, clock: { sleep: () => Promise.resolve() } });
  say('the boiler');
  store.signal('message', chatId);
  while (store.searchIndex.isBehind(groupId)) await new Promise((resolve) => setImmediate(resolve));
  await indexing.stop();
  expect(await found('boiler')).toHaveLength(1);
});

test('no search holds the event loop, whatever it asks for', async () => {
  const check = await createLoopCheck();
  store.transaction(() => {
    for (let n = 0; n < 30_000; n += 1) say(`the ${n % 2 ? 'odd' : 'even'} co${n.toString(36)}nt a.a`);
    for (let n = 0; n < 20; n += 1) say('ab '.repeat(20_000));
  });
  indexAll();
  await check('a common word', () => search('the'));
  await check('a common beginning', () => search('co1'));
  await check('two words that never meet', () => search('odd even'));
  await check('a phrase that never is', () => search('"odd the"'));
  await check('a long word of pairs', () => search('ab.'.repeat(160)));
  await check('long messages', () => search('"ab ba" ab'));
});
