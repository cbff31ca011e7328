// Sending on WhatsApp: one message after the other at a person's pace, under an id that follows from the outbox row, until the
// server has taken it. The same part sent again after a crash is the same message to the people who read it.
import { createHash } from 'node:crypto';
import { type BinaryNode, BufferJSON, generateWAMessageContent, proto, type WASocket } from '@whiskeysockets/baileys';
import { z } from 'zod';
import { type ChannelDeps, ChannelError, type Edit, type MessageRef, type OutboundPart } from './channel.js';
import { markdownToWhatsApp } from './whatsapp-format.js';
import { createMentions, type Member } from './whatsapp-mentions.js';
import { createPace } from './whatsapp-pace.js';
import { toJid } from './whatsapp-people.js';

const ACK_TIMEOUT_MS = 30_000;
const SLOW_DOWN_MS = 300_000;
const MAX_QUOTE_CHARS = 300;
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

/** What goes to a chat, under which id. */
interface Relayed {
  address: string;
  id: string;
  make(jid: string): Promise<proto.IMessage> | proto.IMessage;
  /** What the stanza says besides. */
  attributes?: Record<string, string>;
}

export type Sender = ReturnType<typeof createSender>;

/** Puts a message on its way, and waits for the server's word. */
function createRelay({ storage, clock }: ChannelDeps) {
  const waiting = new Map<string, Ack>();
  const keep = (id: string, message: proto.IMessage): void =>
    storage.set([{ kind: 'sent', id, value: JSON.stringify(message, BufferJSON.replacer) }]);

  async function go(sock: WASocket, { address, id, make, attributes = {} }: Relayed): Promise<void> {
    const jid = toJid(address);
    const message = await make(jid);
    keep(id, message);
    storage.prune('sent', clock.now() - KEEP_SENT_MS);
    // Without any device of theirs the library would send it to our own phone only, and be content.
    const devices = isGroup(jid) ? undefined : await sock.getUSyncDevices([jid], true, false);
    if (devices?.length === 0) throw new ChannelError('retry', 'WhatsApp knows no device of this person');
    await sock.relayMessage(jid, message, { messageId: id, additionalAttributes: attributes });
  }

  /** Resolves once the server took the message. Throws `ChannelError`. */
  async function relay(sock: WASocket, relayed: Relayed): Promise<{ platformId: string }> {
    const { id } = relayed;
    const over = new AbortController();
    const acked = new Promise<string | undefined>((resolve) => waiting.set(id, resolve));
    const silence = clock.sleep(ACK_TIMEOUT_MS, over.signal).then(() => NO_ANSWER);
    try {
      // The library's own questions to the server stay unanswered for ever when the connection ends.
      const error = await Promise.race([go(sock, relayed).then(() => acked), acked, silence]);
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
    relay,
    keep,
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
  };
}

export function createSender(deps: ChannelDeps, options: SenderOptions) {
  const { clock } = deps;
  const { relay, keep, ...way } = createRelay(deps);
  const pace = createPace(deps, options.over);
  let queue: Promise<unknown> = Promise.resolve();

  /** After what was to be sent before. */
  function inOrder<T>(work: () => Promise<T>): Promise<T> {
    const sent = queue.then(() => pace.next()).then(work);
    queue = sent.catch(() => undefined);
    return sent;
  }

  /** Beside what is being sent, or not at all. */
  async function inPassing<T>(work: () => Promise<T>): Promise<T> {
    pace.pass();
    return work();
  }

  return {
    ...way,
    send: (sock: WASocket, part: OutboundPart) =>
      inOrder(() =>
        relay(sock, { address: part.address, id: messageId(sock, part.key), make: () => compose(sock, part, options) }),
      ),
    edit(sock: WASocket, { address, platformId, text, passing = false }: Edit) {
      const make = async (jid: string): Promise<proto.IMessage> => {
        const editedMessage = await compose(sock, { address, text, key: '' }, options);
        // Who could not read the first version is given this one.
        if (!passing) keep(platformId, editedMessage);
        return { protocolMessage: { ...ownKey(jid, platformId), type: EDIT, editedMessage, timestampMs: clock.now() } };
      };
      const id = messageId(sock, `edit ${platformId} ${text}`);
      return (passing ? inPassing : inOrder)(() => relay(sock, { address, id, make, attributes: { edit: '1' } }));
    },
    remove(sock: WASocket, address: string, platformId: string) {
      const make = (jid: string) => ({ protocolMessage: { ...ownKey(jid, platformId), type: REVOKE } });
      const id = messageId(sock, `remove ${platformId}`);
      return inPassing(() => relay(sock, { address, id, make, attributes: { edit: '7' } }));
    },
    react(sock: WASocket, { address, message, emoji }: { address: string; message: MessageRef; emoji: string }) {
      const at = clock.now();
      const make = (jid: string) => ({
        reactionMessage: { key: keyOf(jid, message), text: emoji, senderTimestampMs: at },
      });
      return inPassing(() =>
        relay(sock, { address, id: messageId(sock, `reaction ${message.platformId} ${at}`), make }),
      );
    },
    /** Resolves when nothing is being sent. */
    idle: () => queue,
  };
}

const { MESSAGE_EDIT: EDIT, REVOKE } = proto.Message.ProtocolMessage.Type;
const ownKey = (remoteJid: string, id: string) => ({ key: { remoteJid, fromMe: true, id } });

/** What whatsapp-inbound.ts made of it, taken apart again. In a group people are known by the name that their message had. */
function keyOf(jid: string, { platformId, sender }: MessageRef): proto.IMessageKey & { id: string } {
  const [id = '', user = ''] = platformId.split('/');
  const key = { remoteJid: jid, fromMe: user === 'me', id: decodeURIComponent(id) };
  if (!isGroup(jid) || user === 'me') return key;
  const known = toJid(sender);
  return { ...key, participant: known.split('@')[0] === user ? known : `${user}@lid` };
}

/** Uploads the file, when there is one. Throws `ChannelError` `network` when that fails. */
async function compose(
  sock: WASocket,
  { address, text, file, replyTo }: OutboundPart,
  { prefix, membersOf }: SenderOptions,
): Promise<proto.IMessage> {
  const quote = quoteOf(sock, address, replyTo);
  const { write, jids } = createMentions(isGroup(address) && text.includes('@') ? await membersOf(sock, address) : []);
  const words = prefix + (markdownToWhatsApp(text, write) || text);
  const mentions = [...jids];
  if (!file && mentions.length === 0 && !quote) return { conversation: words };
  if (!file) return { extendedTextMessage: { text: words, contextInfo: { mentionedJid: mentions, ...quote } } };
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

function quoteOf(sock: WASocket, address: string, replyTo: OutboundPart['replyTo']): proto.IContextInfo | undefined {
  if (!replyTo) return undefined;
  const { id, participant, fromMe } = keyOf(toJid(address), replyTo);
  const quotedMessage = { conversation: [...replyTo.text].slice(0, MAX_QUOTE_CHARS).join('') };
  return { stanzaId: id, participant: (fromMe ? sock.user?.id : participant) ?? null, quotedMessage };
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
