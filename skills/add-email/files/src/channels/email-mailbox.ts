// One connection to the mailbox with ImapFlow: which mails are new, what is in them, waiting for the next one (IDLE). Knows neither
// what mails mean nor what was handled.
import { type FetchMessageObject, ImapFlow, type MessageStructureObject } from 'imapflow';
import { ChannelError } from './channel.js';
import type { Mail, MailPart } from './email-inbound.js';
import type { EmailSettings } from './email-settings.js';
import { htmlToText } from './email-text.js';

export interface Mailbox {
  /** What its UIDs count in; a mailbox that was rebuilt has another one. */
  uidValidity: string;
  /** The UID the next mail will get, as of opening. */
  uidNext: number;
  /** UIDs above this one, ascending. */
  after(uid: number): Promise<number[]>;
  /** UIDs of mails whose Date is that day or later. */
  sentSince(at: number): Promise<Set<number>>;
  /** Undefined when it is gone. */
  read(uid: number): Promise<Mail | undefined>;
  /** What the mail shows, as plain text. */
  texts(mail: Mail): Promise<string[]>;
  markSeen(uid: number): Promise<void>;
  /** Throws ChannelError `permanent` when the part is not there or larger. */
  download(uid: number, part: string, maxBytes: number): Promise<Uint8Array>;
  /** Resolves when mails may have come, after minutes at the latest; rejects when the connection is lost. */
  untilChange(): Promise<void>;
  close(): void;
}

const MAX_TEXT_BYTES = 200_000;
/** How long a server is waited for. */
const CONNECT_MS = 20_000;
const ANSWER_MS = 60_000;
/** RFC 2177 lets a server drop a client after 30 minutes, home routers forget it after a few. */
const IDLE_MS = 240_000;

/** Connects and opens the inbox. Rejects when that fails, or when `signal` aborts. */
export async function openMailbox(settings: EmailSettings, signal: AbortSignal): Promise<Mailbox> {
  const client = createClient(settings);
  let changed = false;
  let wake = (): void => undefined;
  const lost = new Promise<never>((_, reject) => {
    const fail = (error: unknown) => reject(error);
    // An error is always followed by the end; the first reason is the one that counts.
    client.on('error', fail);
    client.on('close', () => fail(new ChannelError('network', 'the mail server closed the connection')));
  });
  lost.catch(() => undefined);
  client.on('exists', () => {
    changed = true;
    wake();
  });
  const close = () => client.close();
  signal.addEventListener('abort', close, { once: true });
  client.once('close', () => signal.removeEventListener('abort', close));
  try {
    await Promise.race([client.connect(), lost]);
    const { uidValidity, uidNext } = await Promise.race([client.mailboxOpen('INBOX'), lost]);
    return {
      ...operations(client),
      uidValidity: String(uidValidity),
      uidNext,
      async untilChange() {
        const told = new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (!changed) await Promise.race([told, idle(client), lost]);
        changed = false;
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function createClient({ imap, user, password }: EmailSettings): ImapFlow {
  return new ImapFlow({
    host: imap.host,
    port: imap.port,
    secure: imap.tls === 'implicit',
    // True means that a server without it is refused before the password is told.
    doSTARTTLS: imap.tls === 'starttls',
    auth: { user, pass: password },
    // It would log addresses and texts.
    logger: false,
    disableAutoIdle: true,
    maxIdleTime: IDLE_MS,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: ANSWER_MS,
  });
}

/** Ends when another command wants the connection. */
async function idle(client: ImapFlow): Promise<void> {
  if ((await client.idle()) === false) throw new ChannelError('network', 'the mail server ended the wait for mails');
}

function operations(client: ImapFlow): Omit<Mailbox, 'uidValidity' | 'uidNext' | 'untilChange' | 'close'> {
  const byUid = { uid: true } as const;
  const search = async (query: { uid: string } | { sentSince: Date }) => {
    const found = await client.search(query, byUid);
    if (!Array.isArray(found)) throw new ChannelError('network', 'the mail server does not search');
    return found;
  };
  return {
    async after(uid) {
      // `*` is the last mail, even when its UID is lower.
      const found = await search({ uid: `${uid + 1}:*` });
      return found.filter((one) => one > uid).sort((a, b) => a - b);
    },
    sentSince: async (at) => new Set(await search({ sentSince: new Date(at) })),
    async read(uid) {
      const query = { envelope: true, headers: true, bodyStructure: true, internalDate: true };
      const found = await client.fetchOne(uid, query, byUid);
      return found ? toMail(found) : undefined;
    },
    async texts({ uid, texts }) {
      const shown: string[] = [];
      for (const versions of texts) shown.push(await firstWithWords(client, uid, versions));
      return shown;
    },
    async markSeen(uid) {
      await client.messageFlagsAdd(uid, ['\\Seen'], { uid: true, silent: true });
    },
    async download(uid, part, maxBytes) {
      const bytes = await fetchPart(client, { uid, part, maxBytes: maxBytes + 1 });
      if (!bytes?.length) throw new ChannelError('permanent', 'the mail is gone, or its file is empty');
      if (bytes.length > maxBytes)
        throw new ChannelError('permanent', `larger than ${Math.floor(maxBytes / 1024 / 1024)} MB`);
      return bytes;
    },
  };
}

/** The first `maxBytes` of a part, decoded, texts as UTF-8. */
async function fetchPart(client: ImapFlow, { uid, part, maxBytes }: { uid: number; part: string; maxBytes: number }) {
  const { content } = await client.download(uid, part, { uid: true, maxBytes, chunkSize: 1_048_576 });
  if (!content) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Some programs send an empty text beside the HTML. */
async function firstWithWords(client: ImapFlow, uid: number, versions: MailPart[]): Promise<string> {
  for (const { part, mimeType } of versions) {
    const text = (await fetchPart(client, { uid, part, maxBytes: MAX_TEXT_BYTES }))?.toString('utf8') ?? '';
    const plain = mimeType === 'text/html' ? htmlToText(text) : text;
    if (plain.trim() !== '') return plain;
  }
  return '';
}

function toMail({ uid, envelope, headers, bodyStructure, internalDate }: FetchMessageObject): Mail {
  const named = parseHeaders(headers?.toString('utf8') ?? '');
  const ids = (text: string) => [...text.matchAll(/<([^<>\s]+)>/g)].map(([, id = '']) => id);
  const body = bodyStructure ? shownParts(bodyStructure) : { texts: [], files: [] };
  return {
    uid,
    headers: named,
    from: (envelope?.from ?? []).map(({ name = '', address = '' }) => ({ name, address: address.toLowerCase() })),
    subject: (envelope?.subject ?? '').replace(/\s+/g, ' ').trim(),
    messageId: ids(envelope?.messageId ?? '')[0] ?? '',
    inReplyTo: ids(envelope?.inReplyTo ?? '')[0] ?? '',
    references: ids(named.get('references')?.join(' ') ?? ''),
    sentAt: timeOf(envelope?.date) ?? timeOf(internalDate) ?? 0,
    ...body,
  };
}

function timeOf(date: Date | string | undefined): number | undefined {
  const at = date === undefined ? Number.NaN : new Date(date).getTime();
  return Number.isNaN(at) ? undefined : at;
}

function parseHeaders(block: string): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (const line of block.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const [, name, value] = /^([\x21-\x39\x3b-\x7e]+)\s*:\s*(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined)
      headers.set(name.toLowerCase(), [...(headers.get(name.toLowerCase()) ?? []), value.trim()]);
  }
  return headers;
}

type Shown = Pick<Mail, 'texts' | 'files'>;

/** Texts in their order and the files beside them. */
function shownParts(node: MessageStructureObject): Shown {
  if (!node.childNodes || node.type === 'message/rfc822') return leafParts(node);
  const inner = node.childNodes.map(shownParts);
  const files = inner.flatMap((one) => one.files);
  const texts = inner.map((one) => one.texts);
  if (node.type !== 'multipart/alternative') return { texts: texts.flat(), files };
  const isPlain = (text: MailPart[]) => text[0]?.mimeType === 'text/plain';
  const versions = texts.flat(2);
  // The same words twice, unless one version is itself made of several texts.
  if (texts.every((one) => one.length <= 1)) versions.sort((a, b) => Number(isPlain([b])) - Number(isPlain([a])));
  const best = texts.find((one) => one.some(isPlain)) ?? texts.findLast((one) => one.length > 0) ?? [];
  return { texts: best.length === 1 ? [versions] : best, files };
}

/** Signatures of mail programs, which no person wants to read. */
const UNSHOWN = [
  'application/pgp-signature',
  'application/pkcs7-signature',
  'application/x-pkcs7-signature',
  'text/x-amp-html',
];

function leafParts(node: MessageStructureObject): Shown {
  const mimeType = node.type.toLowerCase();
  const name = node.dispositionParameters?.filename ?? node.parameters?.name ?? '';
  const subtype = mimeType.split('/')[1]?.replace(/^x-/, '').replace(/\W.*$/, '') ?? '';
  const size = node.size ?? 0;
  const part = {
    part: node.part ?? '1',
    mimeType,
    fileName: name || (mimeType === 'message/rfc822' ? 'mail.eml' : `file.${subtype || 'bin'}`),
    sizeBytes: node.encoding?.toLowerCase() === 'base64' ? Math.floor((size * 3) / 4.1) : size,
  };
  if (UNSHOWN.includes(mimeType)) return { texts: [], files: [] };
  const isText = ['text/plain', 'text/html'].includes(mimeType) && node.disposition !== 'attachment' && name === '';
  return isText ? { texts: [[part]], files: [] } : { texts: [], files: [part] };
}
