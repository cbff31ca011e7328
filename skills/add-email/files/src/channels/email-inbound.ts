// A mail as an inbound message, or the reason why it is none: who wrote, what they wrote themselves, which files. Pure; knows no network.
import type { InboundMedia, InboundMessage } from './channel.js';
import { isProven } from './email-proof.js';
import { ownWords } from './email-text.js';
import { safeFileName } from './file-name.js';

/** A mail without its contents. */
export interface Mail {
  uid: number;
  /** Names in lower case; each value unfolded, topmost first. */
  headers: Map<string, string[]>;
  from: { name: string; address: string }[];
  subject: string;
  /** Without angle brackets; empty when the mail has none. */
  messageId: string;
  inReplyTo: string;
  references: string[];
  /** Epoch ms. */
  sentAt: number;
  /** What to show, in order: of each the versions, best first. */
  texts: MailPart[][];
  files: MailPart[];
}

export interface MailPart {
  part: string;
  mimeType: string;
  fileName: string;
  /** As it will be after decoding, about. */
  sizeBytes: number;
}

/** What a reply to a person continues. */
export interface Thread {
  subject: string;
  /** The mail began to speak of it. */
  isNew: boolean;
  messageId: string;
  references: string[];
}

export interface Reader {
  /** The assistant's own address. */
  address: string;
  assistantName: string;
  /** The mail server whose word about senders counts; undefined trusts every From. */
  authServer: string | undefined;
}

export type Refusal =
  | 'own mail'
  | 'no single sender'
  | 'automatic answer'
  | 'mailing list or bulk mail'
  | 'bounce or report'
  | 'sender is not proven';

/** Why a mail gets no answer and reaches nobody, whoever sent it; undefined when it is a person's. */
export function refusalOf(mail: Mail, reader: Reader): Refusal | undefined {
  const header = (name: string) => mail.headers.get(name)?.join(' ').trim().toLowerCase() ?? '';
  const [sender, ...others] = mail.from;
  // Two senders, or two From lines, of which each reader picks another one.
  if (!sender || others.length > 0 || mail.headers.get('from')?.length !== 1) return 'no single sender';
  if (!/^[^\s<>@,;:"()[\]\\]{1,64}@[^\s<>@,;:"()[\]\\]{1,255}$/.test(sender.address)) return 'no single sender';
  if (sender.address === reader.address) return 'own mail';
  if (header('return-path') === '<>' || /^(?:mailer-daemon|postmaster)@/.test(sender.address))
    return 'bounce or report';
  if (header('content-type').startsWith('multipart/report')) return 'bounce or report';
  // RFC 3834 section 2: nobody answers these.
  if (!/^(?:no\b.*)?$/.test(header('auto-submitted'))) return 'automatic answer';
  if (header('x-autoreply') || header('x-autorespond') || header('x-auto-response-suppress').match(/all|autoreply/))
    return 'automatic answer';
  if ([...mail.headers.keys()].some((name) => /^list-(?:id|unsubscribe|post|help)$/.test(name)))
    return 'mailing list or bulk mail';
  if (/bulk|list|junk|auto_reply/.test(header('precedence'))) return 'mailing list or bulk mail';
  const domain = sender.address.slice(sender.address.indexOf('@') + 1);
  const results = mail.headers.get('authentication-results') ?? [];
  return reader.authServer === undefined || isProven(results, reader.authServer, domain)
    ? undefined
    : 'sender is not proven';
}

export interface Received {
  message: InboundMessage;
  thread: Thread;
}

/** `texts`: what `mail.texts` hold, as plain text. `before`: the thread of the mail before. `mailbox`: what UIDs count in. */
export function toMessage(
  mail: Mail,
  texts: string[],
  { reader, before, mailbox }: { reader: Reader; before: Thread | undefined; mailbox: string },
): Received | undefined {
  const sender = mail.from[0];
  if (!sender) return undefined;
  const forwarded = FORWARD_MARK.test(mail.subject);
  const isReply = (mail.inReplyTo !== '' || mail.references.length > 0) && !forwarded;
  const said = texts
    .map((text) => ownWords(text, isReply))
    .join('\n\n')
    .trim();
  // Whatever stands below a command (greetings, a disclaimer) is no part of it.
  const own = said.startsWith('/') ? (said.split(/\n\s*\n/)[0] ?? said) : said;
  // A mail that comes again after a crash must read as it did the first time.
  const isAgain = before !== undefined && before.messageId !== '' && before.messageId === mail.messageId;
  const isNew = isAgain ? before.isNew : bareSubject(mail.subject) !== bareSubject(before?.subject ?? '');
  const platformId = mail.messageId || `${mailbox}.${mail.uid}`;
  const name = sender.name.trim() || (sender.address.split('@')[0] ?? '');
  const message: InboundMessage = {
    chat: { address: sender.address, kind: 'direct', title: name },
    sender: { address: sender.address, name },
    platformId,
    text: isNew ? withSubject(own, mail.subject) : own,
    sentAt: mail.sentAt,
    forwarded,
    addressesAssistant: true,
    ...(mail.inReplyTo && { replyTo: { platformId: mail.inReplyTo, sender: reader.assistantName, text: '' } }),
    edited: false,
    media: mail.files.map((file) => mediaOf(file, `${mailbox}.${mail.uid}`)),
  };
  if (message.text === '' && message.media.length === 0) return undefined;
  const references = [
    ...mail.references.filter((id) => id !== mail.messageId),
    ...(mail.messageId ? [mail.messageId] : []),
  ];
  const { subject, messageId } = mail;
  return { message, thread: { subject, isNew, messageId, references: shortened(references) } };
}

/** The first one holds a thread together, the last ones place a mail in it. */
const shortened = (references: string[]) =>
  references.length <= 20 ? references : [...references.slice(0, 1), ...references.slice(-19)];

const REPLY_MARK = /^\s*(?:(?:re|aw|sv|antw|ref|rif|fwd?|wg|tr)\s*(?:\[\d+\])?\s*:\s*)+/i;

/** What is quoted in a forwarded mail is what it is about. */
const FORWARD_MARK = /^\s*(?:fwd?|wg|tr|rv|vb|doorst)\s*:/i;

/** A subject as it was before anybody answered. */
export const bareSubject = (subject: string): string => subject.replace(REPLY_MARK, '').trim();

/** A new subject is part of what was said. */
function withSubject(text: string, subject: string): string {
  const bare = bareSubject(subject);
  return bare === '' || text.startsWith('/') ? text : `[subject: ${bare}]\n${text}`.trim();
}

function mediaOf({ part, mimeType, fileName, sizeBytes }: MailPart, where: string): InboundMedia {
  const kind = (['image', 'audio', 'video'] as const).find((one) => mimeType.startsWith(`${one}/`)) ?? 'document';
  return { kind, fileName: safeFileName(fileName), mimeType, sizeBytes, ref: `${where}.${part}` };
}
