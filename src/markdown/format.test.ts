import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseHtml } from '../../test/fakes/telegram-html.js';
import { holds } from '../../test/property.js';
import { markdownToSafeHtml, markdownToTelegramHtml, telegramLength, telegramPlainText } from './format.js';
import { cutText, escapeMarkdown, splitMarkdown } from './split.js';

describe('Telegram HTML', () => {
  test.each([
    ['plain <b> & "text"', 'plain &lt;b&gt; &amp; &quot;text&quot;'],
    ['**bold** *it* ~~no~~ `a<b`', '<b>bold</b> <i>it</i> <s>no</s> <code>a&lt;b</code>'],
    ['# Head **line**', '<b>Head line</b>'],
    ['**a `x` _b `y`_ c**', '<b>a </b><code>x</code><b> <i>b </i></b><code>y</code><b> c</b>'],
    ['[a `x`](https://e.org/)', '<a href="https://e.org/">a x</a>'],
    ['one\ntwo\n\nthree', 'one\ntwo\n\nthree'],
    ['- a\n- b\n  - c', '• a\n• b\n   • c'],
    ['1. run\n\n   ```sh\n   a\n\n     b\n   ```', '1. run\n<pre><code class="language-sh">a\n\n  b</code></pre>'],
    ['3. a\n4. b', '3. a\n4. b'],
    ['- [x] done\n- [ ] open', '• ☑ done\n• ☐ open'],
    ['```ts\nif (a < b) {}\n```', '<pre><code class="language-ts">if (a &lt; b) {}</code></pre>'],
    ['> quote\n> > inner', '<blockquote>quote\n\ninner</blockquote>'],
    ['[x](https://e.org/?a=1&b=2)', '<a href="https://e.org/?a=1&amp;b=2">x</a>'],
    ['[x](javascript:alert(1))', 'x (javascript:alert(1))'],
    ['![alt](https://e.org/i.png)', '<a href="https://e.org/i.png">alt</a>'],
    ['<script>alert(1)</script>', '&lt;script&gt;alert(1)&lt;/script&gt;'],
    ['| a | b |\n|---|---|\n| 1 | <2> |', '<pre>a | b\n--+----\n1 | &lt;2&gt;</pre>'],
    ['a &amp; b &lt;i&gt; &#8364; &unknown; `&amp;`', 'a &amp; b &lt;i&gt; € &amp;unknown; <code>&amp;amp;</code>'],
    ['| a |\n|---|\n| x<br>y |', '<pre>a\n---\nx y</pre>'],
    ['[![alt](https://e.org/i.png)](https://e.org/)', '<a href="https://e.org/">alt</a>'],
    ['[write](mailto:a@b.org) or c@d.org', 'write (a@b.org) or c@d.org'],
    ['half \ud83d', 'half \uFFFD'],
  ])('%j', (markdown, html) => {
    expect(markdownToTelegramHtml(markdown)).toBe(html);
  });
});

describe('Telegram takes what we write', () => {
  const bits = fc.constantFrom(
    ...[
      '**',
      '*',
      '_',
      '~~',
      '`',
      '```',
      '\n',
      '\n\n',
      '> ',
      '- ',
      '1. ',
      '# ',
      '[',
      '](',
      ')',
      '](https://e.org/)',
      '![',
      '|',
      '|-|',
    ],
    ...[
      '<b>',
      '</b>',
      '<br>',
      '&amp;',
      '&lt;',
      '&',
      '<',
      '"',
      'a',
      'word ',
      '👩‍👩‍👧',
      '    ',
      '- [x] ',
      '---',
      '\\',
      'https://e.org/?a=1&b=2',
    ],
  );

  test('any Markdown: no refusal, nothing to repair, and the length we count is the length it counts', async () => {
    await holds(
      fc.property(fc.array(bits, { maxLength: 40 }), (parts) => {
        const html = markdownToTelegramHtml(parts.join(''));
        const parsed = parseHtml(html);
        expect(parsed.warnings).toEqual([]);
        expect(telegramLength(html)).toBeGreaterThanOrEqual(parsed.text.length);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the page', () => {
  test.each([
    '<img src=x onerror=alert(1)>',
    '[x](javascript:alert(1))',
    '[x](data:text/html,<script>alert(1)</script>)',
    '<a href="javascript:alert(1)">x</a>',
    '![x](javascript:alert(1))',
    '[x](https://e.org/"onmouseover="alert(1))',
    '```"><script>\nx\n```',
    '<svg/onload=alert(1)>',
    '<!-- --><script>x</script>',
  ])('%j executes nothing', (hostile) => {
    const html = markdownToSafeHtml(hostile);
    expect(html.replace(/<\/?(?:p|a|pre|code|strong|em|br)(?: (?:href|target|rel)="[^"<>]*")*>/g, '')).not.toMatch(
      /[<>]/,
    );
    expect(html).not.toMatch(/href="(?!https?:|mailto:)/);
  });
});

/** The words of a text, whatever joins them: what must survive every cut. */
const words = (html: string) => html.replace(/<[^>]*>/g, '').replace(/[\s\u00a0•—☐☑]/g, '');
const telegramOptions = (limit: number) => ({
  limit,
  measure: (part: string) => telegramLength(markdownToTelegramHtml(part)),
});

describe('splitting', () => {
  const markdown = fc.array(
    fc.oneof(
      fc.lorem({ maxCount: 60 }),
      fc.lorem({ maxCount: 30 }).map((text) => `**${text}**`),
      fc.lorem({ maxCount: 20 }).map((text) => `- ${text}\n- [x] ${text}\n  1. ${text}`),
      fc.lorem({ maxCount: 40 }).map((text) => `\`\`\`js\n${text.replaceAll(' ', '\n')}\n\`\`\``),
      fc.lorem({ maxCount: 40 }).map((text) => `> ${text}`),
      fc.lorem({ maxCount: 9 }).map((text) => `# ${text}`),
      fc.string({ unit: 'grapheme', maxLength: 300 }).map(escapeMarkdown),
    ),
    { minLength: 1, maxLength: 12 },
  );

  test('every part is within the limit and no word is lost', async () => {
    await holds(
      fc.asyncProperty(markdown, fc.integer({ min: 60, max: 500 }), async (blocks, limit) => {
        const text = blocks.join('\n\n');
        const parts = await splitMarkdown(text, telegramOptions(limit));
        for (const part of parts) expect(telegramLength(markdownToTelegramHtml(part))).toBeLessThanOrEqual(limit);
        expect(parts.map((part) => words(markdownToTelegramHtml(part))).join('')).toBe(
          words(markdownToTelegramHtml(text)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('whatever the Markdown, no letter is lost, also where a cut makes a fence or a list begin', async () => {
    const bits = fc.constantFrom(
      ...[
        '**',
        '*',
        '_',
        '`',
        '```',
        '\n',
        '\n\n',
        '> ',
        '- ',
        '1. ',
        '# ',
        '[x](https://e.org/)',
        '|',
        '    ',
        '- [x] ',
        '---',
        '&amp;',
      ],
      ...[
        'a',
        'word ',
        'long sentence here. ',
        '👩‍👩‍👧',
        'https://e.org/?a=1&b=2',
        '<b>',
        '~~~',
        '\n===\n',
        '[r]: https://e.org/ ',
      ],
    );
    // Counted, not compared: a span that had to be cut shows its marks and address as well.
    // The address of a link that is none once the text is cut stands in the text itself, so it is not counted as words.
    const shown = (markdown: string) =>
      telegramPlainText(markdownToTelegramHtml(markdown))
        .replaceAll(' (https://e.org/)', '')
        .match(/[a-z👩]/gu)?.length ?? 0;
    await holds(
      fc.asyncProperty(
        fc.array(bits, { minLength: 10, maxLength: 60 }),
        fc.integer({ min: 60, max: 120 }),
        async (all, limit) => {
          const parts = await splitMarkdown(all.join(''), telegramOptions(limit));
          expect(parts.reduce((sum, part) => sum + shown(part), 0)).toBeGreaterThanOrEqual(shown(all.join('')));
          for (const part of parts) expect(telegramOptions(limit).measure(part)).toBeLessThanOrEqual(limit);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test('a cut that lets a fence begin does not hide the emoji behind it', async () => {
    const text = 'long sentence here. [r]: https://e.org/ ****\n```👩‍👩‍👧---`- [x] **';
    const parts = (await splitMarkdown(text, telegramOptions(60))).map(markdownToTelegramHtml);
    expect(parts.map(telegramPlainText).join('')).toContain('👩‍👩‍👧');
  });

  test('any text at all: within the limit, well-formed Unicode, nothing thrown', async () => {
    await holds(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 2_000 }), async (text) => {
        for (const part of await splitMarkdown(text, telegramOptions(100))) {
          expect(telegramLength(markdownToTelegramHtml(part))).toBeLessThanOrEqual(100);
          expect(() => encodeURIComponent(part)).not.toThrow();
        }
      }),
    );
  });

  test('a code fence that is cut is closed and opened again with its language', async () => {
    const code = Array.from({ length: 400 }, (_, i) => `const line${i} = ${i};`).join('\n');
    const parts = await splitMarkdown(`Look:\n\n\`\`\`ts\n${code}\n\`\`\`\n\nDone.`, telegramOptions(4096));
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts)
      expect(markdownToTelegramHtml(part)).toMatch(/<pre><code class="language-ts">[\s\S]*<\/code><\/pre>/);
  });

  test('a fence whose opening line leaves no room for code is cut as text', async () => {
    const text = `\`\`\`${'language'.repeat(10)}\n${'code '.repeat(40)}\n\`\`\``;
    const parts = await splitMarkdown(text, { limit: 60, measure: (part) => part.length });
    for (const part of parts) expect(part.length).toBeLessThanOrEqual(60);
    expect(parts.join(' ').match(/code/g)).toHaveLength(40);
  });

  test('a long code block stays one where the marks count', async () => {
    const parts = await splitMarkdown(`\`\`\`js\n${'let x = 1;\n'.repeat(30)}\`\`\``, {
      limit: 100,
      measure: (part) => part.length,
    });
    for (const part of parts) expect(part).toMatch(/^```js\n(let x = 1;\n)+```$/);
  });

  test('a list that is cut counts on, and a link keeps its address in another part than its definition', async () => {
    const items = Array.from({ length: 60 }, (_, i) => `1. item ${i} [x][Ref]`).join('\n');
    const parts = (await splitMarkdown(`${items}\n\n[Ref]: https://e.org/`, telegramOptions(300))).map(
      markdownToTelegramHtml,
    );
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.join('\n').match(/^\d+\. item \d+ <a href="https:\/\/e\.org\/">x<\/a>$/gm)).toHaveLength(60);
    expect(parts.join('\n').match(/^\d+/gm)).toEqual(Array.from({ length: 60 }, (_, i) => String(i + 1)));
  });

  test('text that had to be escaped is shown without backslashes', async () => {
    const parts = (await splitMarkdown('**a'.repeat(10_000), telegramOptions(4096))).map(markdownToTelegramHtml);
    expect(parts.join('')).toBe('**a'.repeat(10_000));
  });

  test('one endless line is cut between characters', async () => {
    const parts = await splitMarkdown('👩‍👩‍👧‍👦'.repeat(2_000), telegramOptions(4096));
    for (const part of parts) expect(part.replaceAll('👩‍👩‍👧‍👦', '')).toBe('');
  });

  test.each([
    ['quotes', '>'.repeat(20_000)],
    ['brackets', '['.repeat(20_000)],
    ['stars', '**a'.repeat(10_000)],
    ['backticks', '`a``b```c'.repeat(3_000)],
    ['links', '[a]('.repeat(10_000)],
    ['nested lists', Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}- x`).join('\n')],
    ['one megabyte of words', 'word '.repeat(200_000)],
    ['underscores', '_a'.repeat(20_000)],
    ['emphasis', '*a_ '.repeat(10_000)],
    ['dotted run', 'a.'.repeat(90_000)],
    ['table', `|a|b|\n|-|-|\n${'|1|2|\n'.repeat(5_000)}`],
  ])('hostile %s neither hang nor throw', async (_name, text) => {
    const parts = await splitMarkdown(text, telegramOptions(4096));
    for (const part of parts) expect(telegramLength(markdownToTelegramHtml(part))).toBeLessThanOrEqual(4096);
    expect(markdownToSafeHtml(text).length).toBeGreaterThan(0);
  });

  test('cuts keep every character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), fc.integer({ min: 20, max: 80 }), (text, room) => {
        const pieces = cutText(text, room);
        expect(pieces.join('')).toBe(text);
        for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(room);
      }),
    );
  });
});
