// What a failure of a mail server means: what to tell the owner, whether a mail may still be sent. Pure. Servers' own words stay here:
// they quote addresses, and some of them the mail.
import { z } from 'zod';
import { ChannelError } from './channel.js';

/** Many servers lock out who tries a wrong password too often. */
const LOOK_AGAIN_MS = 600_000;
const REFUSED =
  'the mail server refuses EMAIL_USER or EMAIL_PASSWORD: correct them in .env (many providers want an app password), then restart';
const CERTIFICATE = 'the certificate of the mail server is not trusted';

const failure = z.object({
  code: z.string().optional().catch(undefined),
  originalCode: z.string().optional().catch(undefined),
  responseCode: z.number().optional().catch(undefined),
  response: z.string().optional().catch(undefined),
  authenticationFailed: z.boolean().optional().catch(undefined),
  serverResponseCode: z.string().optional().catch(undefined),
});
const detailsOf = (error: unknown) => failure.safeParse(error).data ?? {};

/** A failure in the contract's words. A refused password counts as `network`: mails wait until it is corrected. */
export function toChannelError(error: unknown): ChannelError {
  if (error instanceof ChannelError) return error;
  const { code, responseCode = 0, response = '', authenticationFailed, serverResponseCode = '' } = detailsOf(error);
  // RFC 5530: a server that cannot look passwords up at the moment says so.
  const isRefused = authenticationFailed && !['UNAVAILABLE', 'LIMIT', 'INUSE'].includes(serverResponseCode);
  if (code === 'EAUTH' || isRefused) return new ChannelError('network', REFUSED, { lookAgainMs: LOOK_AGAIN_MS });
  if (code === 'ESTREAM' || code === 'ENOENT') return new ChannelError('permanent', 'the file cannot be read');
  // 421: the server is closing down or busy, which says nothing about this mail.
  if (responseCode < 400 || responseCode === 421) return new ChannelError('network', reasonOf(error));
  const status = /\b[245]\.\d{1,3}\.\d{1,3}\b/.exec(response)?.[0];
  const words = `the mail server answers ${[responseCode, status].filter(Boolean).join(' ')}${meaningOf(status)}`;
  return new ChannelError(responseCode >= 500 && responseCode !== 503 ? 'permanent' : 'retry', words);
}

/** RFC 3463: what the second number is about. */
function meaningOf(status: string | undefined): string {
  const subject = status?.split('.')[1];
  if (subject === '1') return ' (the address does not exist or takes no mail)';
  if (subject === '2') return ' (the mailbox is full or closed)';
  if (status?.endsWith('.3.4')) return ' (the mail is too large)';
  return subject === '7' ? ' (its rules refuse the mail)' : '';
}

/** Mails that the IMAP library cannot read at all: they would come again for ever. */
export function isUnreadable(error: unknown): boolean {
  return /^(?:ParserError|LiteralTooLarge|LineTooLarge|ResponseTooLarge|MAX_IMAP_NESTING)/.test(
    detailsOf(error).code ?? '',
  );
}

function reasonOf(error: unknown): string {
  const { code = '', originalCode = code, authenticationFailed } = detailsOf(error);
  if (authenticationFailed) return 'the mail server cannot check the password at the moment';
  if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(originalCode)) return `${CERTIFICATE} (${originalCode})`;
  if (/TIMEOUT|ETIMEDOUT/.test(code)) return 'the mail server does not answer in time';
  if (['ETLS', 'MissingServerExtension'].includes(code))
    return 'the mail server offers no TLS: use imaps:// and smtps://';
  return originalCode ? `the mail server cannot be reached (${originalCode})` : 'the mail server cannot be reached';
}
