import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { whenBusy } from '../../test/limits.js';
import { holds } from '../../test/property.js';
import { htmlToText, ownWords } from './email-text.js';

const reply = (text: string) => ownWords(text, true);

describe('a reply is what its sender wrote', () => {
  test.each([
    [
      'Gmail',
      'Yes, do that.\n\nOn Mon, Nov 16, 2026 at 9:12 AM Pinch <pinch@example.org> wrote:\n\n> Shall I?\n> It costs 5.\n',
    ],
    [
      'a broken attribution',
      'Yes, do that.\n\nOn Mon, Nov 16, 2026 at 9:12 AM Pinch Assistant\n<pinch@example.org> wrote:\n> Shall I?\n',
    ],
    [
      'Apple Mail, German',
      'Yes, do that.\n\n> Am 16.11.2026 um 09:12 schrieb Pinch <pinch@example.org>:\n> \n> Shall I?\n',
    ],
    ['Thunderbird, German', 'Yes, do that.\n\nAm 16.11.26 um 09:12 schrieb Pinch:\n> Shall I?\n>\n>> older\n'],
    ['French', 'Yes, do that.\n\nLe lun. 16 nov. 2026 à 09:12, Pinch <pinch@example.org> a écrit :\n\n> Shall I?\n'],
    [
      'Outlook',
      'Yes, do that.\n\n________________________________\nFrom: Pinch <pinch@example.org>\nSent: Monday, November 16, 2026 9:12 AM\nTo: Anna\nSubject: Costs\n\nShall I?\n',
    ],
    [
      'Outlook, German',
      'Yes, do that.\n\nVon: Pinch <pinch@example.org>\nGesendet: Montag, 16. November 2026 09:12\nAn: Anna\n\nShall I?\n',
    ],
    ['old Outlook', 'Yes, do that.\n\n-----Original Message-----\nFrom: Pinch\n\nShall I?'],
    ['bottom posting', 'On Mon, 16 Nov 2026, Pinch wrote:\n> Shall I?\n\nYes, do that.\n'],
    ['a signature', 'Yes, do that.\n\n-- \nAnna Example\n+49 170 1111111\n'],
    ['a signature above the quote', 'Yes, do that.\n-- \nAnna\n\nOn Mon, 16 Nov 2026, Pinch wrote:\n> Shall I?\n'],
    [
      'a telephone',
      'Yes, do that.\n\nSent from my iPhone\n\nOn 16. Nov 2026, at 09:12, Pinch <p@example.org> wrote:\n\n> Shall I?\n',
    ],
    ['CRLF', 'Yes, do that.\r\n\r\nOn Mon, 16 Nov 2026, Pinch wrote:\r\n> Shall I?\r\n'],
  ])('%s', (_name, text) => {
    expect(reply(text)).toBe('Yes, do that.');
  });

  test.each([
    ['answers between quoted lines', '> Milk?\n\nYes.\n\n> Bread?\n\nNo.'],
    ['an answer to one of several quotes', 'See below.\n\n> Milk?\n\nYes.'],
    ['a colon before no quote', 'Anna wrote:\nwe need milk.'],
    ['words about a sender', 'From: here to there it is\ntwo miles.'],
    ['nothing but a quote', '> Milk?'],
    ['dashes in the text', 'a\n---\nb'],
  ])('%s: stays', (_name, text) => {
    expect(reply(text)).toBe(text);
  });

  test('what comes before a quote at the end is kept when it is no attribution', () => {
    expect(reply('I said:\nno.\n\n> Milk?')).toBe('I said:\nno.');
  });

  test('in a mail that answers nothing, quotes are what it is about; its signature is not', () => {
    expect(ownWords('Look:\n\n> To be or not to be\n-- \nAnna', false)).toBe('Look:\n\n> To be or not to be');
  });

  test('it never throws, never adds a word and never leaves nothing of something', async () => {
    const line = fc.constantFrom(
      '> q',
      '>',
      '',
      'a',
      '-- ',
      'On 1.1.2026 Pinch wrote:',
      'From: x',
      'Sent: y',
      '_____',
      'Sent from my iPhone',
      'b:',
    );
    await holds(
      fc.property(fc.array(line, { maxLength: 12 }), fc.boolean(), (lines, isReply) => {
        const text = lines.join('\n');
        const own = ownWords(text, isReply);
        expect(text).toContain(own);
        if (text.trim() !== '') expect(own).not.toBe('');
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('HTML', () => {
  test.each([
    ['paragraphs and breaks', '<p>One</p><p>Two<br>Three</p>', 'One\n\nTwo\nThree'],
    ['entities and spaces', '<div>a&nbsp;&amp;&nbsp;b &lt;c&gt;</div>', 'a & b <c>'],
    [
      'links',
      '<a href="https://a.example/x">there</a> <a href="https://b.example">https://b.example</a>',
      'there [https://a.example/x] https://b.example',
    ],
    [
      'nothing that is not shown',
      '<style>p{}</style><script>alert(1)</script><img src="https://count.example/1.gif" alt="x">Hello',
      'Hello',
    ],
    ['lists', '<ul><li>milk</li><li>bread</li></ul>', '* milk\n * bread'],
    ['capitals', '<h1>Title</h1>x', 'Title\n\nx'],
  ])('%s', (_name, html, text) => {
    expect(htmlToText(html)).toBe(text);
  });

  test('Gmail’s quote is cut like any other', () => {
    const html =
      '<div dir="ltr">Yes, do that.</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Mon, Nov 16, 2026 at 9:12 AM Pinch &lt;<a href="mailto:p@example.org">p@example.org</a>&gt; wrote:<br></div><blockquote class="gmail_quote"><div>Shall I?</div></blockquote></div>';
    expect(reply(htmlToText(html))).toBe('Yes, do that.');
  });

  test('a hostile one costs little', () => {
    const began = performance.now();
    htmlToText('<div>'.repeat(100_000));
    htmlToText(`<table>${'<tr><td>'.repeat(20_000)}`);
    reply('On 1 '.repeat(50_000));
    reply(`${'>'.repeat(100_000)}\n`.repeat(3));
    expect(performance.now() - began).toBeLessThan(whenBusy(3_000));
  });
});
