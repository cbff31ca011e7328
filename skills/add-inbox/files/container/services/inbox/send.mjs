// Sends a mail, at most once per key: what is not known to have failed is never tried again.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { bytesOf, compose, messageIdOf, told } from './compose.mjs';
import { specialFolder } from './connection.mjs';
import { append, findByMessageId } from './drafts.mjs';
import { describe, Refused } from './failures.mjs';

/**
 * @typedef {import('./settings.mjs').Settings} Settings
 * @typedef {import('./connection.mjs').Session} Session
 * @typedef {import('./journal.mjs').Journal} Journal
 * @typedef {import('./compose.mjs').MailText} MailText
 * @typedef {{ settings: Settings, session: Session, journal: Journal }} SenderDeps
 * @typedef {ReturnType<typeof createSender>} Sender
 */

const CONNECT_MS = 15_000;
const ANSWER_MS = 60_000;
const UNKNOWN =
  'It is not known whether this mail went out: the connection or this program ended while it was handed over. It is not sent again by itself. Look into the folder for sent mails, or ask whoever should have got it; to send it again, use another key.';

/** @param {SenderDeps} deps */
export function createSender(deps) {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  return {
    /** One mail at a time: of two calls with one key the second finds what the first one did. @param {MailText} given */
    send(given) {
      const turn = last.then(() => sendOnce(deps, given));
      last = turn.catch(() => undefined);
      return turn;
    },
    /** Resolves when no mail is on its way. */
    idle: () => last,
  };
}

/** @param {SenderDeps} deps @param {MailText} given */
async function sendOnce({ settings, session, journal }, given) {
  const { key, ...content } = given;
  const hash = createHash('sha256')
    .update(JSON.stringify(content, Object.keys(content).sort()))
    .digest('hex');
  const earlier = journal.get(key);
  if (earlier) return answerOf({ session, journal, earlier, hash, key, messageId: messageIdOf('send', key, settings) });
  const mail = await compose(session, settings, 'send', given);
  const recipients = [...mail.to, ...mail.cc, ...mail.bcc].map(({ address }) => address);
  const bytes = await bytesOf(mail, settings, { keepBcc: false });
  const refused = await handOver(settings, bytes, recipients, {
    before: () => journal.put(key, { state: 'sending', hash, at: new Date().toISOString() }),
    failed: () => journal.forget(key),
  });
  journal.put(key, { state: 'sent', hash, at: new Date().toISOString() });
  const copy = await keepCopy(session, mail.messageId, await bytesOf(mail, settings, { keepBcc: true }));
  return { sent: true, ...told(mail), ...copy, ...(refused.length > 0 ? { refusedByServer: refused } : {}) };
}

/**
 * What is known of a mail with this key.
 * @param {{ session: Session, journal: Journal, earlier: import('./journal.mjs').Entry | 'unreadable', hash: string, key: string, messageId: string }} what
 */
async function answerOf({ session, journal, earlier, hash, key, messageId }) {
  if (earlier !== 'unreadable' && earlier.hash !== hash)
    throw new Refused('This key was used for another mail, and nothing was sent: use a key of its own for each mail.');
  const isSent = earlier !== 'unreadable' && earlier.state === 'sent';
  if (!isSent && !(await copyOf(session, messageId))) throw new Refused(UNKNOWN);
  if (!isSent) journal.put(key, { state: 'sent', hash, at: new Date().toISOString() });
  return { sent: true, messageId, note: 'The mail with this key was sent already; it was not sent again.' };
}

/** Id of the sent mail in the mailbox. @param {Session} session @param {string} messageId */
const copyOf = (session, messageId) =>
  session.run(async (client) => findByMessageId(client, await specialFolder(client, '\\Sent'), messageId));

/**
 * Puts the mail among the sent ones unless the server did. The mail is out, so a failure is told and is none of the call's.
 * @param {Session} session
 * @param {string} messageId
 * @param {Buffer} bytes
 */
async function keepCopy(session, messageId, bytes) {
  try {
    const id = await session.run(async (client) => {
      // Gmail does it, a moment later.
      if (client.capabilities.has('X-GM-EXT-1')) return undefined;
      const folder = await specialFolder(client, '\\Sent');
      return (await findByMessageId(client, folder, messageId)) ?? append(client, folder, bytes, ['\\Seen'], messageId);
    });
    return { id };
  } catch (error) {
    return { note: `The mail was sent, but no copy of it could be kept: ${describe(error)}` };
  }
}

/**
 * Hands the mail to the SMTP server and returns the recipients that it refused. Calls `before` when everything but the mail itself was
 * agreed on, `failed` when it was certainly not taken after that.
 * @param {Settings} settings
 * @param {Buffer} bytes
 * @param {string[]} recipients
 * @param {{ before: () => void, failed: () => void }} steps
 */
async function handOver(settings, bytes, recipients, { before, failed }) {
  const connection = await logIn(settings);
  let isBegun = false;
  // Read once the server is ready to take the mail, after it accepted sender and recipients.
  const message = new Readable({
    read() {
      isBegun = true;
      this.push(bytes);
      this.push(null);
    },
  });
  try {
    before();
    const { rejected } = await new Promise((resolve, reject) => {
      connection.once('error', reject);
      const envelope = { from: settings.from.address, to: recipients, size: bytes.length };
      connection.send(envelope, message, (error, result) => (error ? reject(error) : resolve(result)));
    });
    return rejected;
  } catch (error) {
    if (isBegun && !(error instanceof Error && 'responseCode' in error && error.responseCode))
      throw new Refused(UNKNOWN);
    failed();
    throw error;
  } finally {
    connection.quit();
  }
}

/** @param {Settings} settings @returns {Promise<SMTPConnection>} */
async function logIn({ smtp, user, password }) {
  const connection = new SMTPConnection({
    host: smtp.host,
    port: smtp.port,
    secure: !smtp.startTls,
    requireTLS: smtp.startTls,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: ANSWER_MS,
    // Not every server takes a name that it cannot look up.
    name: '[127.0.0.1]',
  });
  try {
    await new Promise((resolve, reject) => {
      connection.once('error', reject);
      connection.connect((error) => (error ? reject(error) : resolve(undefined)));
    });
    await new Promise((resolve, reject) => {
      connection.once('error', reject);
      connection.login({ user, pass: password, credentials: { user, pass: password } }, (error) =>
        error ? reject(error) : resolve(undefined),
      );
    });
  } catch (error) {
    connection.close();
    throw error;
  }
  // Later errors are those of the mail; one after the goodbye is nobody's.
  connection.on('error', () => undefined);
  return connection;
}
