// What a model writes is readable in every chat: nothing vanishes, and nothing becomes formatting that was not meant.
import { describe, expect, test } from 'vitest';
import { markdownToWhatsApp } from '../channels/whatsapp-format.js';
import { markdownToSafeHtml, markdownToTelegramHtml, telegramPlainText } from './format.js';
import { splitMarkdown } from './split.js';

/** What a person reads in each chat. */
const readers = [
  ['Telegram', (text: string) => telegramPlainText(markdownToTelegramHtml(text))],
  ['WhatsApp', markdownToWhatsApp],
  [
    'the page',
    (text: string) => telegramPlainText(markdownToSafeHtml(text).replace(/<br>|<\/(p|li|tr|blockquote)>/g, '\n')),
  ],
] as const;

describe.each(readers)('%s', (_name, read) => {
  test.each([
    // Definitions of links that nobody refers to.
    ['Here is the log:\n\n[10:05]: started\n[10:06]: done\n\nAnything else?', ['[10:05]: started', '[10:06]: done']],
    ['Sources:\n\n[1]: https://a.example/x', ['[1]: https://a.example/x']],
    ['A claim[^1].\n\n[^1]: https://a.example/note', ['[^1]: https://a.example/note']],
    ['[a]: b\n[a]: c', ['[a]: b', '[a]: c']],
    ['`x[1]` is it\n\n[1]: /etc/hosts', ['[1]: /etc/hosts']],
    ['```\n[1]\n```\n\n[1]: /etc/hosts', ['[1]: /etc/hosts']],
    ['> [note]: careful', ['[note]: careful']],
    ['- [x1]: y', ['[x1]: y']],
    ['[todo]: <>', ['[todo]:']],
    // Tildes.
    ['10~15 minutes, or 20~30', ['10~15 minutes, or 20~30']],
    ['PATH=~/bin:~/go/bin', ['PATH=~/bin:~/go/bin']],
    ['大约3~5天，或者6~8天', ['大约3~5天，或者6~8天']],
    ['~approx~ and ~ alone', ['~approx~ and ~ alone']],
    // Links that cannot be clicked keep their target.
    ['[call us](tel:+49301234567)', ['call us', '+49301234567']],
    ['[write](mailto:a@b.example)', ['write']],
    ['[the file](file:///etc/hosts)', ['the file', 'file:///etc/hosts']],
    ['[notes](./notes/today.md)', ['notes', './notes/today.md']],
    ['[vault](obsidian://open?vault=x)', ['vault', 'obsidian://open?vault=x']],
    ['[section](#two)', ['section', '#two']],
    ['![chart](chart.png)', ['chart', 'chart.png']],
    ['| [x](./a.md) |\n|---|\n| y |', ['./a.md']],
    // What would be empty.
    ['>', ['>']],
    ['```\n```', ['```']],
    ['~~~ all in the line that opens it', ['all in the line that opens it']],
    ['#', ['#']],
    ['[](<>)', ['[]']],
    ['&nbsp;', ['&nbsp;']],
    // Character references.
    ['a &mdash; b &rarr; c &hellip; &auml; &#x20AC; &#8364;', ['a — b → c … ä € €']],
    ['&unknown; &copy &amp;lt;', ['&unknown; &copy &lt;']],
    ['[x](https://e.example/?a=1&amp;b=&auml;)', ['x']],
    ['see www.example.com now', ['see www.example.com now']],
    ['see https://example.com/ now', ['see https://example.com/ now']],
    // Cells that the heading has no place for, and strokes in code.
    ['| a | b |\n|---|---|\n| 1 | 2 | three | four |', ['three', 'four']],
    ['| a | b |\n|---|---|\n| 1 | `x|y` |', ['x|y']],
    ['| a | `p|q` |\n|---|---|\n| 1 | `x||y|z` |', ['p|q', 'x||y|z']],
    ['- | a |\n  |---|\n  | 1 | two |', ['two']],
    ['| a |\n|---|\n| x \\| y | z |', ['x | y', 'z']],
    // Products, powers, names, formulas.
    ['2*3*4 and x*y + z*w', ['2*3*4 and x*y + z*w']],
    ['x**2 + y**2 = z**2', ['x**2 + y**2 = z**2']],
    ['2**3**4, (a+b)*(c+d)*e, a**n + b**n', ['2**3**4, (a+b)*(c+d)*e, a**n + b**n']],
    ['*each: 2*3 EUR', ['*each: 2*3 EUR']],
    ['# 2 \\* 3 and 4 * 5', ['2 * 3 and 4 * 5']],
    ['__init__ and __main__', ['__init__ and __main__']],
    ['src/__init__.py, obj.__dict__, __foo__()', ['src/__init__.py, obj.__dict__, __foo__()']],
    ['$x_{i}$ and $\\mathbf{x}_{i} = \\mathbf{y}_{j}$', ['$x_{i}$ and $\\mathbf{x}_{i} = \\mathbf{y}_{j}$']],
    ['$$\\hat{a}_{1} * \\hat{b}_{2}$$', ['$$\\hat{a}_{1} * \\hat{b}_{2}$$']],
    // What stands below a line.
    ['Best regards\n--\nAnn', ['--']],
    ['2 + 2\n=\n4', ['=']],
    ['[write](mailto:a@b.example?subject=Hi)', ['write']],
    ['press `` ` `` and `` a`b ``', ['`', 'a`b']],
  ])('%j is readable', (markdown, words) => {
    for (const word of words) expect(read(markdown)).toContain(word);
  });

  test.each([
    '>',
    '> >',
    '```\n```',
    '```js\n```',
    '| |\n|-|\n| |',
    '-',
    '#',
    '&nbsp;',
    '[](<>)',
    '\\',
  ])('%j is not empty', (markdown) => expect(read(markdown).replace(/[\s\u00a0]/g, '')).not.toBe(''));
});

test.each([
  ['**注意：**请看', '<b>注意：</b>请看'],
  ['**서울(Seoul)**은', '<b>서울(Seoul)</b>은'],
  ['これは**「重要」**です', 'これは<b>「重要」</b>です'],
  ['这是*“强调”*的', '这是<i>“强调”</i>的'],
  ['请看**(注意)**：', '请看<b>(注意)</b>：'],
  ['**价格：**100元，**数量：**5', '<b>价格：</b>100元，<b>数量：</b>5'],
  ['**「A」**と**「B」**', '<b>「A」</b>と<b>「B」</b>'],
  ['***重要！***他说', '<i><b>重要！</b></i>他说'],
  ['**ไทย(Thai)**ครับ', '<b>ไทย(Thai)</b>ครับ'],
  // As everywhere else.
  [
    'un**believ**able, *foo*bar, *word*(note), **bold**2',
    'un<b>believ</b>able, <i>foo</i>bar, <i>word</i>(note), <b>bold</b>2',
  ],
  ['a*b is *important*, __strong__', 'a*b is <i>important</i>, <b>strong</b>'],
  ['costs $5 and $10 *really*', 'costs $5 and $10 <i>really</i>'],
  ['| a |\n|---|\n| 1 | 2 |\n> x | y | z', '<pre>a\n-----\n1 | 2</pre>\n\n<blockquote>x | y | z</blockquote>'],
  ['| a |\n|---|\n1 | 2\n\nx | y | z', '<pre>a\n-----\n1 | 2</pre>\n\nx | y | z'],
  ['Title\n---\ntext', '<b>Title</b>\n\ntext'],
  ['It is done.\n---\nNext', 'It is done.\n\n———\n\nNext'],
  ['one\ntwo\n---\nNext', 'one\ntwo\n\n———\n\nNext'],
  ['| | |\n|---|---|\n| | |', '| | |\n|---|---|\n| | |'],
  ['[write](mailto:a@b.example?subject=Hi)', 'write (a@b.example?subject=Hi)'],
  ['<mailto:a@b.example>', 'a@b.example'],
  ['2 * 3 * 4', '2 * 3 * 4'],
  ['a**b**c', 'a<b>b</b>c'],
  ['数 * 数 * 数', '数 * 数 * 数'],
  ['snake_case_name', 'snake_case_name'],
  ['~~gone~~ ~not~', '<s>gone</s> ~not~'],
  ['[call](tel:+49)', 'call (tel:+49)'],
  ['[a](https://e.example/?x=1&amp;y=2 "T &amp; U")', '<a href="https://e.example/?x=1&amp;y=2">a</a> (T &amp; U)'],
  ['See [docs].\n\n[docs]: https://e.example/', 'See <a href="https://e.example/">docs</a>.'],
])('Telegram: %j', (markdown, html) => expect(markdownToTelegramHtml(markdown)).toBe(html));

test.each([
  ['see www.example.com', 'see www.example.com'],
  ['# **a** and 2 * 3', '*a and 2 * 3*'],
  ['`` a`b ``', '```a`b```'],
  ['<mailto:a@b.example>', 'mailto:a@b.example'],
  ['[https://e.example](https://e.example/)', 'https://e.example'],
  ['[docs](https://e.example/)', 'docs (https://e.example/)'],
  ['| 名前 | n |\n|---|---|\n| 猫 | 10 |\n| 👩‍👩‍👧 | 2 |', '```\n名前 | n\n-----+---\n猫   | 10\n👩‍👩‍👧   | 2\n```'],
  ['| **a** | `b` |\n|---|---|\n| 1 | 2 |', '```\na | b\n--+--\n1 | 2\n```'],
])('WhatsApp: %j', (markdown, text) => expect(markdownToWhatsApp(markdown)).toBe(text));

test('a text without a visible character has no part', async () => {
  const options = { limit: 100, measure: (part: string) => part.length };
  for (const text of ['\u200b', '\u00a0\n', '\u2060\ufe0f', '\u3164'])
    expect(await splitMarkdown(text, options)).toEqual([]);
});
