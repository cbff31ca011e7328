import { expect, test } from 'vitest';
import { markdownToTelegramHtml } from '../markdown/format.js';
import { oneLine, printable, shownLine } from './one-line.js';

test.each([
  ['a\r\nb\u2028c\u0085d\u000be', 'a b c d e'],
  ['  two \t words  ', 'two words'],
  ['\u001b[31mred\u009b2J', '[31mred 2J'],
  ['in\u202eexe.cod\u2066\u200b!', 'inexe.cod!'],
  ['half \ud83d', 'half'],
  ['👩‍👩‍👧‍👦 family', '👩‍👩‍👧‍👦 family'],
  ['\n\n', ''],
])('%j is the line %j', (text, line) => {
  expect(oneLine(text, 80)).toBe(line);
  expect(oneLine(line, 80)).toBe(line);
});

test('a long one is cut between characters', () => {
  expect(oneLine('😀'.repeat(90), 80)).toBe(`${'😀'.repeat(79)}…`);
  expect(oneLine('x'.repeat(80), 80)).toBe('x'.repeat(80));
});

test('in our Markdown it is only its words', () => {
  const title = '**bold** `code` [here](/evil) <b> &lt; # ~~no~~ _x_ \\* |';
  const html = markdownToTelegramHtml(`**3** ${shownLine(title, 200)}: daily`);
  expect(html).not.toMatch(/<(?!\/?b>)/);
  expect(html.match(/<b>/g)).toHaveLength(1);
  expect(html).toContain('**bold** `code` [here](/evil) &lt;b&gt; &amp;lt; # ~~no~~ _x_ \\* |');
});

test('a terminal is given no orders; JSON stays the same JSON', () => {
  expect(printable('a\u001b[2J\u009b\r\n\tb\u202e\rc')).toBe('a[2J\n\tb\nc');
});
