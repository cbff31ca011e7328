// The owner's mailbox through its tools, against Dovecot and Exim with TLS on their usual ports.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { eventually } from '../e2e/harness.js';
import { type MailServer, mailServerProblem, PASSWORD, startMailServer } from '../fakes/mail-server.js';
import { whenBusy } from '../limits.js';
import { type Inbox, installServer, type Said, type Server } from './program.js';

const problem = mailServerProblem();
if (problem) console.log(`skipped: ${problem}`);

const OLGA = 'olga@pinch.test';
const ANNA = 'anna@people.test';
const BEN = 'ben@people.test';

const searched = z.object({
  mails: z.array(
    z.looseObject({ id: z.string(), subject: z.string().optional(), labels: z.array(z.string()).optional() }),
  ),
  cursor: z.string().optional(),
});
const written = z.object({ id: z.string(), messageId: z.string() });
const moved = z.object({ done: z.array(z.object({ ids: z.array(z.string()) })) });

describe.skipIf(problem)(`the inbox${problem ? `: skipped, ${problem}` : ''}`, () => {
  let mail: MailServer;
  let server: Server;
  let inbox: Inbox;
  let env: Record<string, string>;

  beforeAll(async () => {
    server = installServer();
    mail = await startMailServer();
    for (const address of [OLGA, ANNA, BEN]) mail.add(address);
    env = {
      INBOX_ADDRESS: `Olga Ito <${OLGA}>`,
      INBOX_USER: OLGA,
      INBOX_PASSWORD: PASSWORD,
      INBOX_IMAP_HOST: mail.host,
      INBOX_IMAP_PORT: '993',
      INBOX_SMTP_HOST: mail.host,
      INBOX_SMTP_PORT: '465',
      NODE_EXTRA_CA_CERTS: mail.ca,
    };
    inbox = await server.start(env);
  });
  afterAll(async () => {
    await server.close();
    await mail.close();
  });

  const search = async (query: Record<string, unknown> = {}, by = inbox) => {
    const said = await by.call('search', query);
    expect(said, said.text).toMatchObject({ isError: false });
    return searched.parse(said.json);
  };
  const idOf = async (subject: string, folder = 'INBOX') => {
    const [found] = (await search({ subject, folder })).mails;
    if (!found) throw new Error(`there is no mail "${subject}" in ${folder}`);
    return found.id;
  };
  const subjects = (found: z.infer<typeof searched>) => found.mails.map(({ subject }) => subject);
  const refusal = (said: Said) => {
    expect(said, said.text).toMatchObject({ isError: true });
    return said.text;
  };
  const simple = (subject: string, more = '', text = 'Hello Olga,\n\nhow are you?') => ({
    raw: `From: Anna Ö <${ANNA}>\nTo: ${OLGA}\nSubject: ${subject}\nMessage-ID: <${encodeURIComponent(subject)}@people.test>\nDate: Tue, 24 Nov 2026 10:00:00 +0100\n${more}\n${text}\n`,
  });

  test('its tools say what they do: four only read, those that take away or send say so', async () => {
    const { tools } = await inbox.client.listTools();
    const reading = tools.filter(({ annotations }) => annotations?.readOnlyHint).map(({ name }) => name);
    const destroying = tools.filter(({ annotations }) => annotations?.destructiveHint).map(({ name }) => name);
    expect(tools.map(({ name }) => name)).toEqual([
      ...['folders', 'search', 'read', 'attachment', 'label', 'draft', 'send', 'move', 'delete'],
    ]);
    expect(reading).toEqual(['folders', 'search', 'read', 'attachment']);
    expect(destroying).toEqual(['send', 'move', 'delete']);
    expect(JSON.stringify(tools).length).toBeLessThan(8_000);
  });

  test('search finds by each condition, the newest first, and marks nothing as seen', async () => {
    mail.put(OLGA, [
      { ...simple('Old bill', '', 'The amount is 12 euros.'), receivedAt: new Date('2026-11-01T12:00:00Z') },
      { ...simple('Grüße'), receivedAt: new Date('2026-11-20T12:00:00Z') },
      {
        raw: `From: ${BEN}\nTo: list@people.test\nSubject: News\n\nNothing new.\n`,
        receivedAt: new Date('2026-11-25T12:00:00Z'),
      },
    ]);
    expect(subjects(await search())).toEqual(['News', 'Grüße', 'Old bill']);
    expect(subjects(await search({ from: 'anna@' }))).toEqual(['Grüße', 'Old bill']);
    expect(subjects(await search({ to: 'list@people' }))).toEqual(['News']);
    expect(subjects(await search({ subject: 'grüße' }))).toEqual(['Grüße']);
    expect(subjects(await search({ text: '12 euros' }))).toEqual(['Old bill']);
    expect(subjects(await search({ since: '2026-11-20', before: '2026-11-25' }))).toEqual(['Grüße']);
    expect(subjects(await search({ flagged: true }))).toEqual([]);
    const first = await search({ limit: 2 });
    expect(subjects(first)).toEqual(['News', 'Grüße']);
    expect(subjects(await search({ limit: 2, cursor: first.cursor }))).toEqual(['Old bill']);
    expect((await inbox.call('read', { id: await idOf('Old bill') })).text).toContain('The amount is 12 euros.');
    expect(subjects(await search({ unseen: true }))).toHaveLength(3);
    expect(mail.mails(OLGA).map(({ seen }) => seen)).toEqual([false, false, false]);
  });

  test('read gives the text, in any charset, HTML as text, and lists what is attached; attachment hands it over', async () => {
    const pdf = Buffer.from('%PDF-1.4 \0\xff', 'latin1');
    const parts = [
      'Content-Type: multipart/alternative; boundary=in\n\n--in\nContent-Type: text/plain; charset=windows-1252\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe for =8010\n--in\nContent-Type: text/html\n\n<p>not this</p>\n--in--',
      `Content-Type: application/pdf; name="=?utf-8?q?Rechnung_f=C3=BCr_Olga.pdf?="\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\n${pdf.toString('base64')}`,
      'Content-Type: message/rfc822\n\nFrom: ben@people.test\nSubject: forwarded\n\nInside.',
    ];
    const whole = parts.map((part) => `--out\n${part}\n`).join('');
    const table =
      '<h1>Offer</h1><table><tr><td>One</td></tr></table><script>evil()</script><a href="https://shop.test/x">Buy</a>';
    mail.put(OLGA, [
      simple('Parts', 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=out\n', `${whole}--out--`),
      simple('Only HTML', 'MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n', table),
    ]);
    const id = await idOf('Parts');
    const said = await inbox.call('read', { id });
    expect(said.json).toMatchObject({
      from: [`Anna Ö <${ANNA}>`],
      to: [OLGA],
      date: '2026-11-24T09:00:00.000Z',
      attachments: [
        { part: '2', name: 'Rechnung für Olga.pdf', type: 'application/pdf' },
        { part: '3', name: 'forwarded', type: 'message/rfc822' },
      ],
    });
    expect(said.text).toMatch(/\nGrüße for €10$/);
    const file = await inbox.call('attachment', { id, part: '2' });
    expect(file.blob).toEqual(pdf);
    expect((await inbox.call('attachment', { id, part: '3' })).blob?.toString()).toContain('Subject: forwarded');
    expect(refusal(await inbox.call('attachment', { id, part: '9' }))).toContain('read lists them');
    const html = (await inbox.call('read', { id: await idOf('Only HTML') })).text;
    expect(html).toContain('Offer\n\nOne');
    expect(html).toContain('Buy [https://shop.test/x]');
    expect(html).not.toContain('evil');
    const part = await inbox.call('read', { id, maxChars: 5, offset: 2 });
    expect(part.text).toMatch(/\nüße f$/);
    expect(part.json).toMatchObject({ cutAt: 7, chars: 13 });
  });

  test('triage by drafts: they lie among the drafts, in the thread, once per key; nothing is sent', async () => {
    mail.put(OLGA, [
      simple('Dinner?', 'References: <first@people.test>\nReply-To: Anna Home <anna-home@people.test>\n'),
    ]);
    const inReplyTo = await idOf('Dinner?');
    const input = { key: 'dinner', text: 'Gladly!\n\nOlga', inReplyTo };
    const { id } = written.parse((await inbox.call('draft', input)).json);
    const again = await inbox.call('draft', input);
    expect(again.json).toMatchObject({ id, note: expect.stringContaining('nothing was written') });
    const drafts = mail.mails(OLGA, 'Drafts');
    expect(drafts).toHaveLength(1);
    expect(drafts[0]?.flags).toContain('D');
    expect(drafts[0]?.raw).toMatch(/^To: Anna Home <anna-home@people\.test>$/m);
    expect(drafts[0]?.raw).toMatch(/^From: Olga Ito <olga@pinch\.test>$/m);
    expect(drafts[0]?.raw).toMatch(/^Subject: Re: Dinner\?$/m);
    expect(drafts[0]?.raw).toMatch(/^In-Reply-To: <Dinner%3F@people\.test>$/m);
    expect(drafts[0]?.raw).toMatch(/^References: <first@people\.test>\s+<Dinner%3F@people\.test>$/m);
    expect((await inbox.call('read', { id })).text).toContain('Gladly!\n\nOlga');
    await inbox.call('draft', { key: 'secret', to: [ANNA], bcc: [BEN], subject: 'Hidden', text: 'x' });
    expect(mail.mails(OLGA, 'Drafts')[1]?.raw).toMatch(/^Bcc: ben@people\.test$/m);
    expect([...mail.mails(ANNA), ...mail.mails(BEN), ...mail.mails(OLGA, 'Sent')]).toEqual([]);
  });

  test('send delivers to all, hides Bcc, keeps a copy, and one key sends one mail, asked once, twice or at the same time', async () => {
    const input = {
      key: 'lunch',
      to: [`Anna Ö <${ANNA}>`],
      bcc: [BEN],
      subject: 'Lunch → today',
      text: '.\nAt noon? €5',
    };
    const both = await Promise.all([inbox.call('send', input), inbox.call('send', input)]);
    const { id } = written.parse(both[0].json);
    expect(both[1].json).toMatchObject({ sent: true, note: expect.stringContaining('not sent again') });
    const other = await server.start(env, inbox.data);
    expect((await other.call('send', input)).json).toMatchObject({ note: expect.stringContaining('not sent again') });
    expect(refusal(await inbox.call('send', { ...input, text: 'else' }))).toContain('used for another mail');
    await eventually(() => mail.mails(ANNA).length > 0 && mail.mails(BEN).length > 0, 'both have it');
    expect([mail.mails(ANNA).length, mail.mails(BEN).length, mail.mails(OLGA, 'Sent').length]).toEqual([1, 1, 1]);
    expect(mail.mails(BEN)[0]?.raw).not.toMatch(/^bcc/im);
    expect(mail.mails(OLGA, 'Sent')[0]).toMatchObject({
      seen: true,
      raw: expect.stringMatching(/^Bcc: ben@people\.test$/m),
    });
    const copy = await inbox.call('read', { id });
    expect(copy.json).toMatchObject({ subject: 'Lunch → today' });
    expect(copy.text).toMatch(/\n\.\nAt noon\? €5$/);
  });

  test('a refused recipient is told in the words of the server; the same key may then try again', async () => {
    const input = { key: 'carl', to: ['carl@people.test'], subject: 'Hi', text: 'Hi Carl' };
    expect(refusal(await inbox.call('send', input))).toContain('no such mailbox');
    mail.add('carl@people.test');
    expect((await inbox.call('send', input)).json).toMatchObject({ sent: true });
    await eventually(() => mail.mails('carl@people.test').length > 0, 'Carl has it');
  });

  test('STARTTLS on 143 and 587', async () => {
    const other = await server.start({ ...env, INBOX_IMAP_PORT: '143', INBOX_SMTP_PORT: '587' });
    const sent = await other.call('send', { key: 'starttls', to: [ANNA], subject: 'Encrypted', text: 'x' });
    expect(sent.json).toMatchObject({ sent: true });
    expect(subjects(await search({ folder: 'Sent', subject: 'Encrypted' }, other))).toEqual(['Encrypted']);
  });

  test('label sets and takes away flags and words of its own, and deletes nothing', async () => {
    const ids = [await idOf('News'), await idOf('Old bill')];
    expect((await inbox.call('label', { ids, add: ['flagged', 'Seen', 'Todo'] })).json).toMatchObject({
      done: [{ mails: 2 }],
    });
    expect(subjects(await search({ flagged: true }))).toEqual(['News', 'Old bill']);
    await inbox.call('label', { ids: ids.slice(0, 1), remove: ['flagged', 'seen'] });
    const [only] = (await search({ flagged: true })).mails;
    expect(only).toMatchObject({
      subject: 'Old bill',
      labels: expect.arrayContaining(['\\Seen', '\\Flagged', 'Todo']),
    });
    expect((await search({ subject: 'News' })).mails[0]?.labels).toEqual(['Todo']);
    expect(refusal(await inbox.call('label', { ids, add: ['\\Deleted'] }))).toContain('not set here');
    expect(refusal(await inbox.call('label', { ids, add: ['two words'] }))).toContain('cannot be a label');
  });

  test('move, and delete: into the trash first, for good only out of it', async () => {
    const answer = await inbox.call('move', { ids: [await idOf('News')], folder: 'Receipts' });
    const [id] = moved.parse(answer.json).done[0]?.ids ?? [];
    expect(subjects(await search({ folder: 'Receipts' }))).toEqual(['News']);
    expect(subjects(await search({ subject: 'News' }))).toEqual([]);
    expect(refusal(await inbox.call('move', { ids: [await idOf('Grüße')], folder: 'Nowhere' }))).toContain('folders');
    expect(refusal(await inbox.call('search', { folder: 'Nowhere' }))).toContain('no such folder');
    await inbox.call('delete', { ids: [id] });
    expect(refusal(await inbox.call('delete', { ids: [id] }))).toContain('Search again');
    expect(mail.mails(OLGA, 'Trash')).toHaveLength(1);
    const trashed = await idOf('News', 'Trash');
    expect((await inbox.call('delete', { ids: [trashed] })).json).toMatchObject({ done: [{ deletedForGood: true }] });
    expect(mail.mails(OLGA, 'Trash')).toEqual([]);
  });

  test('folders names them, what they are for, and how many mails wait', async () => {
    const { json } = await inbox.call('folders');
    expect(json).toMatchObject({
      folders: expect.arrayContaining([
        { folder: 'INBOX', use: 'Inbox', mails: 5, unseen: 4 },
        { folder: 'Drafts', use: 'Drafts', mails: 2, unseen: 0 },
      ]),
    });
  });

  test('ids of a folder that was made anew name nothing', async () => {
    const id = await idOf('Dinner?');
    await inbox.close();
    mail.rebuild(OLGA);
    inbox = await server.start(env);
    expect(refusal(await inbox.call('read', { id }))).toContain('search again');
    expect(refusal(await inbox.call('read', { id: 'INBOX:1' }))).toContain('take it from the answer of search');
  });

  test('a mailbox of 5,200 mails: answers stay short and quick, and the oldest is found', async () => {
    const many = 'many@pinch.test';
    mail.add(many);
    const receivedAt = new Date('2026-01-01T00:00:00Z');
    mail.put(
      many,
      Array.from({ length: 5_200 }, (_, at) => ({ ...simple(`Mail ${at}`, '', 'needle in every mail'), receivedAt })),
    );
    const other = await server.start({ ...env, INBOX_ADDRESS: many, INBOX_USER: many });
    await other.call('folders');
    const began = performance.now();
    const newest = await search({}, other);
    expect(subjects(newest).slice(0, 2)).toEqual(['Mail 5199', 'Mail 5198']);
    expect(subjects(await search({ subject: 'Mail 0' }, other))).toEqual(['Mail 0']);
    const first = await search({ text: 'needle', limit: 100 }, other);
    const second = await search({ text: 'needle', limit: 100, cursor: first.cursor }, other);
    expect([first.mails.length, second.mails[0]?.subject]).toEqual([100, 'Mail 5099']);
    expect(performance.now() - began).toBeLessThan(whenBusy(4_000));
    const last = await search({ cursor: second.mails[0]?.id.replace(/\d+$/, '3') }, other);
    expect(subjects(last)).toEqual(['Mail 1', 'Mail 0']);
    expect(last.cursor).toBeUndefined();
  });
});
