// How a mail is named: folder, UIDVALIDITY, UID. The server never gives a name to another mail. Pure.
import { Refused } from './failures.mjs';

/** @typedef {{ folder: string, uidValidity: bigint, uid: number }} MailId */

/** @param {string} folder @param {bigint} uidValidity @param {number} uid */
export const formatId = (folder, uidValidity, uid) => `${folder}:${uidValidity}:${uid}`;

/**
 * Throws Refused when it is none.
 * @param {string} id
 * @returns {MailId}
 */
export function parseId(id) {
  const [, folder = '', uidValidity = '', uid = ''] = /^(.{1,500}):(\d{1,10}):(\d{1,10})$/.exec(id) ?? [];
  const number = Number(uid);
  if (!folder || number < 1 || number > 0xff_ff_ff_ff)
    throw new Refused('That is not the id of a mail: take it from the answer of search, as it stands there.');
  return { folder, uidValidity: BigInt(uidValidity), uid: number };
}

/**
 * The ids of each folder.
 * @param {string[]} ids
 * @returns {Map<string, MailId[]>}
 */
export function byFolder(ids) {
  /** @type {Map<string, MailId[]>} */
  const folders = new Map();
  for (const id of new Set(ids)) {
    const parsed = parseId(id);
    folders.set(parsed.folder, [...(folders.get(parsed.folder) ?? []), parsed]);
  }
  return folders;
}

/**
 * Throws Refused when the folder was made anew since the id was given out: its UIDs mean other mails now.
 * @param {MailId} id
 * @param {bigint} uidValidity
 */
export function checkCurrent({ folder, uidValidity: known }, uidValidity) {
  if (known !== uidValidity)
    throw new Refused(`The folder ${folder} was made anew by the server and its ids changed: search again.`);
}
