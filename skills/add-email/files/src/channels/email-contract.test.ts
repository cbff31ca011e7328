// The mail channel keeps the contract of every channel, with real mail servers behind it.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, test } from 'vitest';
import { eventually } from '../../test/e2e/harness.js';
import { createStorage } from '../../test/fakes/channel-host.js';
import { startMailGate } from '../../test/fakes/mail-gate.js';
import {
  AUTH_SERVER,
  type MailServer,
  mailServerProblem,
  PASSWORD,
  startMailServer,
} from '../../test/fakes/mail-server.js';
import { email } from './email.js';
import { type Platform, testReceivingContract } from './testing/contract.js';

let server: MailServer;
let stop = async (): Promise<void> => undefined;

async function mailPlatform(): Promise<Platform> {
  const name = randomUUID().slice(0, 8);
  const [pinch, anna] = [`pinch-${name}@pinch.test`, `anna-${name}@people.test`];
  for (const address of [pinch, anna]) server.add(address);
  const [imap, smtp] = [await startMailGate(server.imapPort), await startMailGate(server.smtpPort)];
  // What a channel stores outlives the process.
  const storage = createStorage();
  let said: Promise<unknown> = Promise.resolve();
  return {
    create(deps) {
      deps.storage = storage;
      const channel = email.create(
        email.env.parse({
          EMAIL_ADDRESS: pinch,
          EMAIL_PASSWORD: PASSWORD,
          EMAIL_IMAP: `imap://127.0.0.1:${imap.port}`,
          EMAIL_SMTP: `smtp://127.0.0.1:${smtp.port}`,
          EMAIL_AUTH_SERVER: AUTH_SERVER,
        }),
        deps,
      );
      return (
        channel && {
          ...channel,
          // Accepted is not delivered: the person reads it a moment later.
          async send(part) {
            const before = server.mails(anna).length;
            const sent = await channel.send(part);
            await eventually(() => server.mails(anna).length > before || undefined, 'the mail arrives');
            return sent;
          },
        }
      );
    },
    address: anna,
    says(text) {
      const raw = `From: Anna <${anna}>\nTo: ${pinch}\nMessage-ID: <${randomUUID()}@people.test>\nDate: ${new Date().toUTCString()}\n\n${text}\n`;
      said = said.then(() => server.submit({ raw, login: anna, to: pinch }));
      return said;
    },
    read: () => server.mails(anna).map(({ raw }) => plainText(raw)),
    unacknowledged: () => server.mails(pinch).filter(({ seen }) => !seen).length,
    offline(isOffline) {
      imap.offline(isOffline);
      smtp.offline(isOffline);
    },
    cut: imap.cut,
    isBackOff: (ms) => ms !== 700,
    hangNextSend: smtp.silence,
    untilSendArrived: smtp.untilConnected,
    secrets: [PASSWORD, Buffer.from(PASSWORD).toString('base64')],
    async close() {
      await said;
      await Promise.all([imap.close(), smtp.close()]);
    },
  };
}

/** The text/plain part of a mail, decoded. */
function plainText(raw: string): string {
  const [, headers = '', body = ''] = /Content-Type: text\/plain([\s\S]*?)\r?\n\r?\n([\s\S]*?)\r?\n--/.exec(raw) ?? [];
  if (/base64/.test(headers)) return Buffer.from(body, 'base64').toString('utf8');
  if (!/quoted-printable/.test(headers)) return body.replaceAll('\r\n', '\n');
  const bytes = body
    .replace(/=\r?\n/g, '')
    .replace(/=([\dA-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8').replaceAll('\r\n', '\n');
}

const problem = mailServerProblem();
if (problem) console.log(`skipped: ${problem}`);
if (problem) test.skip(`the mail channel against real servers: ${problem}`, () => undefined);
else {
  beforeAll(async () => {
    server = await startMailServer();
    stop = server.close;
  });
  afterAll(() => stop());
  testReceivingContract('email', mailPlatform);
}
