// Telegram updates as inbound messages: who, where, which words, which files. Pure; knows no network.
import type { Document, Message, Update, User, UserFromGetMe } from 'grammy/types';
import type { InboundMedia, InboundMessage } from './channel.js';
import { safeFileName } from './file-name.js';

export type BotIdentity = Pick<UserFromGetMe, 'id' | 'username'>;

export type Mapped =
  | { kind: 'message'; message: InboundMessage }
  /** A group became a supergroup: its chat has a new address. */
  | { kind: 'moved'; from: string; to: string }
  | { kind: 'ignore' };

/** Never throws for an update the Bot API can send; what is no message of a person is ignored. */
export function mapUpdate(update: Update, bot: BotIdentity): Mapped {
  const source = update.message ?? update.edited_message;
  if (!source) return { kind: 'ignore' };
  if (source.migrate_to_chat_id !== undefined) {
    return { kind: 'moved', from: String(source.chat.id), to: String(source.migrate_to_chat_id) };
  }
  if (source.from?.is_bot && !source.sender_chat) return { kind: 'ignore' };
  // A channel's post in its discussion group, and a live location that moves: nobody says anything to us.
  if (source.is_automatic_forward || (update.edited_message && source.location)) return { kind: 'ignore' };
  const message = messageOf(source, bot);
  if (message.text === '' && message.media.length === 0) return { kind: 'ignore' };
  return { kind: 'message', message: { ...message, edited: update.edited_message !== undefined } };
}

function messageOf(source: Message, bot: BotIdentity): Omit<InboundMessage, 'edited'> {
  const { chat, from, sender_chat: senderChat, reply_to_message: repliedTo } = source;
  const direct = chat.type === 'private';
  const asChat = direct ? undefined : senderChat;
  // The first message of a forum topic is what every other one in it formally replies to.
  const replied = repliedTo?.forum_topic_created ? undefined : repliedTo;
  return {
    chat: { address: String(chat.id), kind: direct ? 'direct' : 'group', title: chat.title ?? nameOf(from) },
    sender: {
      address: String((asChat ?? from ?? chat).id),
      name: asChat ? (asChat.title ?? 'Anonymous') : nameOf(from),
      ...(asChat || from?.username === undefined ? {} : { username: from.username }),
    },
    platformId: String(source.message_id),
    text: textOf(source, bot),
    sentAt: (source.edit_date ?? source.date) * 1_000,
    forwarded: source.forward_origin !== undefined,
    addressesAssistant: mentions(source, bot) || replied?.from?.id === bot.id,
    ...(replied ? { replyTo: quoteOf(replied, source, bot) } : {}),
    media: mediaOf(source),
  };
}

function quoteOf(replied: Message, source: Message, bot: BotIdentity): NonNullable<InboundMessage['replyTo']> {
  return {
    platformId: String(replied.message_id),
    sender: nameOf(replied.from),
    text: source.quote?.text ?? textOf(replied, bot),
  };
}

const nameOf = (user: Pick<User, 'first_name' | 'last_name'> | undefined): string =>
  [user?.first_name, user?.last_name].filter(Boolean).join(' ') || 'Someone';

const wordsOf = (source: Message): string => source.text ?? source.caption ?? '';

function mentions(source: Message, bot: BotIdentity): boolean {
  const own = `@${bot.username}`.toLowerCase();
  return (source.entities ?? source.caption_entities ?? []).some((entity) => {
    if (entity.type === 'text_mention') return entity.user.id === bot.id;
    // Offsets count UTF-16 units, as JavaScript strings do.
    const words = wordsOf(source)
      .slice(entity.offset, entity.offset + entity.length)
      .toLowerCase();
    return entity.type === 'mention' ? words === own : entity.type === 'bot_command' && words.endsWith(own);
  });
}

/** The words; a command addressed to us loses the address; what has no words is named in one line. */
function textOf(source: Message, bot: BotIdentity): string {
  const own = new RegExp(`^(/[a-z0-9_]+)@${bot.username}\\b`, 'i');
  const words = wordsOf(source).replace(own, '$1');
  return (words || wordless(source)).trim();
}

function wordless({ venue, location, contact, poll, dice, sticker }: Message): string {
  if (venue) return `[place: ${venue.title}, ${venue.address}]`;
  if (location) return `[location: ${location.latitude}, ${location.longitude}]`;
  if (contact) return `[contact: ${nameOf(contact)} ${contact.phone_number}]`;
  if (poll) return `[poll: ${poll.question} — ${poll.options.map((option) => option.text).join(' / ')}]`;
  if (dice) return `[dice ${dice.emoji}: ${dice.value}]`;
  return sticker ? `[sticker ${sticker.emoji ?? ''}]` : '';
}

/** Where a message holds a file, in the order to look: an animation comes with a document that is the same file. */
const FILES = [
  ['photo', 'image', 'photo.jpg', 'image/jpeg'],
  ['animation', 'video', 'animation.mp4', 'video/mp4'],
  ['document', 'document', 'file', 'application/octet-stream'],
  ['voice', 'voice', 'voice.ogg', 'audio/ogg'],
  ['audio', 'audio', 'audio.mp3', 'audio/mpeg'],
  ['video', 'video', 'video.mp4', 'video/mp4'],
  ['video_note', 'video', 'video-note.mp4', 'video/mp4'],
  ['sticker', 'image', 'sticker.webp', 'image/webp'],
] as const;

function mediaOf(source: Message): InboundMedia[] {
  if (source.sticker?.is_animated || source.sticker?.is_video) return [];
  const found = FILES.find(([field]) => source[field] !== undefined);
  if (!found) return [];
  const [field, kind, name, type] = found;
  const file: TelegramFile | undefined = field === 'photo' ? source.photo?.at(-1) : source[field];
  if (!file) return [];
  const mimeType = file.mime_type ?? type;
  return [
    {
      kind: kind === 'document' && mimeType.startsWith('image/') ? 'image' : kind,
      fileName: safeFileName(file.file_name ?? name),
      mimeType,
      sizeBytes: file.file_size ?? 0,
      ref: file.file_id,
    },
  ];
}

type TelegramFile = Pick<Document, 'file_id' | 'file_size' | 'file_name' | 'mime_type'>;
