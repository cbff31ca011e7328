// The mail channel: one mailbox by IMAP (IDLE) and SMTP. A mail is marked as seen and left behind only after it was committed.
// What mails mean is in email-inbound.ts, what failures mean in email-errors.ts, who really wrote in email-proof.ts.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { describeError } from '../core/errors.js';
import { type Channel, type ChannelDeps, ChannelError, defineChannel, type OutboundPart } from './channel.js';
import { afterFailure, isUnreadable, toChannelError } from './email-errors.js';
import { type Mail, type Reader, refusalOf, type Thread, toMessage } from './email-inbound.js';
import { type Mailbox, openMailbox } from './email-mailbox.js';
import { createSender, type SendMail } from './email-send.js';
import { type EmailSettings, emailEnv } from './email-settings.js';
import { splitMarkdown } from './split.js';

/** On when EMAIL_ADDRESS is set. A person is a direct chat under their address; their last mail is the thread that answers continue. */
export const email = defineChannel({
  name: 'email',
  env: emailEnv,
  create: (settings, deps) => settings && createEmail(settings, deps),
});

/** Mail has no limit of its own; a longer one is tiresome and some servers cut it. */
const MAX_MAIL_CHARS = 50_000;
/** How long a send may go on after `stop`. Breaking it off can send the mail again, under the same id. */
const SEND_GRACE_MS = 700;
const DAY_MS = 86_400_000;
/** Mails are under way for days before their sender gives up (RFC 5321 section 4.5.4.1). */
const UNDER_WAY_MS = 7 * DAY_MS;
const KEEP_THREADS_MS = 400 * DAY_MS;

interface Connection {
  settings: EmailSettings;
  reader: Reader;
  deps: ChannelDeps;
  send: SendMail;
  /** While connected. */
  mailbox: Mailbox | undefined;
  /** Aborted when receiving ends. */
  over: AbortController;
  /** Aborted when sending ends. */
  sendAbort: AbortController;
  sending: Set<Promise<unknown>>;
}

function createEmail(settings: EmailSettings, deps: ChannelDeps): Channel {
  const { address, authServer } = settings;
  const connection: Connection = {
    settings,
    reader: { address, authServer, assistantName: deps.assistantName },
    deps,
    send: createSender(settings),
    mailbox: undefined,
    over: new AbortController(),
    sendAbort: new AbortController(),
    sending: new Set(),
  };
  let receiving: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  return {
    start() {
      receiving ??= receive(connection);
    },
    stop() {
      stopping ??= stop(connection, receiving);
      return stopping;
    },
    split: (text) => splitMarkdown(text, { limit: MAX_MAIL_CHARS, measure: (part) => part.length }),
    send: (part) => send(connection, part),
    // Mail knows no such thing.
    typing: () => undefined,
    fetchMedia: (ref, maxBytes) => fetchMedia(connection, ref, maxBytes),
  };
}

async function stop({ over, sendAbort, sending, deps }: Connection, receiving?: Promise<void>) {
  over.abort();
  await receiving;
  const grace = new AbortController();
  await Promise.race([Promise.allSettled(sending), deps.clock.sleep(SEND_GRACE_MS, grace.signal)]);
  grace.abort();
  sendAbort.abort();
  await Promise.allSettled(sending);
  deps.onState({ state: 'stopped', detail: '' });
}

async function receive(connection: Connection): Promise<void> {
  const { deps, over, settings } = connection;
  let failures = 0;
  deps.onState({ state: 'connecting', detail: '' });
  while (!over.signal.aborted) {
    try {
      const mailbox = await openMailbox(settings, over.signal);
      connection.mailbox = mailbox;
      for (;;) {
        await takeNew(connection, mailbox);
        failures = 0;
        deps.onState({ state: 'open', detail: settings.address });
        await mailbox.untilChange();
      }
    } catch (error) {
      connection.mailbox?.close();
      connection.mailbox = undefined;
      if (over.signal.aborted) return;
      failures += 1;
      const { state, ms } = afterFailure(error, failures, deps.clock.random());
      deps.log.warn({ failures, delayMs: ms, error: state.detail }, 'mailbox lost');
      deps.onState(state);
      await deps.clock.sleep(ms, over.signal);
    }
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

function cursorOf({ deps: { storage, clock } }: Connection, { uidValidity, uidNext }: Mailbox): Cursor {
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

async function takeNew(connection: Connection, mailbox: Mailbox): Promise<void> {
  const { deps, over } = connection;
  const cursor = cursorOf(connection, mailbox);
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
    if (over.signal.aborted) return;
    await take(connection, mailbox, uid);
    save(uid);
  }
  save(fresh.at(-1) ?? cursor.uid);
}

/** Throws when the store refuses the message: the mail must come again. One that makes no sense must not block those behind it. */
async function take(connection: Connection, mailbox: Mailbox, uid: number): Promise<void> {
  const { deps, reader } = connection;
  try {
    const mail = await mailbox.read(uid);
    const why = mail && refusalOf(mail, reader);
    if (why) return void deps.log.info({ uid, why }, 'mail ignored');
    if (mail) commit(connection, mailbox, mail, await mailbox.texts(mail));
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return void deps.log.error({ uid, error: afterFailure(error, 1, 0).state.detail }, 'mail not understood, skipped');
  }
  await mailbox.markSeen(uid);
}

function commit({ deps, reader }: Connection, { uidValidity }: Mailbox, mail: Mail, texts: string[]): void {
  const address = mail.from[0]?.address ?? '';
  const received = toMessage(mail, texts, { reader, before: threadOf(deps, address), mailbox: uidValidity });
  if (!received) return;
  try {
    // Before the message: its answer may be on its way as soon as it is committed.
    deps.storage.set([{ kind: 'thread', id: address, value: JSON.stringify(received.thread) }]);
    deps.onMessage(received.message);
  } catch (cause) {
    throw new ChannelError('retry', `a received message could not be stored: ${describeError(cause)}`, { cause });
  }
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

async function send(connection: Connection, part: OutboundPart): Promise<{ platformId: string }> {
  const { deps, over, sendAbort, sending } = connection;
  if (over.signal.aborted) throw new ChannelError('network', 'the channel is stopped');
  const thread = threadOf(deps, part.address);
  const outgoing = { part, thread, assistantName: deps.assistantName, salt: saltOf(deps) };
  const call = connection.send(outgoing, sendAbort.signal);
  sending.add(call);
  try {
    const { messageId, subject } = await call;
    // What we begin, we continue, until the person writes.
    if (!threadOf(deps, part.address)) {
      const begun: Thread = { subject, isNew: true, messageId, references: [messageId] };
      const value = JSON.stringify(begun);
      deps.storage.set([{ kind: 'thread', id: part.address, value }]);
    }
    return { platformId: messageId };
  } catch (error) {
    throw toChannelError(error);
  } finally {
    sending.delete(call);
  }
}

async function fetchMedia({ mailbox }: Connection, ref: string, maxBytes: number): Promise<Uint8Array> {
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
