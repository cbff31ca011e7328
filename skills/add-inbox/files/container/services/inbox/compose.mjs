// A mail of the owner's as bytes: plain text, checked addresses, in the thread of the mail it answers.
import { createHash } from 'node:crypto';
import MailComposer from 'nodemailer/lib/mail-composer';
import { Refused } from './failures.mjs';
import { withMail } from './read.mjs';
import { parseAddress } from './settings.mjs';
import { oneLine } from './text.mjs';

/**
 * @typedef {import('./settings.mjs').Settings} Settings
 * @typedef {import('./settings.mjs').Address} Address
 * @typedef {import('zod').infer<typeof import('./tools.mjs').draftText>} MailText
 * @typedef {{ to: Address[], cc: Address[], bcc: Address[], subject: string, text: string, messageId: string,
 *   inReplyTo?: string, references?: string[] }} Mail
 */

const MAX_REFERENCES = 20;

/**
 * The same key always has the same Message-ID, by which a draft or a sent mail is found again.
 * @param {'draft' | 'send'} kind
 * @param {string} key
 * @param {Settings} settings
 */
export function messageIdOf(kind, key, { from }) {
  const name = createHash('sha256').update(`${kind}\0${from.address}\0${key}`).digest('hex').slice(0, 40);
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1);
  return `<${name}@${/^[A-Za-z0-9.-]+$/.test(domain) ? domain : 'localhost'}>`;
}

/**
 * What is to be written. Throws Refused when an address is none.
 * @param {import('./connection.mjs').Session} session
 * @param {Settings} settings
 * @param {'draft' | 'send'} kind
 * @param {MailText} given
 * @returns {Promise<Mail>}
 */
export async function compose(session, settings, kind, given) {
  const thread = given.inReplyTo ? await threadOf(session, given.inReplyTo) : undefined;
  const subject = given.subject ?? thread?.subject ?? '';
  if (/[\p{Cc}\u2028\u2029]/u.test(subject)) throw new Refused('A subject is one line without control characters.');
  return {
    to: given.to ? given.to.map(person) : (thread?.to ?? []),
    cc: (given.cc ?? []).map(person),
    bcc: (given.bcc ?? []).map(person),
    subject,
    text: given.text.replace(/\r\n?/g, '\n').replaceAll('\0', ''),
    messageId: messageIdOf(kind, given.key, settings),
    ...(thread ? { inReplyTo: thread.inReplyTo, references: thread.references } : {}),
  };
}

/** @param {string} text @returns {Address} */
function person(text) {
  const address = parseAddress(text);
  if (address) return address;
  throw new Refused(
    `${oneLine(text, 200)} is not one mail address: write anna@example.org or Anna <anna@example.org>, each by itself.`,
  );
}

/**
 * What an answer to this mail takes from it. All of it was written by a stranger.
 * @param {import('./connection.mjs').Session} session
 * @param {string} id
 */
function threadOf(session, id) {
  return withMail(session, id, { envelope: true, headers: ['references'] }, async (_, { envelope = {}, headers }) => {
    const messageIds = (/** @type {unknown} */ text) => String(text ?? '').match(/<[^<>\s\p{Cc}]{1,300}>/gu) ?? [];
    const [own] = messageIds(envelope.messageId);
    const earlier = messageIds(headers?.toString('latin1').replace(/\r?\n[ \t]+/g, ' '));
    const subject = oneLine(envelope.subject, 300);
    const sender = envelope.replyTo?.length ? envelope.replyTo : (envelope.from ?? []);
    return {
      to: sender.slice(0, 10).flatMap(({ name, address }) => {
        const parsed = parseAddress(address ?? '');
        return parsed ? [{ ...parsed, name: oneLine(name, 100) }] : [];
      }),
      subject: /^re:/i.test(subject) ? subject : `Re: ${subject}`,
      ...(own ? { inReplyTo: own } : {}),
      references: [...new Set([...earlier, ...(own ? [own] : [])])].slice(-MAX_REFERENCES),
    };
  });
}

/**
 * The mail as it is stored or sent; only the owner's own copy says who got it as Bcc.
 * @param {Mail} mail
 * @param {Settings} settings
 * @param {{ keepBcc: boolean }} how
 * @returns {Promise<Buffer>}
 */
export async function bytesOf(mail, { from }, { keepBcc }) {
  const composer = new MailComposer({ ...mail, from, disableFileAccess: true, disableUrlAccess: true });
  const node = composer.compile();
  node.keepBcc = keepBcc;
  return node.build();
}

/** For the answer to whoever had it written. @param {Mail} mail */
export function told({ to, cc, bcc, subject, messageId }) {
  const names = (/** @type {Address[]} */ people) =>
    people.map(({ name, address }) => (name ? `${name} <${address}>` : address));
  return { to: names(to), cc: names(cc), bcc: names(bcc), subject, messageId };
}
