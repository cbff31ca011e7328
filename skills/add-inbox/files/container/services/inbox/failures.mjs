// What went wrong, in words that say what to do next. Pure. The caller takes the password out of them.
import { oneLine } from './text.mjs';

/** The call cannot be carried out, and the text says why. */
export class Refused extends Error {}

/**
 * What the libraries put into their errors.
 * @typedef {{ code?: string, originalCode?: string, responseCode?: number, response?: unknown, responseText?: string, responseStatus?: string,
 *   serverResponseCode?: string, authenticationFailed?: boolean, mailboxMissing?: boolean, message?: string }} Failure
 */

const ASK_OWNER = 'Only the owner can correct this; tell them.';

/** @param {unknown} error @returns {Failure} */
const detailsOf = (error) => (error instanceof Error ? error : {});

/** Whether the connection ended under a call: on a new one it may succeed. @param {unknown} error */
export const isLost = (error) =>
  ['NoConnection', 'EConnectionClosed', 'StateLogout', 'ECONNRESET', 'EPIPE'].includes(detailsOf(error).code ?? '');

/** Whether the library could not read what a hostile mail made the server answer. @param {unknown} error */
export const isUnreadable = (error) =>
  /^(?:ParserError|LiteralTooLarge|LineTooLarge|ResponseTooLarge|TooMany|MAX_IMAP_NESTING)/.test(
    detailsOf(error).code ?? '',
  );

/** Whether the user name or the password is refused, for now. @param {unknown} error */
export function isLoginRefused(error) {
  const { code, authenticationFailed, serverResponseCode = '' } = detailsOf(error);
  // RFC 5530: a server that cannot look passwords up at the moment says so.
  return (
    code === 'EAUTH' ||
    (authenticationFailed === true && !['UNAVAILABLE', 'LIMIT', 'INUSE'].includes(serverResponseCode))
  );
}

/** @param {unknown} error @returns {string} */
export function describe(error) {
  if (error instanceof Refused) return error.message;
  const failure = detailsOf(error);
  if (isLoginRefused(error))
    return `The mail server refuses the user name or the password: INBOX_PASSWORD in .env must be the mailbox's (an app password at many providers), and INBOX_USER in services.json its user name. Then Pinch is started again. ${ASK_OWNER}`;
  if (failure.mailboxMissing) return 'There is no such folder: the tool folders lists those there are.';
  if (isUnreadable(error))
    return 'This mail is built so oddly that it cannot be read here. The owner can open it in their mail program.';
  return networkTrouble(failure) ?? serversWords(failure) ?? unexpected(failure);
}

/** @param {Failure} failure @returns {string | undefined} */
function networkTrouble({ code = '', originalCode = code, responseCode }) {
  if (responseCode) return undefined;
  if (['ETLS', 'MissingServerExtension'].includes(code) || /SSL_WRONG|SSL_PACKET|EPROTO/.test(originalCode))
    return `The mail server offers no TLS on this port, so nothing was sent to it: use 993 for IMAP and 465 or 587 for SMTP. ${ASK_OWNER}`;
  if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO|SSL/.test(originalCode))
    return `The certificate of the mail server is not trusted (${originalCode}), so nothing was sent to it. A server with an own authority needs NODE_EXTRA_CA_CERTS in services.json. ${ASK_OWNER}`;
  if (['ENOTFOUND', 'EAI_AGAIN', 'EDNS'].includes(originalCode))
    return `The name of the mail server is not known here: services.json must list its host and port under egress, written as under env. ${ASK_OWNER}`;
  if (/TIMEOUT|ETIMEDOUT/.test(code)) return 'The mail server does not answer in time. Try again in some minutes.';
  if (isNetworkCode(code) || isNetworkCode(originalCode))
    return `The mail server cannot be reached at the moment (${originalCode}). Try again in some minutes; if it stays so, tell the owner.`;
  return undefined;
}

/** @param {string} code */
const isNetworkCode = (code) =>
  /^(?:E(?:CONN|HOST|NET|PIPE|SOCKET|ADDR)\w*|NoConnection|EConnectionClosed|StateLogout|ClosedAfterConnect\w+|UPGRADE_\w+)$/.test(
    code,
  );

/** What the server answered, quoted. @param {Failure} failure @returns {string | undefined} */
function serversWords({ response, responseText, responseCode, responseStatus }) {
  const said = responseText ?? (typeof response === 'string' ? response : '');
  if (!responseCode && !responseStatus) return undefined;
  return `The mail server refused: ${oneLine(said, 300) || responseCode || responseStatus}`;
}

/** @param {Failure} failure */
const unexpected = ({ code, message = '' }) => `That failed${code ? ` (${code})` : ''}: ${oneLine(message, 200)}`;
