// Finds mails, newest first, and lists the folders. Neither its memory nor an answer grows with the mailbox.
import { inFolder } from './connection.mjs';
import { isUnreadable, Refused } from './failures.mjs';
import { checkCurrent, formatId, parseId } from './ids.mjs';
import { oneLine, peopleOf } from './text.mjs';

/**
 * @typedef {import('imapflow').ImapFlow} ImapFlow
 * @typedef {import('./connection.mjs').Session} Session
 * @typedef {import('zod').infer<typeof import('./tools.mjs').searchQuery>} SearchQuery
 */

/** Mails the server looks through at a time; each further time twice as many. */
const FIRST_WINDOW = 5_000;
const MAX_WINDOW = 80_000;
/** After this the answer is what was found so far, with a cursor. */
const SEARCH_MS = 30_000;
/** With more folders, counting the mails of each takes too long. */
const MAX_COUNTED_FOLDERS = 100;
const MAX_FOLDERS = 1_000;

/**
 * @param {Session} session
 * @param {SearchQuery} query
 */
export async function search(session, query) {
  const { uidValidity, uids, cursor } = await session.run((client) =>
    inFolder(client, query.folder, { change: false }, (mailbox) => find(client, mailbox, query)),
  );
  const mails = await summaries(session, query.folder, uidValidity, uids);
  return { folder: query.folder, mails, ...(cursor ? { cursor } : {}) };
}

/**
 * UIDs from the newest down; `cursor` when there may be more.
 * @param {ImapFlow} client
 * @param {import('imapflow').MailboxObject} mailbox
 * @param {SearchQuery} query
 * @returns {Promise<{ uidValidity: bigint, uids: number[], cursor?: string }>}
 */
async function find(client, { exists, uidValidity }, query) {
  const until = Date.now() + SEARCH_MS;
  const below = query.cursor ? cursorUid(query.cursor, query.folder, uidValidity) : undefined;
  if (below === 1) return { uidValidity, uids: [] };
  const criteria = { ...criteriaOf(query), ...(below ? { uid: `1:${below - 1}` } : {}) };
  /** @type {Set<number>} */
  const found = new Set();
  let window = FIRST_WINDOW;
  let newest = exists;
  while (newest > 0) {
    const oldest = Math.max(1, newest - window + 1);
    for (const uid of await searchWindow(client, criteria, `${oldest}:${newest}`)) found.add(uid);
    const uids = [...found].slice(0, query.limit);
    const isLate = oldest > 1 && Date.now() > until;
    if (found.size > query.limit || isLate) {
      const last = found.size > query.limit ? uids.at(-1) : (await searchWindow(client, {}, `${oldest}`))[0];
      return { uidValidity, uids, cursor: formatId(query.folder, uidValidity, last ?? 1) };
    }
    newest = oldest - 1;
    window = Math.min(2 * window, MAX_WINDOW);
  }
  return { uidValidity, uids: [...found] };
}

/**
 * UIDs, the newest first, of the mails at these places of the folder that fit.
 * @param {ImapFlow} client
 * @param {import('imapflow').SearchObject} criteria
 * @param {string} seq
 */
async function searchWindow(client, criteria, seq) {
  const uids = await client.search({ ...criteria, seq }, { uid: true });
  if (!Array.isArray(uids)) throw new Refused('The mail server refuses this search: try it with fewer or other words.');
  return uids.sort((a, b) => b - a);
}

/** @param {string} cursor @param {string} folder @param {bigint} uidValidity */
function cursorUid(cursor, folder, uidValidity) {
  const id = parseId(cursor);
  if (id.folder !== folder) throw new Refused('That cursor belongs to a search in another folder.');
  checkCurrent(id, uidValidity);
  return id.uid;
}

/** @param {SearchQuery} query @returns {import('imapflow').SearchObject} */
function criteriaOf({ from, to, subject, text, since, before, unseen, flagged }) {
  return {
    ...(from ? { from } : {}),
    ...(to ? { to } : {}),
    ...(subject ? { subject } : {}),
    ...(text ? { text } : {}),
    ...(since ? { since } : {}),
    ...(before ? { before } : {}),
    ...(unseen === undefined ? {} : { seen: !unseen }),
    ...(flagged === undefined ? {} : { flagged }),
  };
}

/**
 * What is told of each mail. One that cannot be read at all does not hide the others.
 * @param {Session} session
 * @param {string} folder
 * @param {bigint} uidValidity
 * @param {number[]} uids
 */
async function summaries(session, folder, uidValidity, uids) {
  if (uids.length === 0) return [];
  const fetched = await fetchSummaries(session, folder, uidValidity, uids).catch(async (error) => {
    if (!isUnreadable(error)) throw error;
    const mails = new Map();
    for (const uid of uids) {
      const one = await fetchSummaries(session, folder, uidValidity, [uid]).catch((cause) => {
        if (!isUnreadable(cause)) throw cause;
        return new Map([[uid, { id: formatId(folder, uidValidity, uid), problem: 'cannot be read here' }]]);
      });
      for (const [key, mail] of one) mails.set(key, mail);
    }
    return mails;
  });
  // Gone meanwhile.
  return uids.flatMap((uid) => fetched.get(uid) ?? []);
}

/**
 * @param {Session} session
 * @param {string} folder
 * @param {bigint} uidValidity
 * @param {number[]} uids
 */
function fetchSummaries(session, folder, uidValidity, uids) {
  return session.run((client) =>
    inFolder(client, folder, { change: false }, async (mailbox) => {
      checkCurrent({ folder, uidValidity, uid: 1 }, mailbox.uidValidity);
      const query = { uid: true, envelope: true, flags: true, internalDate: true, size: true, labels: true };
      const mails = new Map();
      for await (const mail of client.fetch(uids.join(','), query, { uid: true }))
        mails.set(mail.uid, { id: formatId(folder, uidValidity, mail.uid), ...summaryOf(mail) });
      return mails;
    }),
  );
}

/** @param {import('imapflow').FetchMessageObject} mail */
export function summaryOf({ envelope = {}, flags, labels, internalDate, size }) {
  return {
    received: internalDate ? new Date(internalDate).toISOString() : undefined,
    from: peopleOf(envelope.from),
    to: peopleOf(envelope.to),
    subject: oneLine(envelope.subject, 300),
    bytes: size,
    labels: [...(flags ?? []), ...(labels ?? [])].slice(0, 50).map((label) => oneLine(label, 100)),
  };
}

/** @param {Session} session */
export function folders(session) {
  return session.run(async (client) => {
    const list = await client.list();
    const shown = list
      .slice(0, MAX_FOLDERS)
      .filter(({ flags }) => !flags.has('\\Noselect') && !flags.has('\\NonExistent'));
    const answer = [];
    for (const { path, specialUse } of shown) {
      const status =
        shown.length > MAX_COUNTED_FOLDERS ? false : await client.status(path, { messages: true, unseen: true });
      const counts = status ? { mails: status.messages, unseen: status.unseen } : {};
      answer.push({ folder: path, ...(specialUse ? { use: specialUse.slice(1) } : {}), ...counts });
    }
    return { folders: answer, ...(list.length > MAX_FOLDERS ? { more: list.length - MAX_FOLDERS } : {}) };
  });
}
