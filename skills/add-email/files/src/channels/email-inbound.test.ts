import { describe, expect, test } from 'vitest';
import { bareSubject, type Mail, type Reader, refusalOf, type Thread, toMessage } from './email-inbound.js';
import { isProven } from './email-proof.js';

const reader: Reader = { address: 'pinch@example.org', assistantName: 'Pinch', authServer: 'mx.example.org' };
const PASS = 'mx.example.org; dmarc=pass header.from=people.example';

function mail(more: Partial<Mail> = {}, headers: Record<string, string | string[]> = {}): Mail {
  const all = { from: 'Anna <anna@people.example>', 'authentication-results': PASS, ...headers };
  return {
    uid: 7,
    headers: new Map(Object.entries(all).map(([name, value]) => [name, [value].flat()])),
    from: [{ name: 'Anna', address: 'anna@people.example' }],
    subject: '',
    messageId: 'one@people.example',
    inReplyTo: '',
    references: [],
    sentAt: 1_000,
    texts: [],
    files: [],
    ...more,
  };
}

const message = (text: string, more: Partial<Mail> = {}, before?: string) =>
  toMessage(mail(more), [text], {
    reader,
    before: before === undefined ? undefined : { subject: before, isNew: false, messageId: 'x', references: [] },
    mailbox: '99',
  })?.message;

describe('who gets no answer', () => {
  test('a person does', () => {
    expect(refusalOf(mail(), reader)).toBeUndefined();
    expect(refusalOf(mail({}, { 'auto-submitted': 'no' }), reader)).toBeUndefined();
  });

  test.each([
    ['a vacation notice', { 'auto-submitted': 'auto-replied' }, 'automatic answer'],
    ['another Pinch', { 'auto-submitted': 'auto-generated (by Pinch)' }, 'automatic answer'],
    ['an answer that hides it', { 'x-autoreply': 'yes' }, 'automatic answer'],
    ['Exchange', { 'x-auto-response-suppress': 'DR, OOF, AutoReply' }, 'automatic answer'],
    ['a mailing list', { 'list-id': '<a.example.org>' }, 'mailing list or bulk mail'],
    ['a newsletter', { 'list-unsubscribe': '<mailto:x@example.org>' }, 'mailing list or bulk mail'],
    ['bulk mail', { precedence: 'bulk' }, 'mailing list or bulk mail'],
    ['a bounce', { 'return-path': '<>' }, 'bounce or report'],
    ['a delivery report', { 'content-type': 'multipart/report; report-type=delivery-status' }, 'bounce or report'],
    ['two From lines', { from: ['Anna <anna@people.example>', 'Olga <olga@people.example>'] }, 'no single sender'],
    ['nobody’s word about the sender', { 'authentication-results': [] }, 'sender is not proven'],
    [
      'a forged sender',
      { 'authentication-results': 'mx.example.org; dmarc=fail header.from=people.example' },
      'sender is not proven',
    ],
  ])('%s', (_name, headers, why) => {
    expect(refusalOf(mail({}, headers), reader)).toBe(why);
  });

  test.each([
    ['our own mail', [{ name: 'Pinch', address: 'pinch@example.org' }], 'own mail'],
    [
      'two senders',
      [
        { name: 'A', address: 'a@b.example' },
        { name: 'B', address: 'b@b.example' },
      ],
      'no single sender',
    ],
    ['nobody', [], 'no single sender'],
    ['an address that is none', [{ name: 'A', address: 'a@b.example, olga@people.example' }], 'no single sender'],
    ['a mail system', [{ name: '', address: 'mailer-daemon@people.example' }], 'bounce or report'],
  ])('%s', (_name, from, why) => {
    expect(refusalOf(mail({ from }), reader)).toBe(why);
  });

  test('where the mail server takes no forged mail, everybody is who they say', () => {
    expect(refusalOf(mail({}, { 'authentication-results': [] }), { ...reader, authServer: undefined })).toBeUndefined();
  });
});

describe('a proven sender', () => {
  const proven = (...headers: string[]) => isProven(headers, 'mx.example.org', 'people.example');

  test.each([
    [
      'Gmail',
      'mx.example.org;\tdkim=pass header.i=@people.example header.s=s1 header.b=abc; spf=pass (google.com: domain of anna@people.example designates 1.2.3.4 as permitted sender) smtp.mailfrom=anna@people.example; dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=people.example',
    ],
    [
      'DKIM of the domain',
      'mx.example.org; dkim=pass (2048-bit key; unprotected) header.d=people.example header.i=@people.example',
    ],
    ['DKIM of the domain above', 'mx.example.org 1; dkim=pass header.d=people.example'],
    [
      'SPF of the domain',
      'mx.example.org; spf=pass smtp.mailfrom=bounce@mail.people.example; spf=pass smtp.mailfrom=people.example',
    ],
    [
      'a domain without rules',
      'mx.example.org; dmarc=none header.from=people.example; dkim=pass header.d=people.example',
    ],
    ['capitals and spaces', 'MX.example.ORG; DMARC = pass header.from=People.Example'],
    ['a quoted reason', 'mx.example.org; dmarc=pass reason="a; b" header.from=people.example'],
  ])('%s', (_name, header) => {
    expect(proven(header)).toBe(true);
  });

  test.each([
    ['nothing', ''],
    ['no result', 'mx.example.org; none'],
    ['another server', 'mx.evil.example; dmarc=pass header.from=people.example'],
    ['another domain', 'mx.example.org; dkim=pass header.d=evil.example'],
    ['a domain that ends alike', 'mx.example.org; dkim=pass header.d=evilpeople.example'],
    ['a top-level domain', 'mx.example.org; dkim=pass header.d=example'],
    ['a domain below', 'mx.example.org; spf=pass smtp.mailfrom=anna@x.people.example'],
    ['DMARC of another From', 'mx.example.org; dmarc=pass header.from=evil.example'],
    [
      'a refusal beside a pass',
      'mx.example.org; dkim=pass header.d=people.example; dmarc=fail header.from=people.example',
    ],
    [
      'words in a comment',
      'mx.example.org; dmarc=fail (dmarc=pass; (dmarc=pass header.from=people.example)) header.from=people.example',
    ],
    ['words in a quoted string', 'mx.example.org; spf=fail smtp.mailfrom="x; dmarc=pass header.from=people.example"'],
    ['what only the sender’s host says', 'mx.example.org; iprev=pass; auth=pass smtp.auth=x'],
  ])('not: %s', (_name, header) => {
    expect(proven(header)).toBe(false);
  });

  test('what a forger wrote below the server’s own word counts for nothing', () => {
    expect(proven('mx.example.org; spf=softfail smtp.mailfrom=people.example', PASS)).toBe(false);
    expect(proven('relay.example.net; dmarc=pass header.from=people.example', PASS)).toBe(true);
  });
});

describe('what the agent reads', () => {
  test('a new subject is said, the known one is not', () => {
    expect(message('We need milk.', { subject: 'Shopping' })?.text).toBe('[subject: Shopping]\nWe need milk.');
    expect(message('We need milk.', { subject: 'Re: Shopping' }, 'AW: Shopping')?.text).toBe('We need milk.');
    expect(message('', { subject: 'Call me' })?.text).toBe('[subject: Call me]');
    expect(message('', { subject: '' })).toBeUndefined();
  });

  test('a mail that comes again after a crash reads as it did the first time', () => {
    const again = (more: Partial<Mail>, before: Thread | undefined) =>
      toMessage(mail(more), ['We need milk.'], { reader, before, mailbox: '99' });
    const first = again({ subject: 'Shopping' }, undefined);
    expect(again({ subject: 'Shopping' }, first?.thread)).toEqual(first);
    const next = again({ subject: 'Re: Shopping', messageId: 'two@people.example' }, first?.thread);
    expect(next?.message.text).toBe('We need milk.');
    expect(again({ subject: 'Re: Shopping', messageId: 'two@people.example' }, next?.thread)).toEqual(next);
  });

  test('a command stands first and alone', () => {
    expect(message('/pair 1234\n\nKind regards\nAnna', { subject: 'Hello' })?.text).toBe('/pair 1234');
  });

  test('the quote of a forwarded mail is what it is about', () => {
    const text = 'What is this?\n\nOn 1.1.2026 Ben wrote:\n> Pay me.';
    expect(message(text, { subject: 'Fwd: Bill', inReplyTo: 'a@b', references: ['a@b'] })?.text).toContain('> Pay me.');
    expect(message(text, { subject: 'Re: Bill', inReplyTo: 'a@b' }, 'Bill')?.text).toBe('What is this?');
  });

  test('a forwarded mail is marked, so that nothing in it is a command', () => {
    expect(message('/stop', { subject: 'Fwd: Bill' })).toMatchObject({ forwarded: true, text: '/stop' });
    expect(message('/stop', { subject: 'Re: Bill' }, 'Bill')).toMatchObject({ forwarded: false });
  });

  test('what it answers is named, so that a task’s message is continued where it was asked', () => {
    expect(message('yes', { inReplyTo: 'pinch.abc@example.org' })?.replyTo).toEqual({
      platformId: 'pinch.abc@example.org',
      sender: 'Pinch',
      text: '',
    });
  });

  test('a mail without an id has one all the same, the same each time', () => {
    expect(message('hello', { messageId: '' })?.platformId).toBe('99.7');
  });

  test('files keep a harmless name and can be fetched by their place', () => {
    const files = [{ part: '2', mimeType: 'image/png', fileName: '../../a.png', sizeBytes: 5 }];
    expect(message('', { files })?.media).toEqual([
      { kind: 'image', fileName: 'a.png', mimeType: 'image/png', sizeBytes: 5, ref: '99.7.2' },
    ]);
  });

  test('references grow by one mail and not for ever', () => {
    const references = Array.from({ length: 50 }, (_, n) => `${n}@x`);
    const thread = toMessage(mail({ references }), ['x'], { reader, before: undefined, mailbox: '1' })?.thread;
    expect(thread?.references).toHaveLength(20);
    expect([thread?.references[0], thread?.references.at(-1)]).toEqual(['0@x', 'one@people.example']);
  });

  test.each([
    ['Re: AW: Fwd: Milk', 'Milk'],
    ['RE[2]: Milk', 'Milk'],
    ['Report: Milk', 'Report: Milk'],
    ['', ''],
  ])('subject %j', (subject, bare) => {
    expect(bareSubject(subject)).toBe(bare);
  });
});
