// One connection to the IMAP server, opened when it is needed, used by one call at a time, closed when nobody needed it for a while.
import { ImapFlow } from 'imapflow';
import { isLoginRefused, isLost, Refused } from './failures.mjs';

/**
 * @typedef {import('./settings.mjs').Settings} Settings
 * @typedef {ReturnType<typeof createSession>} Session
 */

/** Servers close idle connections after 30 minutes, routers earlier. */
const IDLE_MS = 60_000;
/** Without a byte. A search in a big mailbox without an index takes its time. */
const ANSWER_MS = 30_000;
const CONNECT_MS = 15_000;
/** Many servers lock out who tries a wrong password too often. */
const LOGIN_AGAIN_MS = 60_000;
const MAX_BYTES = 32 * 1024 * 1024;

/** @param {Settings} settings */
export function createSession(settings) {
  /** @type {ImapFlow | undefined} */
  let open;
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  /** @type {NodeJS.Timeout | undefined} */
  let idle;
  /** @type {{ error: unknown, until: number } | undefined} */
  let refused;

  const close = () => {
    open?.close();
    open = undefined;
  };

  async function connected() {
    if (open?.usable) return open;
    close();
    if (refused && Date.now() < refused.until) throw refused.error;
    const client = new ImapFlow(optionsOf(settings));
    // What it says is also told to the call that is waiting; without a listener it would end the program.
    client.on('error', () => client.close());
    try {
      await client.connect();
    } catch (error) {
      client.close();
      if (isLoginRefused(error)) refused = { error, until: Date.now() + LOGIN_AGAIN_MS };
      throw error;
    }
    open = client;
    return client;
  }

  /**
   * An old connection may have ended without a word; the second try has a new one.
   * @template T @param {(client: ImapFlow) => Promise<T>} work @returns {Promise<T>}
   */
  async function twice(work) {
    const isOld = open?.usable === true;
    const client = await connected();
    try {
      return await work(client);
    } catch (error) {
      if (!isOld || !(isLost(error) || !client.usable)) throw error;
    }
    return work(await connected());
  }

  return {
    /**
     * Calls `work` when all calls before it are done. It must bear being called twice.
     * @template T @param {(client: ImapFlow) => Promise<T>} work @returns {Promise<T>}
     */
    run(work) {
      const turn = last.then(async () => {
        clearTimeout(idle);
        try {
          return await twice(work);
        } finally {
          idle = setTimeout(close, IDLE_MS);
          idle.unref();
        }
      });
      last = turn.catch(() => undefined);
      return turn;
    },
    /** Resolves when no call is at work. */
    idle: () => last,
    close,
  };
}

/** @param {Settings} settings @returns {import('imapflow').ImapFlowOptions} */
function optionsOf({ imap, user, password }) {
  return {
    host: imap.host,
    port: imap.port,
    secure: !imap.startTls,
    ...(imap.startTls ? { doSTARTTLS: true } : {}),
    auth: { user, pass: password },
    logger: false,
    disableAutoIdle: true,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: ANSWER_MS,
    maxLineLength: MAX_BYTES,
    maxLiteralSize: MAX_BYTES,
    maxResponseSize: 2 * MAX_BYTES,
    clientInfo: { name: 'pinch-inbox' },
  };
}

/**
 * Opens a folder for `work`; read-only unless it is to be changed, so that nothing is marked as seen.
 * @template T
 * @param {ImapFlow} client
 * @param {string} folder
 * @param {{ change: boolean }} how
 * @param {(mailbox: import('imapflow').MailboxObject) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function inFolder(client, folder, { change }, work) {
  const lock = await client.getMailboxLock(folder, { readOnly: !change });
  try {
    // A folder that was open already does not know of what came since.
    await client.noop();
    if (!client.mailbox) throw new Refused(`The folder ${folder} cannot be opened.`);
    return await work(client.mailbox);
  } finally {
    lock.release();
  }
}

/**
 * The folder with this use, such as `\Drafts`. Throws Refused when there is none.
 * @param {ImapFlow} client
 * @param {'\\Drafts' | '\\Sent' | '\\Trash'} use
 */
export async function specialFolder(client, use) {
  const found = (await client.list()).find(({ specialUse }) => specialUse === use);
  if (found) return found.path;
  throw new Refused(
    `The mailbox has no folder for ${use.slice(1)}: the owner makes one in their mail program, named ${use.slice(1)}.`,
  );
}
