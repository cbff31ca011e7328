// The mail channel: one mailbox by IMAP (IDLE) and SMTP. A mail is marked as seen and left behind only after it was committed.
// What mails mean is in email-inbound.ts, what failures mean in email-errors.ts, who really wrote in email-proof.ts.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { splitMarkdown } from '../markdown/split.js';
import { type Channel, type ChannelDeps, ChannelError, defineChannel, type OutboundPart } from './channel.js';
import { type Connection, createConnection, storeReceived } from './connection.js';
import { isUnreadable, toChannelError } from './email-errors.js';
import { type Mail, type Reader, refusalOf, type Thread, toMessage } from './email-inbound.js';
import { type Mailbox, openMailbox } from './email-mailbox.js';
import { createSender, type SendMail } from './email-send.js';
import { type EmailSettings, emailEnv } from './email-settings.js';

/** On when EMAIL_ADDRESS is set. A person is a direct chat under their address; their last mail is the thread that answers continue. */
export const email = defineChannel({
  name: 'email',
  env: emailEnv,
  create: (settings, deps) => settings && createEmail(settings, deps),
});

/** Mail has no limit of its own; a longer one is tiresome and some servers cut it. */
const MAX_MAIL_CHARS = 50_000;
const DAY_MS = 86_400_000;
/** Mails are under way for days before their sender gives up (RFC 5321 section 4.5.4.1). */
const UNDER_WAY_MS = 7 * DAY_MS;
const KEEP_THREADS_MS = 400 * DAY_MS;

interface Email {
  settings: EmailSettings;
  reader: Reader;
  deps: ChannelDeps;
  connection: Connection;
  send: SendMail;
  /** While connected. */
  mailbox: Mailbox | undefined;
}

function createEmail(settings: EmailSettings, deps: ChannelDeps): Channel {
  const { address, authServer } = settings;
  const connection = createConnection(deps, toChannelError);
  const email: Email = {
    ...{ settings, deps, connection, mailbox: undefined },
    reader: { address, authServer, assistantName: deps.assistantName },
    send: createSender(settings),
  };
  return {
    start: () => connection.start((opened) => receive(email, opened)),
    stop: connection.stop,
    split: (text) => splitMarkdown(text, { limit: MAX_MAIL_CHARS, measure: (part) => part.length }),
    send: (part) => connection.send(() => send(email, part)),
    kindOf: () => 'direct',
    // Mail knows no such thing.
    typing: () => undefined,
    fetchMedia: (ref, maxBytes) => fetchMedia(email, ref, maxBytes),
  };
}

/** One connection from its start to its end, which is always an error. */
async function receive(email: Email, opened: (account: string) => void): Promise<void> {
  const { settings, connection } = email;
  const mailbox = await openMailbox(settings, connection.receiving);
  try {
    email.mailbox = mailbox;
    for (;;) {
      await takeNew(email, mailbox);
      opened(settings.address);
      await mailbox.untilChange();
    }
  } finally {
    mailbox.close();
    email.mailbox = undefined;
  }
}

const cursorRow = z.object({
  uidValidity: z.string(),
  /** The last mail that was handled. */
  uid: z.number(),
  /** When this channel first looked; epoch ms, as the next two. What came before is nobody's question. */
  since: z.number(),
  /** When the cursor was last known to be right. */
  at: z.number(),
  /** The mailbox was rebuilt: of the mails below this UID, those sent before then were handled already. */
  rebuilt: z.object({ below: z.number(), sentSince: z.number() }).optional(),
});
type Cursor = z.infer<typeof cursorRow>;

function cursorOf({ storage, clock }: ChannelDeps, { uidValidity, uidNext }: Mailbox): Cursor {
  const now = clock.now();
  const { cursor } = storage.get('mailbox', ['cursor']);
  if (cursor === undefined) return { uidValidity, uid: uidNext - 1, since: now, at: now };
  const known = cursorRow.parse(JSON.parse(cursor));
  const { rebuilt, ...plain } = known;
  if (known.uidValidity === uidValidity) return rebuilt && known.uid + 1 < rebuilt.below ? known : plain;
  // UIDs mean nothing any more. Looking at too many mails is harmless: those that are stored already are known by their Message-ID.
  const sentSince = Math.max(known.since, known.at - UNDER_WAY_MS);
  return { uidValidity, uid: 0, since: known.since, at: now, rebuilt: { below: uidNext, sentSince } };
}

async function takeNew(email: Email, mailbox: Mailbox): Promise<void> {
  const { deps, connection } = email;
  const cursor = cursorOf(deps, mailbox);
  const save = (uid: number) =>
    deps.storage.set([
      { kind: 'mailbox', id: 'cursor', value: JSON.stringify({ ...cursor, uid, at: deps.clock.now() }) },
    ]);
  save(cursor.uid);
  deps.storage.prune('thread', deps.clock.now() - KEEP_THREADS_MS);
  const { rebuilt } = cursor;
  const recent = rebuilt && (await mailbox.sentSince(rebuilt.sentSince));
  const fresh = await mailbox.after(cursor.uid);
  for (const uid of fresh.filter((one) => !rebuilt || one >= rebuilt.below || recent?.has(one))) {
    if (connection.receiving.aborted) return;
    await take(email, mailbox, uid);
    save(uid);
  }
  save(fresh.at(-1) ?? cursor.uid);
}

/** Throws when the store refuses the message: the mail must come again. One that makes no sense must not block those behind it. */
async function take(email: Email, mailbox: Mailbox, uid: number): Promise<void> {
  const { deps, reader } = email;
  try {
    const mail = await mailbox.read(uid);
    const why = mail && refusalOf(mail, reader);
    if (why) return void deps.log.info({ uid, why }, 'mail ignored');
    if (mail) commit(email, mailbox, mail, await mailbox.texts(mail));
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return void deps.log.error({ uid, error: toChannelError(error).message }, 'mail not understood, skipped');
  }
  await mailbox.markSeen(uid);
}

function commit({ deps, reader }: Email, { uidValidity }: Mailbox, mail: Mail, texts: string[]): void {
  const address = mail.from[0]?.address ?? '';
  const received = toMessage(mail, texts, { reader, before: threadOf(deps, address), mailbox: uidValidity });
  if (!received) return;
  storeReceived(() => {
    // Before the message: its answer may be on its way as soon as it is committed.
    deps.storage.set([{ kind: 'thread', id: address, value: JSON.stringify(received.thread) }]);
    deps.onMessage(received.message);
  });
}

const threadRow = z.object({
  subject: z.string(),
  isNew: z.boolean(),
  messageId: z.string(),
  references: z.array(z.string()),
});

function threadOf({ storage }: ChannelDeps, address: string): Thread | undefined {
  const row = storage.get('thread', [address])[address];
  return row === undefined ? undefined : threadRow.parse(JSON.parse(row));
}

/** Made once; drawn on first use, it is there before the first mail is. */
function saltOf({ storage }: ChannelDeps): string {
  const { salt } = storage.get('mailbox', ['salt']);
  if (salt !== undefined) return salt;
  const drawn = randomUUID();
  storage.set([{ kind: 'mailbox', id: 'salt', value: drawn }]);
  return drawn;
}

async function send({ deps, connection, send: sendMail }: Email, part: OutboundPart): Promise<string> {
  const thread = threadOf(deps, part.address);
  const outgoing = { part, thread, assistantName: deps.assistantName, salt: saltOf(deps) };
  const { messageId, subject } = await sendMail(outgoing, connection.sending);
  // What we begin, we continue, until the person writes.
  if (!threadOf(deps, part.address)) {
    const begun: Thread = { subject, isNew: true, messageId, references: [messageId] };
    deps.storage.set([{ kind: 'thread', id: part.address, value: JSON.stringify(begun) }]);
  }
  return messageId;
}

async function fetchMedia({ mailbox }: Email, ref: string, maxBytes: number): Promise<Uint8Array> {
  const [, validity, uid, part] = /^(\d+)\.(\d+)\.(\d[\d.]*)$/.exec(ref) ?? [];
  if (part === undefined) throw new ChannelError('permanent', 'this is no file of a mail');
  if (!mailbox) throw new ChannelError('network', 'the mailbox is not connected');
  if (mailbox.uidValidity !== validity)
    throw new ChannelError('permanent', 'the mailbox was rebuilt, its files are not found any more');
  try {
    return await mailbox.download(Number(uid), part, maxBytes);
  } catch (error) {
    throw toChannelError(error);
  }
}
