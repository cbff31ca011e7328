// Sending on WhatsApp: one message after the other at a person's pace, under an id that follows from the outbox row, until the
// server has taken it. The same part sent again after a crash is the same message to the people who read it.
import { createHash } from 'node:crypto';
import {
  type BinaryNode,
  BufferJSON,
  generateWAMessageContent,
  type proto,
  type WASocket,
} from '@whiskeysockets/baileys';
import { z } from 'zod';
import { type ChannelDeps, ChannelError, type OutboundPart } from './channel.js';
import { markdownToWhatsApp } from './whatsapp-format.js';
import { createMentions, type Member } from './whatsapp-mentions.js';
import { toJid } from './whatsapp-people.js';

/** Our own judgement: nothing is published, and accounts that send faster than people are banned. */
const GAP_MS = 1_000;
const GAP_JITTER_MS = 1_000;
const PER_MINUTE = 20;
const ACK_TIMEOUT_MS = 30_000;
const SLOW_DOWN_MS = 300_000;
/** People whose phone was off ask for a message again for so long. */
const KEEP_SENT_MS = 7 * 86_400_000;

const isGroup = (jid: string): boolean => jid.endsWith('@g.us');
const NO_ANSWER = 'no answer';

/** What became of a message, by the server's word: undefined when it took it, else its error code. */
type Ack = (error: string | undefined) => void;

/** The library's error for a group we are not in, or no longer. */
const refused = z.object({ data: z.literal([401, 403, 404, 406]) });

interface SenderOptions {
  prefix: string;
  /** Who may be mentioned in a group. */
  membersOf(sock: WASocket, group: string): Promise<Member[]>;
  /** Aborted when the channel stops: what is not on its way yet stays with whoever sends it. */
  over: AbortSignal;
}

/** Resolves when the next message may go, at a person's pace. Throws `ChannelError` once the channel stops. */
function createPace({ clock }: Pick<ChannelDeps, 'clock'>, over: AbortSignal) {
  const sentAt: number[] = [];
  return async (): Promise<void> => {
    const now = clock.now();
    const gap = GAP_MS + clock.random() * GAP_JITTER_MS;
    const next = Math.max((sentAt.at(-1) ?? 0) + gap, (sentAt.at(-PER_MINUTE) ?? 0) + 60_000);
    if (next > now) await clock.sleep(next - now, over);
    if (over.aborted) throw new ChannelError('network', 'the channel is stopped');
    sentAt.push(clock.now());
    sentAt.splice(0, sentAt.length - PER_MINUTE);
  };
}

export type Sender = ReturnType<typeof createSender>;

export function createSender(deps: ChannelDeps, options: SenderOptions) {
  const { storage, clock } = deps;
  const waiting = new Map<string, Ack>();
  const pace = createPace(deps, options.over);
  let queue: Promise<unknown> = Promise.resolve();

  async function sendNow(sock: WASocket, part: OutboundPart): Promise<{ platformId: string }> {
    const { address, key } = part;
    await pace();
    const id = messageId(sock, key);
    const over = new AbortController();
    const acked = new Promise<string | undefined>((resolve) => waiting.set(id, resolve));
    const silence = clock.sleep(ACK_TIMEOUT_MS, over.signal).then(() => NO_ANSWER);
    const relay = async () => {
      const jid = toJid(address);
      const message = await compose(sock, part, options);
      storage.set([{ kind: 'sent', id, value: JSON.stringify(message, BufferJSON.replacer) }]);
      storage.prune('sent', clock.now() - KEEP_SENT_MS);
      // Without any device of theirs the library would send it to our own phone only, and be content.
      const devices = isGroup(jid) ? undefined : await sock.getUSyncDevices([jid], true, false);
      if (devices?.length === 0) throw new ChannelError('retry', 'WhatsApp knows no device of this person');
      await sock.relayMessage(jid, message, { messageId: id });
      return acked;
    };
    try {
      // The library's own questions to the server stay unanswered for ever when the connection ends.
      const error = await Promise.race([relay(), acked, silence]);
      if (error !== undefined) throw refusal(error);
      return { platformId: id };
    } catch (error) {
      throw error instanceof ChannelError ? error : lost(error);
    } finally {
      over.abort();
      waiting.delete(id);
    }
  }

  return {
    /** Resolves once the server took the message. Throws `ChannelError`. */
    send(sock: WASocket, part: OutboundPart): Promise<{ platformId: string }> {
      const sent = queue.then(() => sendNow(sock, part));
      queue = sent.catch(() => undefined);
      return sent;
    },
    /** The server's answers to what this socket sends. */
    listen(sock: WASocket): void {
      sock.ws.on('CB:ack,class:message', ({ attrs }: BinaryNode) => waiting.get(attrs.id ?? '')?.(attrs.error));
    },
    /** The connection is gone: whoever waits for an answer gets none. */
    disconnected(): void {
      for (const answer of waiting.values()) answer(NO_ANSWER);
    },
    /** A message we sent, for somebody who could not read it. */
    find(id: string): proto.IMessage | undefined {
      const text = storage.get('sent', [id])[id];
      return text === undefined ? undefined : JSON.parse(text, BufferJSON.reviver);
    },
    /** Resolves when nothing is being sent. */
    idle: () => queue,
  };
}

/** Uploads the file, when there is one. Throws `ChannelError` `network` when that fails. */
async function compose(
  sock: WASocket,
  { address, text, file }: OutboundPart,
  { prefix, membersOf }: SenderOptions,
): Promise<proto.IMessage> {
  const { write, jids } = createMentions(isGroup(address) && text.includes('@') ? await membersOf(sock, address) : []);
  const words = prefix + (markdownToWhatsApp(text, write) || text);
  const mentions = [...jids];
  if (!file && mentions.length === 0) return { conversation: words };
  if (!file) return { extendedTextMessage: { text: words, contextInfo: { mentionedJid: mentions } } };
  const source = { url: file.path };
  const isPicture = file.mimeType.startsWith('image/');
  const content = isPicture ? { image: source } : { document: source, fileName: file.fileName };
  const options = { upload: sock.waUploadToServer, options: {} };
  try {
    return await generateWAMessageContent({ ...content, caption: words, mentions, mimetype: file.mimeType }, options);
  } catch {
    throw new ChannelError('network', 'the file could not be uploaded to WhatsApp');
  }
}

/** In the form of WhatsApp Web's own ids; the same for the same part, whenever it is sent. */
function messageId(sock: WASocket, key: string): string {
  const account = sock.user?.lid ?? sock.user?.id ?? '';
  const digest = createHash('sha256')
    .update(`${account.split(':')[0]} ${key}`)
    .digest('hex');
  return `3EB0${digest.slice(0, 18).toUpperCase()}`;
}

function lost(error: unknown): ChannelError {
  const { data: code } = refused.safeParse(error).data ?? {};
  if (code) return new ChannelError('permanent', `WhatsApp does not let us write there (${code})`);
  // A closed connection, a query without an answer: the same id goes out again, and is read once.
  return new ChannelError('network', 'the connection to WhatsApp was lost');
}

function refusal(code: string): ChannelError {
  if (code === NO_ANSWER) return new ChannelError('network', 'WhatsApp did not confirm the message');
  // Trying again would count as writing to a stranger once more.
  if (code === '463')
    return new ChannelError('permanent', 'WhatsApp does not let this account start this conversation (463)');
  if (code === '429')
    return new ChannelError('retry', 'WhatsApp asks us to slow down (429)', { retryAfterMs: SLOW_DOWN_MS });
  return new ChannelError('retry', `WhatsApp refused the message (${code})`);
}
