// Texts made to take long: a container may send 100,000 characters of anything, and all chats wait while one text is parsed.
import { beforeAll, describe, expect, test } from 'vitest';
import { createLoopCheck } from '../../test/fakes/loop-delay.js';
import { markdownToWhatsApp } from '../channels/whatsapp-format.js';
import { markdownToTelegramHtml, safeHtmlInSlices, telegramLength, telegramPlainText } from './format.js';
import { splitMarkdown } from './split.js';

const CHARS = 100_000;
const fill = (unit: string, chars = CHARS) => unit.repeat(Math.ceil(chars / unit.length)).slice(0, chars);
const lines = (line: (n: number) => string) => fill(Array.from({ length: 20_000 }, (_, n) => line(n)).join('\n'));

const TEXTS: [name: string, text: string][] = [
  ['tags and ampersands', fill('<b>&')],
  ['nested quotes', fill('> > > x\n')],
  ['quotes in lists in quotes', fill('> - ')],
  ['quotes apart', fill('> a\n\n')],
  ['brackets', fill('[')],
  ['images', fill('![](')],
  ['links', fill('[a](b)')],
  ['links in links', `${fill('[', CHARS / 6)}a${fill('](b)', (CHARS * 5) / 6)}`],
  ['stars', fill('****')],
  ['bold within bold', `${fill('**a ', CHARS / 2)}${fill(' b**', CHARS / 2)}`],
  ['fences', fill('```\na\n```\n')],
  ['one fence', `\`\`\`\n${fill('let x = 1;\n')}`],
  [
    'a table of 10,000 columns',
    `${fill('|a', 20_000)}|\n${fill('|-', 20_000)}|\n${fill('|b', 20_000)}|\n${fill('|\n', 20_000)}`,
  ],
  ['a table of 12,000 rows', `|a|b|\n|-|-|\n${fill('|1|2|\n')}`],
  ['deep lists', lines((n) => `${' '.repeat(n % 300)}- x`)],
  ['lists on one line', fill('1. - ')],
  ['list items', fill('- a\n')],
  ['numbers', fill('1. a\n')],
  ['long lines of list items', fill(`- ${'word '.repeat(2_000)}\n`)],
  ['a long word', fill('a')],
  ['a dotted word', fill('a.')],
  ['addresses', fill('a@b.c ')],
  ['entities', fill('&amp;')],
  ['surrogate pairs', fill('😀')],
  ['halves of surrogate pairs', fill('\ud83d')],
  ['families', fill('👩‍👩‍👧‍👦')],
  ['one letter with 100,000 accents', `a${fill('\u0301')}`],
  ['spaces within a line', `a${fill(' ')}b`],
  ['empty lines', `${fill('\n')}a`],
  ['short lines', fill('a\n')],
  ['carriage returns', fill('a\r')],
  ['backslashes', fill('\\*')],
  ['definitions and their uses', lines((n) => `[a${n}]: b\n\n[a${n}]\n`)],
  ['headings', fill('# a\n')],
];

/** What takes long is cutting, which is the same for all of them: one gets all that may be sent, the others what makes many parts. */
const CHANNELS: [name: string, chars: number, limit: number, measure: (part: string) => number][] = [
  ['Telegram', CHARS, 4_096, (part) => telegramLength(markdownToTelegramHtml(part))],
  ['WhatsApp', CHARS / 10, 4_000, (part) => markdownToWhatsApp(part).length],
  ['Discord', CHARS / 10, 2_000, (part) => part.length],
];

let holdsNobody: Awaited<ReturnType<typeof createLoopCheck>>;
beforeAll(async () => {
  // What is not compiled yet is slow, and would be measured instead.
  for (const [, , limit, measure] of CHANNELS)
    for (const [, text] of TEXTS) await splitMarkdown(text.slice(0, 2 * limit), { limit, measure });
  holdsNobody = await createLoopCheck();
}, 120_000);

describe.each(CHANNELS)('%s, %i characters', (_channel, chars, limit, measure) => {
  test.each(TEXTS)(
    '%s hold nobody up, and fit',
    async (name, text) => {
      let parts: string[] = [];
      await holdsNobody(name, async () => {
        parts = await splitMarkdown(text.slice(0, chars), { limit, measure });
      });
      for (const part of parts) expect(measure(part)).toBeLessThanOrEqual(limit);
    },
    120_000,
  );
});

test.each(TEXTS)('the page shows 100,000 characters of %s without holding anybody up', async (name, text) => {
  await holdsNobody(name, () => safeHtmlInSlices(text));
});

const MARKS = ['**a* ', '~~a~ ', '_a__ ', '**a* **a*\n'];
const SWITCHES: [name: string, before: string][] = [
  ['nothing', ''],
  ['a fence that is set in by a tab', 'x\n\t```\n'],
  ['a fence with a backtick behind it', '```a`b\n'],
  ['a fence of the other kind in a fence', '```\n~~~\n```\n'],
  ['a fence whose end is set in', '```\n   ```\n'],
  ['a fence whose end has marks of both kinds', '~~~\n~~~`\n'],
  ['a fence with carriage returns', '~~~\ra\r~~~\r'],
  ['a fence in markup', '<div>\n```\n\n'],
  ['a fence in a comment', '<!--\n```\n-->\n\n'],
  ['a fence in a list', '- a\n  ```\n  b\n\n'],
  ['a fence in a quote', '> ```\n\n'],
];

const busy = (text: string) => {
  const used = process.cpuUsage();
  for (let n = 0; n < 3; n += 1) markdownToTelegramHtml(text);
  const { user, system } = process.cpuUsage(used);
  return (user + system) / 1_000;
};

test.each(SWITCHES)('behind %s no marks take long', (_name, before) => {
  const harmless = busy(fill('**a** b c d e f g h i j\n\n', 40_000));
  for (const mark of MARKS) expect(busy(`${before}${fill(mark, 4_000)}`), mark).toBeLessThan(harmless * 4 + 30);
});

describe('a text that is too long to be parsed at once', () => {
  const paragraphs = Array.from(
    { length: 400 },
    (_, n) => `Paragraph ${n} with **bold ${n}**, \`code\` and [a link][ref].`,
  );
  const text = `${paragraphs.join('\n\n')}\n\n\`\`\`ts\n${'let x = 1;\n'.repeat(20)}\`\`\`\n\n[ref]: https://e.org/`;

  test('keeps its marks, and its links find their definition', async () => {
    const html = await safeHtmlInSlices(text);
    expect(html.match(/<strong>bold \d+<\/strong>/g)).toHaveLength(400);
    expect(html.match(/<a href="https:\/\/e\.org\/"/g)).toHaveLength(400);
    expect(html.match(/<pre>/g)).toHaveLength(1);
  });

  test('loses no word in its parts', async () => {
    const parts = await splitMarkdown(text, {
      limit: 4_096,
      measure: (part) => telegramLength(markdownToTelegramHtml(part)),
    });
    const html = parts.map(markdownToTelegramHtml);
    const words = (all: string) => telegramPlainText(all).replace(/\s/g, '');
    expect(words(html.join('\n'))).toBe(words(markdownToTelegramHtml(text)));
    expect(html.join('\n').match(/<a href="https:\/\/e\.org\/">a link<\/a>/g)).toHaveLength(400);
  });

  test('a line cut before what looks like a definition still shows it', async () => {
    const line = `${'word '.repeat(818)}\n`;
    const html = markdownToTelegramHtml(`${line}[secret]: letters\n${line}`);
    expect(html).toContain('[secret]: letters');
  });
});

test.each([190_000, 10])('a fence with %i runs of backticks is cut, and its marks stay', async (runs) => {
  const text = `~~~\n${'` '.repeat(runs)}\n${'x '.repeat(5_000)}\n~~~`;
  const measure = (part: string) => telegramLength(markdownToTelegramHtml(part));
  const parts = await splitMarkdown(text, { limit: 4_096, measure });
  const shown = parts.map((part) => telegramPlainText(markdownToTelegramHtml(part))).join('');
  expect(shown.match(/`/g)).toHaveLength(runs);
}, 120_000);
