// One mail as text, and one of its attachments. Nothing is marked as seen.
import { inFolder } from './connection.mjs';
import { Refused } from './failures.mjs';
import { checkCurrent, parseId } from './ids.mjs';
import { summaryOf } from './search.mjs';
import { htmlToText, oneLine, peopleOf } from './text.mjs';

/**
 * @typedef {import('imapflow').ImapFlow} ImapFlow
 * @typedef {import('imapflow').MessageStructureObject} Part
 * @typedef {import('./connection.mjs').Session} Session
 */

/** Of each text part; a book has less. */
const MAX_TEXT_BYTES = 2 * 1024 * 1024;
const MAX_TEXT_PARTS = 20;
const MAX_LISTED = 100;
/** As base64 it must fit into one line of the protocol. */
const MAX_ATTACHMENT_BYTES = 5 * 1024 * 1024;

/**
 * Opens the folder of this mail and fetches what is asked of it.
 * @template T
 * @param {Session} session
 * @param {string} id
 * @param {import('imapflow').FetchQueryObject} query
 * @param {(client: ImapFlow, mail: import('imapflow').FetchMessageObject) => Promise<T>} work
 * @returns {Promise<T>}
 */
export function withMail(session, id, query, work) {
  const named = parseId(id);
  return session.run((client) =>
    inFolder(client, named.folder, { change: false }, async ({ uidValidity }) => {
      checkCurrent(named, uidValidity);
      const mail = await client.fetchOne(String(named.uid), { ...query, uid: true }, { uid: true });
      if (!mail)
        throw new Refused(`There is no such mail in ${named.folder} any more: it was moved or deleted. Search again.`);
      return work(client, mail);
    }),
  );
}

/**
 * @param {Session} session
 * @param {{ id: string, offset: number, maxChars: number }} what
 * @returns {Promise<{ head: object, text: string }>}
 */
export function read(session, { id, offset, maxChars }) {
  const query = { envelope: true, flags: true, internalDate: true, size: true, bodyStructure: true, labels: true };
  return withMail(session, id, query, async (client, mail) => {
    const parts = sortParts(mail.bodyStructure);
    /** @type {string[]} */
    const texts = [];
    for (const part of parts.texts.slice(0, MAX_TEXT_PARTS)) texts.push(await textOf(client, mail.uid, part));
    const text = texts.filter(Boolean).join('\n\n');
    const end = Math.min(text.length, offset + maxChars);
    const { envelope = {} } = mail;
    const head = {
      id,
      ...summaryOf(mail),
      date: envelope.date ? oneLine(new Date(envelope.date).toJSON() ?? envelope.date, 60) : undefined,
      cc: someOf(peopleOf(envelope.cc)),
      replyTo: someOf(peopleOf(envelope.replyTo)),
      messageId: oneLine(envelope.messageId, 300),
      inReplyTo: envelope.inReplyTo ? oneLine(envelope.inReplyTo, 300) : undefined,
      attachments: parts.attachments.slice(0, MAX_LISTED).map(attachmentOf),
      ...(end < text.length ? { cutAt: end, chars: text.length } : {}),
    };
    return { head, text: text.slice(offset, end).toWellFormed() };
  });
}

/** @param {string[]} people */
const someOf = (people) => (people.length > 0 ? people : undefined);

/** @param {Part} part */
function attachmentOf(part) {
  const { parameters = {}, dispositionParameters = {}, envelope, size, type } = part;
  const name = dispositionParameters.filename ?? parameters.name ?? envelope?.subject;
  return { part: part.part ?? '1', name: name ? oneLine(name, 200) : undefined, type: mediaType(type), bytes: size };
}

/** As the mail says, when it can be one. @param {string | undefined} type */
const mediaType = (type = '') =>
  /^[\w.+-]{1,60}\/[\w.+-]{1,100}$/.test(type) ? type.toLowerCase() : 'application/octet-stream';

/**
 * Which parts are the mail's text and which are attachments.
 * @param {Part | undefined} part
 * @returns {{ texts: Part[], attachments: Part[] }}
 */
export function sortParts(part) {
  if (!part) return { texts: [], attachments: [] };
  const children = part.type.startsWith('multipart/') ? (part.childNodes ?? []) : undefined;
  if (!children) {
    const isText = ['text/plain', 'text/html'].includes(part.type) && part.disposition !== 'attachment';
    return isText ? { texts: [part], attachments: [] } : { texts: [], attachments: [part] };
  }
  const sorted = children.map(sortParts);
  const attachments = sorted.flatMap((one) => one.attachments);
  const texts = sorted.flatMap((one) => one.texts);
  // The same words in several forms: one of them is read. An empty plain one stands for nothing.
  const plain = texts.filter(({ type, size = 0 }) => type === 'text/plain' && size > 10);
  if (part.type !== 'multipart/alternative' || texts.length < 2) return { texts, attachments };
  return { texts: plain.length > 0 ? plain : texts.filter(({ type }) => type === 'text/html'), attachments };
}

/** @param {ImapFlow} client @param {number} uid @param {Part} part */
async function textOf(client, uid, part) {
  const bytes = await bytesOf(client, uid, part, MAX_TEXT_BYTES);
  const text = bytes.toString('utf8').replaceAll('\0', '').replaceAll('\r\n', '\n');
  return (part.type === 'text/html' ? htmlToText(text) : text).trim();
}

/** @param {ImapFlow} client @param {number} uid @param {Part} part @param {number} maxBytes */
async function bytesOf(client, uid, part, maxBytes) {
  const { content } = await client.download(String(uid), part.part ?? '1', { uid: true, maxBytes });
  if (!content) return Buffer.alloc(0);
  const chunks = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * @param {Session} session
 * @param {{ id: string, part: string }} what
 */
export function attachment(session, { id, part }) {
  return withMail(session, id, { bodyStructure: true }, async (client, mail) => {
    const found = sortParts(mail.bodyStructure).attachments.find((one) => (one.part ?? '1') === part);
    if (!found) throw new Refused(`This mail has no attachment ${part}: read lists them, each with its part.`);
    const bytes = await bytesOf(client, mail.uid, found, MAX_ATTACHMENT_BYTES + 1);
    if (bytes.length > MAX_ATTACHMENT_BYTES)
      throw new Refused(
        `It is larger than ${MAX_ATTACHMENT_BYTES / 1024 / 1024} MB: the owner opens it in their mail program.`,
      );
    return { ...attachmentOf(found), bytes: bytes.length, content: bytes };
  });
}
