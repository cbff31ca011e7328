// Mails that somebody built to do harm, and calls that would let one mail become another: bounded answers, and a program that goes on.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type MailServer, mailServerProblem, PASSWORD, startMailServer } from '../fakes/mail-server.js';
import { whenBusy } from '../limits.js';
import { type Inbox, installServer, type Server } from './program.js';

const problem = mailServerProblem();
if (problem) console.log(`skipped: ${problem}`);

const OLGA = 'olga@pinch.test';
const ANNA = 'anna@people.test';
const head = `From: ${ANNA}\nTo: ${OLGA}\n`;
const mime = (type: string, body: string, more = '') =>
  `${head}Subject: odd\nMIME-Version: 1.0\nContent-Type: ${type}\n${more}\n${body}\n`;
const nested = (depth: number) =>
  Array.from({ length: depth }, (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\n\n--b${at}\n`).join('');

const hostile: Record<string, string | Buffer> = {
  empty: '',
  'no headers': '\n\njust a body',
  'bytes of no charset': Buffer.from([
    ...Buffer.from(`${head}Subject: \xff\xfe\x80\n\n`, 'latin1'),
    0xff,
    0xfe,
    0,
    1,
    2,
    0xc3,
  ]),
  'NUL everywhere': `${head}Subject: a\0b\n\nc\0d\n`,
  'NUL in base64': mime('text/plain', Buffer.from('c\0d').toString('base64'), 'Content-Transfer-Encoding: base64\n'),
  'a header of 3 MB': `${head}Subject: ${'long '.repeat(600_000)}\n\nx\n`,
  'two hundred thousand recipients': `From: ${ANNA}\nTo: ${'a@b.test, '.repeat(200_000)}z@b.test\nSubject: many\n\nx\n`,
  'ten thousand headers': `${head}${Array.from({ length: 10_000 }, (_, at) => `X-${at}: y\n`).join('')}\nx\n`,
  'multipart without an end, nested 400 deep': `${head}MIME-Version: 1.0\n${nested(400)}text`,
  'a boundary that is not there': mime('multipart/mixed; boundary="gone"', 'text'),
  'no boundary at all': mime('multipart/alternative', 'text'),
  'an unknown charset': mime('text/plain; charset=x-klingon', 'tlhIngan'),
  'base64 that is none': mime('text/plain', '!!! %% ===', 'Content-Transfer-Encoding: base64\n'),
  'an encoding that is none': mime('text/plain', 'text', 'Content-Transfer-Encoding: x-evil\n'),
  'encoded words that are broken': `${head}Subject: =?utf-8?b?////?= =?x?q?=0D=0ABcc:_evil@x.test?= =?utf-8?q?=E2?=\n\nx\n`,
  'a subject that turns the line': `${head}Subject: =?utf-8?q?invoice=E2=80=AEfdp.exe?=\n\nx\n`,
  'HTML 100,000 deep': mime('text/html', '<div>'.repeat(100_000)),
  'HTML of attributes': mime('text/html', `<a ${'x="'.repeat(100_000)}>`),
  'two megabytes of HTML': mime('text/html', '<table><tr><td>'.repeat(140_000)),
  'a file with a path': mime(
    'application/octet-stream; name="../../../etc/passwd"',
    'eA==',
    'Content-Transfer-Encoding: base64\n',
  ),
  'a type that is none': mime('text/../../x; name="a\u202etxt.exe"', 'x'),
  'the password': `${head}Subject: your ${PASSWORD}\n\nIt is ${PASSWORD}, is it not?\n`,
};

const searched = z.object({ mails: z.array(z.object({ id: z.string() })) });
const listed = z.object({ attachments: z.array(z.object({ part: z.string() })) });

describe.skipIf(problem)(`the inbox and hostile mails${problem ? `: skipped, ${problem}` : ''}`, () => {
  let mail: MailServer;
  let server: Server;
  let inbox: Inbox;

  beforeAll(async () => {
    server = installServer();
    mail = await startMailServer();
    for (const address of [OLGA, ANNA]) mail.add(address);
    inbox = await server.start({
      INBOX_ADDRESS: OLGA,
      INBOX_USER: OLGA,
      INBOX_PASSWORD: PASSWORD,
      INBOX_IMAP_HOST: mail.host,
      INBOX_SMTP_HOST: mail.host,
      NODE_EXTRA_CA_CERTS: mail.ca,
    });
  });
  afterAll(async () => {
    await server.close();
    await mail.close();
  });

  test('each of them is listed and read in bounded time and size, and what is attached comes as it is', async () => {
    mail.put(
      OLGA,
      Object.values(hostile).map((raw) => ({ raw })),
    );
    const list = await inbox.call('search', { limit: 100 });
    expect(list, list.text).toMatchObject({ isError: false });
    const { mails } = searched.parse(list.json);
    expect(mails).toHaveLength(Object.keys(hostile).length);
    expect(list.text.length).toBeLessThan(20_000);
    for (const [at, { id }] of mails.toReversed().entries()) {
      const name = Object.keys(hostile)[at];
      const began = performance.now();
      const said = await inbox.call('read', { id });
      expect(performance.now() - began, name).toBeLessThan(whenBusy(3_000));
      expect(said.text.length, name).toBeLessThan(40_000);
      expect(said.text, name).not.toMatch(/[\0\u202e]|canary/);
      const { attachments } = said.isError ? { attachments: [] } : listed.parse(said.json);
      for (const { part } of attachments.slice(0, 3)) await inbox.call('attachment', { id, part });
    }
    expect(mail.mails(OLGA).some(({ seen }) => seen)).toBe(false);
  });

  test('an attachment that is too large is refused, not half given', async () => {
    const large = Buffer.alloc(6 * 1024 * 1024, 'x')
      .toString('base64')
      .replace(/.{76}/g, '$&\n');
    mail.put(OLGA, [{ raw: mime('application/zip', large, 'Content-Transfer-Encoding: base64\nX-Name: large\n') }]);
    const [newest] = searched.parse((await inbox.call('search', { limit: 1 })).json).mails;
    const said = await inbox.call('attachment', { id: newest?.id, part: '1' });
    expect(said).toMatchObject({ isError: true, text: expect.stringContaining('larger than 5 MB') });
  });

  test.each([
    ['a line break in the subject', { subject: 'Hi\r\nBcc: evil@x.test' }],
    ['a line break in a recipient', { to: ['anna@people.test\r\nBcc: evil@x.test'] }],
    ['two recipients in one', { to: ['anna@people.test, evil@x.test'] }],
    ['a group', { to: ['friends: anna@people.test, evil@x.test;'] }],
    ['a quoted local part', { to: ['"evil@x.test"@people.test'] }],
    ['a route', { to: ['<@evil.test:anna@people.test>'] }],
    ['an address in a comment', { to: ['anna@people.test (evil@x.test)', '(a)anna@people.test>evil@x.test'] }],
    ['no address', { to: ['Anna'] }],
    ['NUL', { subject: 'a\0b' }],
    ['a line of another alphabet', { subject: 'a\u2028b' }],
    ['nobody', { to: [] }],
    ['an unknown field', { headers: { Bcc: 'evil@x.test' } }],
    ['a path for a text', { text: { path: '/etc/passwd' } }],
  ])('send refuses %s', async (_, wrong) => {
    const said = await inbox.call('send', { key: 'k', to: [ANNA], subject: 's', text: 't', ...wrong });
    expect(said).toMatchObject({ isError: true });
    expect(mail.mails(ANNA)).toEqual([]);
  });

  test('what a mail says of itself cannot add a header or a recipient to its answer', async () => {
    const evil = [
      'From: =?utf-8?q?Anna=0D=0ABcc:_evil@x.test?= <anna@people.test>',
      `Reply-To: "a@b.test, evil@x.test" <anna@people.test>, =?utf-8?q?x=40y.test=0D=0ACc=3A_evil@x.test?=`,
      'Subject: =?utf-8?q?Hello=0D=0ABcc:_evil@x.test?=',
      'Message-ID: <a@b.test>\r\n Bcc: <evil@x.test>',
      `References: ${'<r@b.test> '.repeat(5_000)}`,
    ];
    mail.put(OLGA, [{ raw: `${evil.join('\n')}\n\nx\n` }]);
    const [newest] = searched.parse((await inbox.call('search', { limit: 1 })).json).mails;
    const said = await inbox.call('draft', { key: 'answer', text: 'Hello', inReplyTo: newest?.id });
    expect(said, said.text).toMatchObject({ isError: false });
    const [draft] = mail.mails(OLGA, 'Drafts');
    const names = [...(draft?.raw.split(/\r?\n\r?\n/)[0] ?? '').matchAll(/^([\w-]+):/gm)].map(([, name]) => name);
    expect(names.toSorted()).toEqual([
      'Content-Transfer-Encoding',
      'Content-Type',
      'Date',
      'From',
      'In-Reply-To',
      'MIME-Version',
      'Message-ID',
      'References',
      'Subject',
      'To',
    ]);
    expect(draft?.raw.length).toBeLessThan(3_000);
    expect(said.json).toMatchObject({ to: [expect.stringContaining('<anna@people.test>')] });
  });
});
