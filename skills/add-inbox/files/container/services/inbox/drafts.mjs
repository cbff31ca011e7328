// Puts a mail into the folder for drafts, once per key. Nothing leaves the mailbox by that.

import { bytesOf, compose, told } from './compose.mjs';
import { inFolder, specialFolder } from './connection.mjs';
import { formatId } from './ids.mjs';

/**
 * @typedef {import('imapflow').ImapFlow} ImapFlow
 * @typedef {import('./connection.mjs').Session} Session
 */

/**
 * @param {Session} session
 * @param {import('./settings.mjs').Settings} settings
 * @param {import('./compose.mjs').MailText} given
 */
export async function draft(session, settings, given) {
  const mail = await compose(session, settings, 'draft', given);
  const bytes = await bytesOf(mail, settings, { keepBcc: true });
  return session.run(async (client) => {
    const folder = await specialFolder(client, '\\Drafts');
    const earlier = await findByMessageId(client, folder, mail.messageId);
    if (earlier) return { id: earlier, folder, note: 'A draft with this key is there already; nothing was written.' };
    const id = await append(client, folder, bytes, ['\\Draft', '\\Seen'], mail.messageId);
    return { id, folder, ...told(mail) };
  });
}

/**
 * Id of the mail with this Message-ID, the newest when there are several.
 * @param {ImapFlow} client
 * @param {string} folder
 * @param {string} messageId
 */
export function findByMessageId(client, folder, messageId) {
  return inFolder(client, folder, { change: false }, async ({ uidValidity }) => {
    const uids = await client.search({ header: { 'message-id': messageId } }, { uid: true });
    const uid = Array.isArray(uids) ? uids.sort((a, b) => a - b).at(-1) : undefined;
    return uid ? formatId(folder, uidValidity, uid) : undefined;
  });
}

/**
 * Stores a mail and returns its id.
 * @param {ImapFlow} client
 * @param {string} folder
 * @param {Buffer} bytes
 * @param {string[]} flags
 * @param {string} messageId
 */
export async function append(client, folder, bytes, flags, messageId) {
  const { uid, uidValidity } = (await client.append(folder, bytes, flags)) || {};
  return uid && uidValidity ? formatId(folder, uidValidity, uid) : findByMessageId(client, folder, messageId);
}
