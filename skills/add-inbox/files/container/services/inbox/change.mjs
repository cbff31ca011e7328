// Changes of mails that are there: labels, another folder, the trash.
import { inFolder, specialFolder } from './connection.mjs';
import { Refused } from './failures.mjs';
import { byFolder, checkCurrent, formatId } from './ids.mjs';

/**
 * @typedef {import('imapflow').ImapFlow} ImapFlow
 * @typedef {import('./connection.mjs').Session} Session
 * @typedef {import('./ids.mjs').MailId} MailId
 */

/** @type {Record<string, string>} */
const SYSTEM_FLAGS = { seen: '\\Seen', flagged: '\\Flagged', answered: '\\Answered' };
const KEYWORD = /^[A-Za-z0-9$_.+-]{1,60}$/;

/**
 * @param {Session} session
 * @param {{ ids: string[], add: string[], remove: string[] }} what
 */
export function label(session, { ids, add, remove }) {
  if (add.length + remove.length === 0) throw new Refused('Name at least one label to add or to remove.');
  return eachFolder(session, ids, async (client, mailbox, range) => {
    const hasGmailLabels = client.capabilities.has('X-GM-EXT-1');
    for (const [change, names] of /** @type {const} */ ([
      ['add', add],
      ['remove', remove],
    ])) {
      for (const { name, useLabels } of names.map((one) => asLabel(one, hasGmailLabels))) {
        if (change === 'add' && !useLabels) checkAllowed(mailbox, name);
        const store = change === 'add' ? client.messageFlagsAdd : client.messageFlagsRemove;
        const done = await store.call(client, range, [name], { uid: true, silent: true, useLabels });
        if (!done) throw new Refused(`The mail server refuses the label ${name} in this folder.`);
      }
    }
    return {};
  });
}

/** @param {string} name @param {boolean} hasGmailLabels */
function asLabel(name, hasGmailLabels) {
  const flag = SYSTEM_FLAGS[name.toLowerCase()];
  if (flag) return { name: flag, useLabels: false };
  // What begins with \ deletes at worst, or puts a mail into another folder.
  if (name.startsWith('\\'))
    throw new Refused('Labels that begin with \\ are not set here: use seen, flagged or answered.');
  if (hasGmailLabels) return { name, useLabels: true };
  if (KEYWORD.test(name)) return { name, useLabels: false };
  throw new Refused(`${name} cannot be a label on this server: letters, digits and $ _ . + - only.`);
}

/** @param {import('imapflow').MailboxObject} mailbox @param {string} name */
function checkAllowed({ permanentFlags }, name) {
  if (permanentFlags && !permanentFlags.has('\\*') && !permanentFlags.has(name))
    throw new Refused(`This server keeps no label ${name} here; it keeps ${[...permanentFlags].join(', ')}.`);
}

/**
 * @param {Session} session
 * @param {{ ids: string[], folder: string }} what
 */
export const move = (session, { ids, folder }) =>
  eachFolder(session, ids, async (client, mailbox, range) => {
    if (mailbox.path === folder) throw new Refused(`These mails are in ${folder} already.`);
    return moveTo(client, range, folder);
  });

/**
 * Into the trash; what lies there already is gone for good.
 * @param {Session} session
 * @param {{ ids: string[] }} what
 */
export const remove = (session, { ids }) =>
  eachFolder(session, ids, async (client, mailbox, range) => {
    const trash = await specialFolder(client, '\\Trash');
    if (mailbox.path !== trash) return moveTo(client, range, trash);
    // A plain EXPUNGE takes away whatever anybody marked as deleted.
    if (!client.capabilities.has('UIDPLUS'))
      throw new Refused(
        'This server cannot delete single mails for good: the owner empties the trash in their mail program.',
      );
    if (!(await client.messageDelete(range, { uid: true })))
      throw new Refused('The mail server refuses to delete these mails.');
    return { deletedForGood: true };
  });

/** @param {ImapFlow} client @param {string} range @param {string} folder */
async function moveTo(client, range, folder) {
  if (!client.capabilities.has('MOVE') && !client.capabilities.has('UIDPLUS'))
    throw new Refused('This server cannot move single mails safely: the owner moves them in their mail program.');
  const moved = await client.messageMove(range, folder, { uid: true });
  if (!moved)
    throw new Refused(
      `The mail server cannot move mails into ${folder}: the tool folders lists the folders there are.`,
    );
  const { uidMap, uidValidity } = moved;
  const names = uidMap && uidValidity ? [...uidMap.values()].map((uid) => formatId(folder, uidValidity, uid)) : [];
  return { movedTo: folder, ids: names };
}

/**
 * Calls `work` with the mails of each folder that are still there, and says what became of them.
 * @param {Session} session
 * @param {string[]} ids
 * @param {(client: ImapFlow, mailbox: import('imapflow').MailboxObject, range: string) => Promise<object>} work
 */
async function eachFolder(session, ids, work) {
  const done = [];
  for (const [folder, named] of byFolder(ids)) {
    done.push(
      await session.run((client) =>
        inFolder(client, folder, { change: true }, async (mailbox) => {
          for (const id of named) checkCurrent(id, mailbox.uidValidity);
          const wanted = named.map(({ uid }) => uid);
          const present = await client.search({ uid: wanted.join(',') }, { uid: true });
          const uids = Array.isArray(present) ? present : [];
          if (uids.length === 0) throw new Refused(`None of these mails is in ${folder} any more. Search again.`);
          const result = await work(client, mailbox, uids.join(','));
          const missing = wanted
            .filter((uid) => !uids.includes(uid))
            .map((uid) => formatId(folder, mailbox.uidValidity, uid));
          return { folder, mails: uids.length, ...result, ...(missing.length > 0 ? { notThere: missing } : {}) };
        }),
      ),
    );
  }
  return { done };
}
