// Sends mails with Nodemailer: text and HTML, in the thread of the person's last mail, under an id that stays the same when a mail
// is sent again. Knows nothing about receiving.
import { createHash } from 'node:crypto';
import { createTransport } from 'nodemailer';
import { safeHtmlInSlices } from '../markdown/format.js';
import type { OutboundPart } from './channel.js';
import { bareSubject, type Thread } from './email-inbound.js';
import type { EmailSettings } from './email-settings.js';

export interface Outgoing {
  part: OutboundPart;
  /** What it answers; undefined begins a new one. */
  thread: Thread | undefined;
  assistantName: string;
  /** Random, the same for ever: outbox keys of two installations must not meet. */
  salt: string;
}

export interface Sent {
  /** Without angle brackets. */
  messageId: string;
  subject: string;
}

const CONNECT_MS = 20_000;
const ANSWER_MS = 60_000;
const MAX_SUBJECT_CHARS = 70;

/** Resolves once the mail server took the mail. */
export type SendMail = (outgoing: Outgoing, signal: AbortSignal) => Promise<Sent>;

/** Connects for each mail. */
export function createSender({ smtp, user, password, address }: EmailSettings): SendMail {
  const transport = createTransport({
    host: smtp.host,
    port: smtp.port,
    secure: smtp.tls === 'implicit',
    requireTLS: smtp.tls === 'starttls',
    ignoreTLS: smtp.tls === 'none',
    auth: { user, pass: password },
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: ANSWER_MS,
    disableUrlAccess: true,
  });
  return async (outgoing, signal) => {
    const { part, thread, assistantName } = outgoing;
    const messageId = `${idOf(outgoing)}@${address.slice(address.indexOf('@') + 1)}`;
    const subject = thread?.subject ? `Re: ${bareSubject(thread.subject)}` : newSubject(part, assistantName);
    const sent = await transport.sendMail({
      from: { name: assistantName, address },
      to: { name: '', address: part.address },
      subject,
      messageId: `<${messageId}>`,
      ...(thread?.messageId && { inReplyTo: `<${thread.messageId}>` }),
      references: thread?.references.map((id) => `<${id}>`) ?? [],
      // RFC 3834: no machine answers this, another assistant neither.
      headers: { 'Auto-Submitted': thread ? 'auto-replied' : 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
      text: part.text,
      html: `<div>${await safeHtmlInSlices(part.text)}</div>`,
      attachments: part.file
        ? [{ path: part.file.path, filename: part.file.fileName, contentType: part.file.mimeType }]
        : [],
      signal,
    });
    // Microsoft and Amazon put an id of their own in its place; answers name that one.
    return { messageId: sent.serverMessageId?.replace(/^<|>$/g, '') ?? messageId, subject };
  };
}

/** The same for the same part, so that the reader's server can tell a repetition. */
function idOf({ part, salt }: Outgoing): string {
  const what = [salt, part.key, part.address, part.text, part.file?.fileName ?? ''].join('\0');
  return `pinch.${createHash('sha256').update(what).digest('base64url').slice(0, 32)}`;
}

function newSubject({ text, file }: OutboundPart, assistantName: string): string {
  const [line = ''] = text
    .split('\n')
    .map((one) => one.replace(/[#*_`>[\]]/g, '').trim())
    .filter(Boolean);
  const characters = [...(line || file?.fileName || 'A message')];
  const short =
    characters.length > MAX_SUBJECT_CHARS ? `${characters.slice(0, MAX_SUBJECT_CHARS).join('')}…` : characters.join('');
  return `${assistantName}: ${short}`;
}
