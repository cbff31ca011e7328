// WhatsApp messages as inbound messages: who, where, which words, which files. Pure; knows no connection.
import { isJidGroup, jidDecode, jidNormalizedUser, proto, type WAMessage } from '@whiskeysockets/baileys';
import { z } from 'zod';
import type { InboundMedia, InboundMessage } from './channel.js';
import { safeFileName } from './file-name.js';
import { withNames } from './whatsapp-mentions.js';
import { type Account, identify } from './whatsapp-people.js';
import { albumOf, contextOf, isForwarded, isUnspoken, lineOf, otherLine, unwrapped } from './whatsapp-words.js';

type Content = proto.IMessage;

/** Undefined for what nobody says to anybody: stubs, keys, receipts, deletions, the owner's talk with other people. */
export function mapMessage(message: WAMessage, account: Account): InboundMessage | undefined {
  const { key, message: sent } = message;
  const outer = unwrapped(sent);
  const edit =
    outer?.protocolMessage?.type === proto.Message.ProtocolMessage.Type.MESSAGE_EDIT
      ? outer.protocolMessage
      : undefined;
  const content = edit ? unwrapped(edit.editedMessage) : outer;
  const id = edit ? edit.key?.id : key.id;
  const chatJid = key.remoteJid;
  if (!content || !id || !chatJid || isUnspoken(content)) return undefined;
  // What is replied to comes along: it may be from before anybody listened here.
  const quoted = unwrapped(contextOf(content)?.quotedMessage);
  const media = [content, quoted].flatMap((one) => (one ? mediaOf(one) : []));
  const text = textOf(content, account);
  if (text === '' && mediaOf(content).length === 0) return undefined;
  const isGroup = isJidGroup(chatJid) === true;
  const self = identify(account, ...account.jids);
  const isSelfChat = !isGroup && account.jids.includes(jidNormalizedUser(chatJid));
  // On a shared number, talk with other people is not for the assistant.
  if (account.shared && !isGroup && !isSelfChat) return undefined;
  const other = identify(account, chatJid, key.remoteJidAlt);
  const sender = key.fromMe ? self : isGroup ? identify(account, key.participant, key.participantAlt) : other;
  const byAssistant = key.fromMe === true && !account.shared;
  const name = message.pushName || (byAssistant ? account.assistantName : sender.address);
  const replyTo = quoteOf(content, account);
  const album = albumOf(sent, content, id);
  const reaction = content.reactionMessage;
  const reactedTo = byAssistant ? undefined : reaction?.key?.id;
  return {
    chat: {
      address: isGroup ? chatJid : other.address,
      kind: isGroup ? 'group' : 'direct',
      title: isGroup ? (account.titleOf(chatJid) ?? 'WhatsApp group') : name,
    },
    sender: { ...sender, name },
    // The whole key: ids are made by the senders, and two may choose the same.
    platformId: idOf(id, key.fromMe ? 'me' : jidDecode(key.participant || chatJid)?.user),
    text,
    sentAt: Number(message.messageTimestamp ?? 0) * 1_000,
    forwarded: isForwarded(sent) || isForwarded(edit?.editedMessage),
    addressesAssistant: isMentioned(content, account),
    ...(replyTo && { replyTo }),
    edited: edit !== undefined,
    // An edit names the picture whose caption it changes, but not always where it lies.
    media: edit ? media.filter(({ ref }) => mediaRef.parse(JSON.parse(ref)).directPath !== '') : media,
    ...(album && { album }),
    ...((byAssistant || reaction) && { contextOnly: true }),
    // Ours are known by the id alone.
    ...(reactedTo && { press: { platformId: reactedTo, value: reaction?.text ?? '' } }),
  };
}

/** By phone number or LID. An answer to one of our messages is the sender's word: only our own rows prove it. */
function isMentioned(content: Content, { jids }: Account): boolean {
  return (contextOf(content)?.mentionedJid ?? []).some((jid) => jids.includes(jidNormalizedUser(jid)));
}

/** What the sender's program chose must not look like somebody else's id, or like a later version (`…#`) of it. */
const idOf = (chosen: string, sender = ''): string => `${chosen.replace(/[#%/]/g, encodeURIComponent)}/${sender}`;

/** WhatsApp's programs stop at 65,536. Longer ones are cut before anything looks into them; one more than is kept, so that it shows. */
const MAX_TEXT_CHARS = 100_001;
const MAX_VCARD_CHARS = 4_096;
const MAX_CONTACTS = 20;

/** A file without words, for a quotation. */
function nameOfFile(content: Content): string {
  const [file] = mediaOf(content);
  return file ? `[${file.kind}: ${file.fileName}]` : '[a message]';
}

function quoteOf(content: Content, account: Account): InboundMessage['replyTo'] {
  const { stanzaId, participant, quotedMessage } = contextOf(content) ?? {};
  const quoted = unwrapped(quotedMessage);
  if (!stanzaId) return undefined;
  const byUs = account.jids.includes(jidNormalizedUser(participant ?? ''));
  const { address } = identify(account, participant);
  return {
    // As its own message was named: ours by the id alone.
    platformId: byUs ? stanzaId : idOf(stanzaId, jidDecode(participant ?? '')?.user),
    sender: byUs ? account.assistantName : (account.nameOf(address) ?? address),
    text: quoted ? textOf(quoted, account, contextOf(content)) || nameOfFile(quoted) : '[a message]',
  };
}

/** The words, with names in place of mentions; what has no words is named in one line. Of a quote, programs may list mentions outside. */
function textOf(content: Content, account: Account, outside?: proto.IContextInfo | null): string {
  const { extendedTextMessage, imageMessage, videoMessage, ptvMessage, documentMessage } = content;
  const files = [imageMessage, videoMessage, ptvMessage, documentMessage];
  const captioned = extendedTextMessage?.text ?? files.find((file) => file?.caption)?.caption;
  const words = (content.conversation || captioned || wordless(content, account)).slice(0, MAX_TEXT_CHARS);
  return withNames(words, [contextOf(content), outside], account).trim();
}

function wordless(content: Content, account: Account): string {
  const { reactionMessage: reaction, contactMessage, contactsArrayMessage } = content;
  if (reaction) {
    const ours = account.sentMessage(reaction.key?.id ?? '');
    const to = ours && textOf(ours, account);
    return `[reaction ${reaction.text || 'taken back'}${to ? ` to: ${to}` : ''}]`;
  }
  const contacts = contactMessage ? [contactMessage] : (contactsArrayMessage?.contacts ?? []);
  if (contacts.length > 0) {
    const left = contacts.length - MAX_CONTACTS;
    return [...contacts.slice(0, MAX_CONTACTS).map(contactText), ...(left > 0 ? [`[and ${left} more]`] : [])].join(
      '\n',
    );
  }
  return lineOf(content) || (mediaOf(content).length > 0 ? '' : otherLine(content));
}

function contactText({ displayName, vcard }: proto.Message.IContactMessage): string {
  const card = (vcard ?? '').slice(0, MAX_VCARD_CHARS);
  const numbers = [...card.matchAll(/^(?:item\d+\.)?TEL[^:\n]*:(.+)$/gm)].map(([, number]) => number?.trim());
  return `[contact: ${[displayName, ...numbers].filter(Boolean).join(' ')}]`;
}

/** What `fetchMedia` gets back: where the file lies and how it is decrypted. */
export const mediaRef = z.object({
  type: z.enum(['image', 'video', 'audio', 'document', 'sticker']),
  mediaKey: z.string(),
  directPath: z.string(),
  sizeBytes: z.number(),
});

/** Where a message holds a file, and what it is when the sender does not say. */
const FILES = [
  ['imageMessage', 'image', 'image', 'photo.jpg', 'image/jpeg'],
  ['videoMessage', 'video', 'video', 'video.mp4', 'video/mp4'],
  ['ptvMessage', 'video', 'video', 'video-note.mp4', 'video/mp4'],
  ['stickerMessage', 'sticker', 'image', 'sticker.webp', 'image/webp'],
  ['documentMessage', 'document', 'document', 'file', 'application/octet-stream'],
  ['audioMessage', 'audio', 'audio', 'audio.ogg', 'audio/ogg'],
] as const;

type WhatsAppFile = Pick<
  proto.Message.IDocumentMessage & proto.Message.IAudioMessage,
  'mediaKey' | 'directPath' | 'mimetype' | 'fileLength' | 'fileName' | 'ptt'
>;

function mediaOf(content: Content): InboundMedia[] {
  // A lottie is no picture: nothing here draws it.
  const found = FILES.find(([field]) => content[field]);
  if (!found || content.stickerMessage?.isLottie) return [];
  const [field, type, usualKind, usualName, usualType] = found;
  const file: WhatsAppFile = content[field] ?? {};
  const mimeType = file.mimetype?.split(';')[0] || usualType;
  const kind = usualKind === 'document' && mimeType.startsWith('image/') ? 'image' : usualKind;
  const sizeBytes = Number(file.fileLength ?? 0);
  const mediaKey = Buffer.from(file.mediaKey ?? []).toString('base64');
  const named = { fileName: safeFileName(file.fileName || (file.ptt ? 'voice.ogg' : usualName)), mimeType, sizeBytes };
  const ref = JSON.stringify({ type, mediaKey, directPath: file.directPath ?? '', sizeBytes });
  return [{ ...named, kind: file.ptt ? 'voice' : kind, ref }];
}
