// Telegram's HTML as the real server reads it. The error texts and offsets are the server's own.
import fc from 'fast-check';
import type { MessageEntity } from 'grammy/types';
import { describe, expect, test } from 'vitest';
import { holds } from '../property.js';
import { findEntities } from './telegram-entities.js';
import { parseHtml } from './telegram-html.js';

const entity = (type: string, offset: number, length: number, extra: object = {}) => ({
  type,
  offset,
  length,
  ...extra,
});

const SURROGATES =
  'Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units';

describe('what is understood', () => {
  const cases: [string, string, object[]][] = [
    ['plain', 'plain', []],
    ['<b>x</b> <strong>y</strong>', 'x y', [entity('bold', 0, 1), entity('bold', 2, 1)]],
    ['<i>x</i><em>y</em>', 'xy', [entity('italic', 0, 1), entity('italic', 1, 1)]],
    ['<u>x</u><ins>y</ins>', 'xy', [entity('underline', 0, 1), entity('underline', 1, 1)]],
    [
      '<s>x</s><strike>y</strike><del>z</del>',
      'xyz',
      [entity('strikethrough', 0, 1), entity('strikethrough', 1, 1), entity('strikethrough', 2, 1)],
    ],
    ['<tg-spoiler>x</tg-spoiler>', 'x', [entity('spoiler', 0, 1)]],
    ['<span class="tg-spoiler">x</span>', 'x', [entity('spoiler', 0, 1)]],
    [
      '<tg-emoji emoji-id="5368324170671202286">👍</tg-emoji>',
      '👍',
      [entity('custom_emoji', 0, 2, { custom_emoji_id: '5368324170671202286' })],
    ],
    [
      '<a href="https://example.com/a?b=1&amp;c=2">x</a>',
      'x',
      [entity('text_link', 0, 1, { url: 'https://example.com/a?b=1&c=2' })],
    ],
    ["<a href='http://example.com/'>x</a>", 'x', [entity('text_link', 0, 1, { url: 'http://example.com/' })]],
    ['<a>example.com</a>', 'example.com', [entity('text_link', 0, 11, { url: 'http://example.com' })]],
    [
      '<a href="tg://user?id=42">x</a>',
      'x',
      [entity('text_mention', 0, 1, { user: { id: 42, is_bot: false, first_name: '42' } })],
    ],
    ['<code>x</code>', 'x', [entity('code', 0, 1)]],
    ['<code class="language-js">x</code>', 'x', [entity('code', 0, 1)]],
    ['<pre>x\ny</pre>', 'x\ny', [entity('pre', 0, 3)]],
    ['<pre><code class="language-js">x</code></pre>', 'x', [entity('pre', 0, 1, { language: 'js' })]],
    ['<code class="language-js"><pre>x</pre></code>', 'x', [entity('pre', 0, 1, { language: 'js' })]],
    ['<blockquote>x</blockquote>', 'x', [entity('blockquote', 0, 1)]],
    ['<blockquote expandable>x</blockquote>', 'x', [entity('expandable_blockquote', 0, 1)]],
    [
      '<blockquote>a <b>b</b> <code>c</code></blockquote>',
      'a b c',
      [entity('blockquote', 0, 5), entity('bold', 2, 1), entity('code', 4, 1)],
    ],
    ['<b>a<i>b</i></b>', 'ab', [entity('bold', 0, 2), entity('italic', 1, 1)]],
    ['<b><i>x</i></b>', 'x', [entity('bold', 0, 1), entity('italic', 0, 1)]],
    [
      '<a href="http://example.com/"><b>x</b></a>',
      'x',
      [entity('text_link', 0, 1, { url: 'http://example.com/' }), entity('bold', 0, 1)],
    ],
    ['<B >x</B >', 'x', [entity('bold', 0, 1)]],
    ['&lt;b&gt; &amp;amp; &quot;', '<b> &amp; "', []],
    ['&#65;&#x1F600;', 'A😀', []],
    ['😀<b>é😀</b>', '😀é😀', [entity('bold', 2, 3)]],
    ['  \n<b> x </b>  ', ' x', [entity('bold', 0, 2)]],
    ['a<b></b>', 'a', []],
    ['a<b> </b>b', 'a b', []],
  ];
  for (const [html, text, entities] of cases) {
    test(JSON.stringify(html), () => expect(parseHtml(html)).toEqual({ text, entities, warnings: [] }));
  }
});

describe('what is refused', () => {
  const cases: [string, string][] = [
    ['<h1>x</h1>', 'Unsupported start tag "h1" at byte offset 0'],
    ['é<p>x</p>', 'Unsupported start tag "p" at byte offset 2'],
    ['😀 a < b', 'Unsupported start tag "" at byte offset 7'],
    ['a <b', 'Unclosed start tag at byte offset 2'],
    ['1 <2> 3', 'Unsupported start tag "2" at byte offset 2'],
    ['x<br/>y', 'Unsupported start tag "br/" at byte offset 1'],
    ['<b', 'Unclosed start tag at byte offset 0'],
    ['<b>x', 'Can\'t find end tag corresponding to start tag "b"'],
    ['<b>x<i>y</b></i>', 'Unmatched end tag at byte offset 8, expected "</i>", found "</b>"'],
    ['x</b>', 'Unexpected end tag at byte offset 1'],
    ['<b>x</b', 'Unclosed end tag at byte offset 4'],
    ['<span>x</span>', 'Tag "span" must have class "tg-spoiler" at byte offset 0'],
    ['<span class="big">x</span>', 'Tag "span" must have class "tg-spoiler" at byte offset 0'],
    ['<a href>x</a>', 'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0'],
    ['<a ="x">x</a>', 'Empty attribute name in the tag "a" at byte offset 0'],
    ['<a href="x>y</a>', 'Unclosed start tag at byte offset 0'],
    ['<a href=http://example.com>x</a>', 'Unexpected end of name token at byte offset 8'],
    ['<a href=', 'Unclosed start tag "a" at byte offset 0'],
    ['<tg-emoji emoji-id="x">y</tg-emoji>', 'Invalid custom emoji identifier specified'],
    ['&#xD800;', SURROGATES],
    ['&#xD83D;&#xDE00;', SURROGATES],
    ['<b>&#55357;</b>&#56832;', SURROGATES],
  ];
  for (const [html, why] of cases) {
    test(JSON.stringify(html), () => {
      expect(() => parseHtml(html)).toThrow(
        expect.objectContaining({ status: 400, description: `Bad Request: can't parse entities: ${why}` }),
      );
    });
  }
});

describe('what the server repairs in silence is a warning here', () => {
  const cases: [string, string, object[], RegExp][] = [
    ['a & b', 'a & b', [], /bare "&" at byte offset 2/],
    ['&nbsp;x', '&nbsp;x', [], /bare "&"/],
    ['&ltx', '&ltx', [], /bare "&"/],
    ['&lt x', '< x', [], /without ";"/],
    ['a > b', 'a > b', [], /bare ">" at byte offset 2/],
    ['<b>x</>', 'x', [entity('bold', 0, 1)], /nameless end tag/],
    ['<code>a<b>b</b></code>', 'ab', [entity('code', 0, 2)], /bold cannot/],
    [
      '<b>a<code>b</code>c</b>',
      'abc',
      [entity('bold', 0, 1), entity('code', 1, 1), entity('bold', 2, 1)],
      /bold cannot/,
    ],
    ['<blockquote>a<blockquote>b</blockquote></blockquote>', 'ab', [entity('blockquote', 0, 2)], /nested blockquote/],
    ['<pre><code>x</code></pre>', 'x', [entity('pre', 0, 1)], /code inside code/],
    ['<a href="/docs">x</a>', 'x', [], /link dropped/],
    ['<a>example.com </a>.', 'example.com .', [], /link dropped/],
    ['<a href="javascript:alert(1)">x</a>', 'x', [], /link dropped/],
  ];
  for (const [html, text, entities, warning] of cases) {
    test(JSON.stringify(html), () => {
      const parsed = parseHtml(html);
      expect(parsed).toMatchObject({ text, entities });
      expect(parsed.warnings.join('\n')).toMatch(warning);
    });
  }

  test('more than 100 entities: the rest is ignored and said so', () => {
    const parsed = parseHtml('<b>x</b> '.repeat(103));
    expect(parsed.entities).toHaveLength(100);
    expect(parsed.warnings).toEqual(['3 entities beyond the first 100 ignored']);
  });
});

test('escaped text comes back as it was, whatever it is', async () => {
  const escapeHtml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  await holds(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const parsed = parseHtml(`<b>.</b>${escapeHtml(text)}<i>.</i>`);
      expect(parsed.text).toBe(`.${text}.`);
      expect(parsed.entities.at(-1)).toMatchObject({ type: 'italic', offset: text.length + 1, length: 1 });
      expect(parsed.warnings).toEqual([]);
    }),
  );
});

test('any text at all is parsed or refused with a 400, never anything else', async () => {
  const piece = fc.constantFrom(
    '<',
    '>',
    '</',
    '=',
    '"',
    "'",
    '&',
    ';',
    '#x',
    ' ',
    'b',
    'a href',
    'pre',
    'code',
    '\n',
    '😀',
    'lt',
  );
  await holds(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const html = pieces.join('');
      try {
        const { text, entities } = parseHtml(html);
        for (const { offset, length } of entities) expect(offset + length).toBeLessThanOrEqual(text.length);
      } catch (error) {
        expect(error).toMatchObject({ status: 400 });
      }
    }),
    { numRuns: 1_000 },
  );
});

describe('what Telegram marks in a text a user typed', () => {
  const cases: [string, Partial<MessageEntity>[]][] = [
    ['@pinch_bot hi', [{ type: 'mention', offset: 0, length: 10 }]],
    ['😀 @pinch_bot', [{ type: 'mention', offset: 3, length: 10 }]],
    ['a@pinch_bot.example', []],
    [
      '/start and /help@pinch_bot',
      [
        { type: 'bot_command', offset: 0, length: 6 },
        { type: 'bot_command', offset: 11, length: 15 },
      ],
    ],
    ['a/b', []],
    ['see https://example.com/@x.', [{ type: 'url', offset: 4, length: 22 }]],
  ];
  for (const [text, entities] of cases) {
    test(text, () => expect(findEntities(text)).toEqual(entities));
  }
});
