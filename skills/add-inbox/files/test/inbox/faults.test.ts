// What the inbox does when the network, the server or the password is not as it should be: words that help, and never a second mail.
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../e2e/harness.js';
import { type MailGate, startMailGate } from '../fakes/mail-gate.js';
import { type MailServer, mailServerProblem, PASSWORD, startMailServer } from '../fakes/mail-server.js';
import { whenBusy } from '../limits.js';
import { type Inbox, installServer, type Server } from './program.js';

const problem = mailServerProblem();
if (problem) console.log(`skipped: ${problem}`);

const OLGA = 'olga@pinch.test';
const ANNA = 'anna@people.test';

describe.skipIf(problem)(`the inbox in trouble${problem ? `: skipped, ${problem}` : ''}`, () => {
  let mail: MailServer;
  let server: Server;
  let imap: MailGate;
  let smtp: MailGate;
  let env: Record<string, string>;
  const started: Inbox[] = [];

  beforeAll(async () => {
    server = installServer();
    mail = await startMailServer();
    for (const address of [OLGA, ANNA]) mail.add(address);
    mail.put(OLGA, [{ raw: `From: ${ANNA}\nTo: ${OLGA}\nSubject: Hello\n\nHello.\n` }]);
    [imap, smtp] = [await startMailGate(mail.imapsPort), await startMailGate(mail.smtpsPort)];
    env = {
      INBOX_ADDRESS: OLGA,
      INBOX_USER: OLGA,
      INBOX_PASSWORD: PASSWORD,
      INBOX_IMAP_HOST: 'localhost',
      INBOX_IMAP_PORT: String(imap.port),
      INBOX_SMTP_HOST: 'localhost',
      INBOX_SMTP_PORT: String(smtp.port),
      NODE_EXTRA_CA_CERTS: mail.ca,
    };
  });
  afterAll(async () => {
    await server.close();
    await Promise.all([imap.close(), smtp.close()]);
    await mail.close();
  });

  const start = async (more: Record<string, string> = {}, data?: string) => {
    const inbox = await server.start({ ...env, ...more }, data);
    started.push(inbox);
    return inbox;
  };
  const letter = (key: string, text = 'x') => ({ key, to: [ANNA], subject: key, text });
  const arrived = (subject: string) => mail.mails(ANNA).filter(({ raw }) => raw.includes(`Subject: ${subject}`)).length;

  test('a cut connection is replaced without a word; a network that is gone is told, and used again when it is back', async () => {
    const inbox = await start();
    expect(await inbox.call('search')).toMatchObject({ isError: false });
    imap.cut();
    expect(await inbox.call('search')).toMatchObject({ isError: false });
    imap.cutAtNextWord();
    expect(await inbox.call('search')).toMatchObject({ isError: false });
    imap.offline(true);
    smtp.offline(true);
    for (const said of [
      await inbox.call('folders'),
      await inbox.call('search'),
      await inbox.call('send', letter('offline')),
    ])
      expect(said).toMatchObject({ isError: true, text: expect.stringContaining('Try again in some minutes') });
    imap.offline(false);
    smtp.offline(false);
    expect(await inbox.call('search')).toMatchObject({ isError: false });
    expect(await inbox.call('send', letter('offline'))).toMatchObject({ json: { sent: true } });
    await eventually(() => arrived('offline') > 0, 'it was sent');
  });

  test('a cut in the middle of a call that changes something: carried out, or told; never twice', async () => {
    const inbox = await start();
    const calls = Array.from({ length: 5 }, (_, at) =>
      inbox.call('draft', { ...letter(`cut ${at}`), text: 'y'.repeat(50_000) }),
    );
    for (let count = 1; count <= 3; count += 1) {
      await eventually(() => mail.mails(OLGA, 'Drafts').length >= count, 'drafts come');
      imap.cut();
    }
    await Promise.all(calls);
    for (const at of [0, 1, 2, 3, 4]) await inbox.call('draft', { ...letter(`cut ${at}`), text: 'y'.repeat(50_000) });
    expect(mail.mails(OLGA, 'Drafts')).toHaveLength(5);
  });

  test('a wrong password is told as such, by IMAP and by SMTP, and is not tried over and over', async () => {
    const inbox = await start({ INBOX_PASSWORD: 'canary-wrong-password' });
    const words = { isError: true, text: expect.stringContaining('refuses the user name or the password') };
    expect(await inbox.call('search')).toMatchObject(words);
    expect(await inbox.call('send', letter('wrong'))).toMatchObject(words);
    imap.offline(true);
    // Without asking the server again, which would now be told as a network that is gone.
    expect(await inbox.call('folders')).toMatchObject(words);
    imap.offline(false);
    expect(inbox.output()).not.toContain('canary-wrong');
    expect(inbox.output()).not.toContain(Buffer.from('canary-wrong-password').toString('base64').slice(0, 20));
  });

  test('a certificate that nobody vouches for, another name, a server without TLS: the password is not sent', async () => {
    const stranger = await start({ NODE_EXTRA_CA_CERTS: '' });
    const words = { isError: true, text: expect.stringContaining('certificate') };
    expect(await stranger.call('search')).toMatchObject(words);
    expect(await stranger.call('send', letter('untrusted'))).toMatchObject(words);
    const misnamed = await start({ INBOX_IMAP_HOST: '127.0.0.1', INBOX_SMTP_HOST: '127.0.0.1' });
    expect(await misnamed.call('search')).toMatchObject(words);
    expect(await misnamed.call('send', letter('misnamed'))).toMatchObject(words);
    const plain = { INBOX_IMAP_PORT: String(mail.imapPort), INBOX_SMTP_PORT: String(mail.smtpPort) };
    const unencrypted = await start(plain);
    const noTls = { isError: true, text: expect.stringContaining('offers no TLS on this port') };
    expect(await unencrypted.call('search')).toMatchObject(noTls);
    expect(await unencrypted.call('send', letter('plain'))).toMatchObject(noTls);
    const unknown = await start({ INBOX_IMAP_HOST: 'nowhere.invalid', INBOX_SMTP_HOST: 'nowhere.invalid' });
    for (const said of [await unknown.call('search'), await unknown.call('send', letter('unknown'))])
      expect(said).toMatchObject({ isError: true, text: expect.stringContaining('under egress') });
  });

  test('an answer that is lost when the mail was taken: it is not sent again, not even after a restart', async () => {
    const data = server.folder();
    const losing = await startMailGate(mail.smtpsPort);
    losing.loseAnswersAfter(60_000);
    const inbox = await start({ INBOX_SMTP_PORT: String(losing.port) }, data);
    const input = letter('lost', 'z '.repeat(49_000));
    const sending = inbox.call('send', input);
    await eventually(() => arrived('lost') > 0, 'the server took it');
    losing.cut();
    expect(await sending).toMatchObject({ isError: true, text: expect.stringContaining('not known whether') });
    await losing.close();
    for (const again of [inbox, await start({}, data)])
      expect(await again.call('send', input)).toMatchObject({
        isError: true,
        text: expect.stringContaining('not known whether'),
      });
    expect(arrived('lost')).toBe(1);
    // A server that keeps a copy of what it sends says so by that.
    const [sent] = mail.mails(ANNA).filter(({ raw }) => raw.includes('Subject: lost'));
    mail.put(OLGA, [{ raw: sent?.raw ?? '' }], 'Sent');
    const found = await inbox.call('send', input);
    expect(found.json).toMatchObject({ sent: true, note: expect.stringContaining('not sent again') });
    expect(arrived('lost')).toBe(1);
  });

  test('killed while it sends, it does not send again', async () => {
    const data = server.folder();
    const losing = await startMailGate(mail.smtpsPort);
    losing.loseAnswersAfter(60_000);
    const inbox = await start({ INBOX_SMTP_PORT: String(losing.port) }, data);
    const input = letter('killed', 'z '.repeat(45_000));
    const sending = inbox.call('send', input).catch((error: unknown) => error);
    await eventually(() => arrived('killed') > 0, 'the server took it');
    process.kill(inbox.pid, 'SIGKILL');
    await sending;
    await losing.close();
    const again = await start({}, data);
    expect(await again.call('send', input)).toMatchObject({
      isError: true,
      text: expect.stringContaining('another key'),
    });
    expect(arrived('killed')).toBe(1);
  });

  test('it ends when nobody listens any more, and when it is told to, also while it waits for the server', async () => {
    const [first, second] = [await start(), await start()];
    await first.call('search');
    const silent = await startMailGate(mail.imapsPort);
    silent.silence();
    const waiting = await start({ INBOX_IMAP_PORT: String(silent.port) });
    const call = waiting.call('search').catch(() => 'ended');
    await silent.untilConnected();
    const began = performance.now();
    process.kill(second.pid, 'SIGTERM');
    process.kill(waiting.pid, 'SIGTERM');
    await Promise.all([first.close(), first.ended, second.ended, waiting.ended]);
    expect(await call).toBe('ended');
    expect(performance.now() - began).toBeLessThan(whenBusy(3_000));
    await silent.close();
  });

  test('wrong settings are named, without their values', async () => {
    const wrong = { INBOX_IMAP_HOST: 'imap host', INBOX_SMTP_PORT: 'canary-port', INBOX_PASSWORD: '' };
    const failure = await start(wrong).catch((error: unknown) => String(error));
    for (const name of Object.keys(wrong)) expect(failure).toContain(name);
    expect(failure).not.toContain('canary');
  });

  test('the password stands in nothing that any of them ever said', () => {
    const said = started.map((inbox) => inbox.output()).join('\n');
    expect(said.length).toBeGreaterThan(1_000);
    const login = Buffer.from(`\0${OLGA}\0${PASSWORD}`).toString('base64');
    for (const form of [PASSWORD, Buffer.from(PASSWORD).toString('base64').slice(0, 24), login])
      expect(said).not.toContain(form);
    expect(said).not.toContain(dirname(mail.ca));
  });
});
