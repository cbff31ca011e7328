// The mail channel against real mail servers: threads, files, mails that get no answer, a rebuilt mailbox, refusals.
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../test/e2e/harness.js';
import { type ChannelHost, createChannelHost, createStorage } from '../../test/fakes/channel-host.js';
import {
  AUTH_SERVER,
  type MailServer,
  mailServerProblem,
  PASSWORD,
  startMailServer,
} from '../../test/fakes/mail-server.js';
import type { Channel, ChannelStorage } from './channel.js';
import { email } from './email.js';

const problem = mailServerProblem();
if (problem) console.log(`skipped: ${problem}`);
let server: MailServer;
let stopServer = async (): Promise<void> => undefined;
beforeAll(async () => {
  if (problem) return;
  server = await startMailServer();
  stopServer = server.close;
});
afterAll(() => stopServer());

let pinch: string;
let anna: string;
let host: ChannelHost;
let storage: ChannelStorage;
const open: Channel[] = [];
beforeEach(() => {
  const name = randomUUID().slice(0, 8);
  pinch = `pinch-${name}@pinch.test`;
  anna = `anna-${name}@people.test`;
  storage = createStorage();
  host = createChannelHost(storage);
  if (!problem) for (const address of [pinch, anna]) server.add(address);
});
afterEach(async () => {
  for (const channel of open.splice(0)) await channel.stop();
});

/** As a fresh process would start it. */
function start(env: Record<string, string> = {}, on: ChannelHost = host): Channel {
  const settings = {
    EMAIL_ADDRESS: pinch,
    EMAIL_PASSWORD: PASSWORD,
    EMAIL_IMAP: `imap://127.0.0.1:${server.imapPort}`,
    EMAIL_SMTP: `smtp://127.0.0.1:${server.smtpPort}`,
    EMAIL_AUTH_SERVER: AUTH_SERVER,
    ...env,
  };
  const channel = email.create(email.env.parse(settings), on.deps);
  if (!channel) throw new Error('the channel is off');
  open.push(channel);
  channel.start();
  return channel;
}

async function started(env?: Record<string, string>): Promise<Channel> {
  const channel = start(env);
  await host.untilState('open');
  return channel;
}

let mails = 0;
/** Anna mails; header lines in `head` come on top of the usual ones, or replace them. */
async function write(text: string, head: Record<string, string> = {}, login = anna): Promise<string> {
  mails += 1;
  const id = `${mails}.${randomUUID()}@people.test`;
  const lines = { From: `Anna <${anna}>`, To: pinch, 'Message-ID': `<${id}>`, Date: new Date().toUTCString(), ...head };
  const raw = `${Object.entries(lines)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('')}\n${text}\n`;
  await server.submit({ raw, login, to: pinch });
  return id;
}

const heard = (count: number) => host.until(() => host.messages.length >= count);
const received = (count: number) =>
  eventually(
    () => (server.mails(anna).length >= count ? server.mails(anna).map(({ raw }) => raw) : undefined),
    'a mail',
  );
const headerOf = (raw: string, name: string) =>
  new RegExp(`^${name}: (.*(?:\r?\n[ \t].*)*)`, 'im').exec(raw)?.[1]?.replace(/\s+/g, ' ').trim();

describe.skipIf(problem)(`mail by real servers${problem ? `: skipped, ${problem}` : ''}`, () => {
  test('an answer continues the thread, says that a machine wrote it, and goes to the sender alone', async () => {
    const channel = await started();
    const first = await write('We need milk.', { Subject: '=?utf-8?q?K=C3=BChlschrank?=', Cc: 'ben@people.test' });
    await heard(1);
    expect(host.messages[0]).toMatchObject({
      chat: { address: anna, kind: 'direct', title: 'Anna' },
      platformId: first,
      text: '[subject: Kühlschrank]\nWe need milk.',
    });
    const { platformId } = await channel.send({ address: anna, text: 'Noted: **milk** <b>', key: '1.0' });
    const [raw = ''] = await received(1);
    expect(headerOf(raw, 'Message-ID')).toBe(`<${platformId}>`);
    expect(headerOf(raw, 'In-Reply-To')).toBe(`<${first}>`);
    expect(headerOf(raw, 'References')).toBe(`<${first}>`);
    expect(headerOf(raw, 'Subject')).toMatch(/^=\?UTF-8\?Q\?Re=3A_K=C3=BChlschrank\?=|^Re: =\?UTF-8/i);
    expect(headerOf(raw, 'From')).toBe(`Pinch <${pinch}>`);
    expect(headerOf(raw, 'To')).toBe(anna);
    expect(headerOf(raw, 'Cc')).toBeUndefined();
    expect(headerOf(raw, 'Auto-Submitted')).toBe('auto-replied');
    expect(raw).toContain('Noted: **milk** <b>');
    expect(raw).toContain('Noted: <strong>milk</strong> &lt;b&gt;');
    const quote = 'Bread too.\n\nOn Monday 1 Pinch wrote:\n> Noted: milk\n-- \nAnna';
    const head = { Subject: 'Re: =?utf-8?q?K=C3=BChlschrank?=', 'In-Reply-To': `<${platformId}>` };
    const second = await write(quote, { ...head, References: `<${first}> <${platformId}>` });
    await heard(2);
    expect(host.messages[1]).toMatchObject({ text: 'Bread too.', replyTo: { platformId } });
    await channel.send({ address: anna, text: 'Bread as well.', key: '2.0' });
    const [, again = ''] = await received(2);
    expect(headerOf(again, 'References')).toBe(`<${first}> <${platformId}> <${second}>`);
  });

  test('a mail that is sent twice after a crash has one id; another text, key or installation has another', async () => {
    const channel = await started();
    const mail = { address: anna, text: 'Tea is ready.', key: '1.0' };
    const { platformId } = await channel.send(mail);
    await channel.stop();
    const later = await started();
    expect(await later.send(mail)).toEqual({ platformId });
    const ids = [platformId];
    for (const other of [
      { ...mail, key: '1.1' },
      { ...mail, text: 'Coffee.' },
    ])
      ids.push((await later.send(other)).platformId);
    await later.stop();
    host = createChannelHost();
    ids.push((await (await started()).send(mail)).platformId);
    expect(new Set(ids).size).toBe(4);
    const [raw = '', next = ''] = await received(5);
    expect(headerOf(raw, 'Subject')).toBe('Pinch: Tea is ready.');
    expect(headerOf(raw, 'Auto-Submitted')).toBe('auto-generated');
    expect(headerOf(next, 'In-Reply-To')).toBe(`<${platformId}>`);
  });

  test('files come in under harmless names and are fetched when asked for, HTML is read where there is no text, and a file goes out', async () => {
    const channel = await started();
    const bytes = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 255]);
    await write(
      [
        '--a',
        'Content-Type: multipart/alternative; boundary=b',
        '',
        '--b',
        'Content-Type: text/plain',
        '',
        ' ',
        '--b',
        'Content-Type: text/html; charset=iso-8859-1',
        'Content-Transfer-Encoding: quoted-printable',
        '',
        '<p>Sch=F6n, <b>oder?</b></p>',
        '--b--',
        '--a',
        'Content-Type: image/png; name="../../x.png"',
        'Content-Disposition: attachment',
        'Content-Transfer-Encoding: base64',
        '',
        bytes.toString('base64'),
        '--a',
        'Content-Type: application/pgp-signature; name=signature.asc',
        '',
        'x',
        '--a--',
      ].join('\n'),
      { 'Content-Type': 'multipart/mixed; boundary=a', 'MIME-Version': '1.0' },
    );
    await heard(1);
    const { text = '', media = [] } = host.messages[0] ?? {};
    expect(text).toBe('Schön, oder?');
    expect(media).toMatchObject([{ kind: 'image', fileName: 'x.png', mimeType: 'image/png' }]);
    const ref = media[0]?.ref ?? '';
    expect(Buffer.from(await channel.fetchMedia(ref, 1_000))).toEqual(bytes);
    await expect(channel.fetchMedia(ref, 5)).rejects.toMatchObject({ kind: 'permanent' });
    await expect(channel.fetchMedia(ref.replace(/\.\d+$/, '.9'), 5)).rejects.toMatchObject({ kind: 'permanent' });
    const path = join(tmpdir(), `pinch-mail-file-${randomUUID()}`);
    writeFileSync(path, bytes);
    onTestFinished(() => rmSync(path));
    const file = { path, fileName: 'dot.png', mimeType: 'image/png' };
    await channel.send({ address: anna, text: 'Here.', file, key: '1.0' });
    const [raw = ''] = await received(1);
    expect(raw).toContain('filename=dot.png');
    expect(raw).toContain(bytes.toString('base64'));
    const gone = channel.send({ address: anna, text: '', file: { ...file, path: `${path}.gone` }, key: '2.0' });
    await expect(gone).rejects.toMatchObject({ kind: 'permanent', message: 'the file cannot be read' });
  });

  test('machines, lists, bounces, forgers and ourselves get nothing; the mail behind them does', async () => {
    await started();
    server.add('mallory@evil.test');
    await write('on holiday', { 'Auto-Submitted': 'auto-replied' });
    await write('news', { 'List-Id': '<news.people.test>' });
    await write('not delivered', { 'Content-Type': 'multipart/report; boundary=x' });
    await write('I am Anna', {}, 'mallory@evil.test');
    await write('I am Anna', { 'Authentication-Results': `${AUTH_SERVER}; dmarc=pass` }, 'mallory@evil.test');
    await write('an echo', { From: `Pinch <${pinch}>` }, pinch);
    await write('hello');
    await heard(1);
    expect(host.offered.map(({ text }) => text)).toEqual(['hello']);
    const log = host.logLines.join('\n');
    for (const why of ['automatic answer', 'mailing list', 'bounce or report', 'sender is not proven', 'own mail'])
      expect(log).toContain(why);
    for (const word of [anna, pinch, 'mallory', 'holiday']) expect(log).not.toContain(word);
    await eventually(() => server.mails(pinch).filter(({ seen }) => seen).length === 1 || undefined, 'one is read');
  });

  test('mails that are hardly any do not block those behind them', async () => {
    await started();
    const nested = Array.from({ length: 60 }, (_, n) => `--b${n}\nContent-Type: multipart/mixed; boundary=b${n + 1}\n`);
    await write(nested.join('\n'), { 'Content-Type': 'multipart/mixed; boundary=b0' });
    await write('--a\n\n'.repeat(1_500), { 'Content-Type': 'multipart/mixed; boundary=a' });
    await write('no end', { 'Content-Type': 'multipart/mixed; boundary="never"' });
    await write('x', { 'Content-Type': 'text/plain; charset=klingon' });
    await write('%%%', { 'Content-Type': 'text/plain', 'Content-Transfer-Encoding': 'base64' });
    await write('y', {
      Subject: `=?utf-8?q?${'=FF'.repeat(2_000)}?=`,
      References: '<a> '.repeat(3_000),
      'In-Reply-To': '<<>>',
    });
    await write('z', { From: `"\\"<x@y>" <${anna}>`, Date: 'yesterday', 'Message-ID': 'none' });
    await write('the last one');
    await host.until(() => host.texts().includes('the last one'));
    expect(host.texts().slice(-4)).toEqual(expect.arrayContaining(['z', 'the last one']));
    expect(host.states.map(({ state }) => state)).not.toContain('reconnecting');
  });

  test('a rebuilt mailbox: what came meanwhile is there, what was handled keeps its id, what was older stays unread', async () => {
    await write('long ago', { Date: 'Mon, 02 Mar 2026 10:00:00 +0000' });
    const channel = await started();
    await write('before');
    await heard(1);
    await channel.stop();
    await write('meanwhile');
    server.rebuild(pinch);
    await started();
    await host.until(() => host.texts().includes('meanwhile'));
    await write('afterwards');
    await host.until(() => host.texts().includes('afterwards'));
    expect(new Set(host.texts())).toEqual(new Set(['before', 'meanwhile', 'afterwards']));
    expect(new Set(host.messages.map(({ platformId }) => platformId)).size).toBe(3);
  });

  test('another user name than the address is used for both servers', async () => {
    const box = `box-${pinch}`;
    server.add(box);
    const channel = await started({ EMAIL_USER: box });
    const raw = `From: ${anna}\nTo: ${pinch}\n\nhello\n`;
    await server.submit({ raw, login: anna, to: box });
    await heard(1);
    await channel.send({ address: anna, text: 'hi', key: '1.0' });
    expect((await received(1))[0]).toContain(`From: Pinch <${pinch}>`);
  });

  test('a refused password needs a person, is tried again rarely, and is nowhere to be read', async () => {
    const channel = start({ EMAIL_PASSWORD: 'canary-wrong-password' });
    await host.untilState('blocked');
    expect(host.states.at(-1)?.detail).toContain('EMAIL_PASSWORD');
    expect(host.pauses.at(-1)).toBe(600_000);
    const failure = await channel.send({ address: anna, text: 'x', key: '1.0' }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: 'network', message: expect.stringContaining('EMAIL_PASSWORD') });
    expect(`${host.logLines}${JSON.stringify(host.states)}${failure}`).not.toContain('canary-wrong');
  });

  test('an address that does not exist is refused for good, in our words', async () => {
    const channel = await started();
    await expect(channel.send({ address: 'nobody@people.test', text: 'x', key: '1.0' })).rejects.toMatchObject({
      kind: 'permanent',
      message: 'the mail server answers 550 5.1.1 (the address does not exist or takes no mail)',
    });
  });

  test('a certificate nobody vouches for is refused', async () => {
    start({ EMAIL_IMAP: `imaps://localhost:${server.imapsPort}` });
    await host.untilState('reconnecting');
    expect(host.states.at(-1)?.detail).toMatch(/certificate of the mail server is not trusted \(\w+\)/);
  });
});

test('a server without TLS that is not this machine hears no password', async () => {
  const heardBy: string[] = [];
  let connections = 0;
  const plain = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      heardBy.push(bytes.toString());
      const tag = /^(\S+) CAPABILITY/i.exec(bytes.toString())?.[1];
      socket.write(tag ? `* CAPABILITY IMAP4rev1\r\n${tag} OK done\r\n` : '250 plain.test\r\n');
    });
    connections += 1;
    socket.write(connections > 1 ? '220 plain.test ESMTP\r\n' : '* OK [CAPABILITY IMAP4rev1] ready\r\n');
  });
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.2', resolve));
  const address = plain.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  server = { ...server, imapPort: 0, smtpPort: 0 };
  const where = `127.0.0.2:${address.port}`;
  const channel = start({ EMAIL_IMAP: `imap://${where}`, EMAIL_SMTP: `smtp://${where}` });
  await host.untilState('reconnecting');
  expect(connections).toBe(1);
  await expect(channel.send({ address: anna, text: 'x', key: '1.0' })).rejects.toMatchObject({ kind: 'network' });
  await channel.stop();
  plain.close();
  expect(heardBy.join('')).toContain('EHLO');
  expect(heardBy.join('')).not.toMatch(/LOGIN|AUTH|canary/);
});

describe('the settings', () => {
  const whole = {
    EMAIL_ADDRESS: 'Pinch@Example.org',
    EMAIL_PASSWORD: 'secret',
    EMAIL_IMAP: 'imaps://imap.example.org',
    EMAIL_SMTP: 'smtp://smtp.example.org',
    EMAIL_AUTH_SERVER: 'mx.example.org',
  };
  const problems = (env: Record<string, string>) => email.env.safeParse(env).error?.issues.map(({ path }) => path[0]);

  test('without an address the channel is off', () => {
    expect(email.env.parse({ PATH: '/bin' })).toBeUndefined();
  });

  test('ports and TLS follow from the addresses', () => {
    expect(email.env.parse(whole)).toMatchObject({
      address: 'pinch@example.org',
      user: 'pinch@example.org',
      imap: { host: 'imap.example.org', port: 993, tls: 'implicit' },
      smtp: { host: 'smtp.example.org', port: 587, tls: 'starttls' },
      authServer: 'mx.example.org',
    });
    expect(email.env.parse({ ...whole, EMAIL_IMAP: 'imap://[::1]:1143', EMAIL_AUTH_SERVER: 'none' })).toMatchObject({
      imap: { host: '::1', port: 1143, tls: 'none' },
      authServer: undefined,
    });
  });

  test.each([
    ['EMAIL_ADDRESS', 'pinch'],
    ['EMAIL_IMAP', 'imap.example.org'],
    ['EMAIL_IMAP', 'imaps://user:secret@imap.example.org'],
    ['EMAIL_IMAP', 'smtps://imap.example.org'],
    ['EMAIL_IMAP', 'imaps://imap.example.org:99999'],
    ['EMAIL_SMTP', 'https://smtp.example.org'],
    ['EMAIL_AUTH_SERVER', 'mx.example.org; dmarc=pass'],
  ])('%s=%s is refused by its name', (name, value) => {
    expect(problems({ ...whole, [name]: value })).toEqual([name]);
  });

  test.each(Object.keys(whole).slice(1))('%s is needed with the address', (name) => {
    expect(problems({ ...whole, [name]: '' })).toEqual([name]);
    const { [name]: _, ...rest }: Record<string, string> = whole;
    expect(problems(rest)).toEqual([name]);
  });
});
