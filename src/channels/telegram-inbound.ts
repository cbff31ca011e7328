// Telegram updates as inbound messages: who, where, which words, which files. Pure; knows no network.
import type {
  CallbackQuery,
  Chat,
  Document,
  Message,
  MessageEntity,
  MessageReactionUpdated,
  Update,
  User,
} from 'grammy/types';
import type { InboundMedia, InboundMessage } from './channel.js';
import { safeFileName } from './file-name.js';
import { type Topic, topicNews, topicOf } from './telegram-topics.js';

export type BotIdentity = { id: number; username: string };

export type Mapped =
  /** Its chat has the title of the whole group: what the topic is called is known to whoever keeps names. */
  | { kind: 'message'; message: InboundMessage; topic?: Topic | undefined }
  /** A group became a supergroup: its chat has a new address. */
  | { kind: 'moved'; from: string; to: string }
  | { kind: 'ignore' };

/** Never throws for an update the Bot API can send; what is no message of a person is ignored. */
export function mapUpdate(update: Update, bot: BotIdentity): Mapped {
  if (update.callback_query) return pressOf(update.callback_query);
  if (update.message_reaction) return reactionOf(update.message_reaction, update.update_id);
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
  const edited = update.edited_message !== undefined;
  return { kind: 'message', message: { ...message, edited }, topic: topicOf(source) };
}

/**
 * A button of ours. Telegram shows the message while it can; its chat and id are there also when it is too old, its topic is not (nor is it of
 * a reaction). A game and what was sent into another chat by way of this bot (inline mode) have no message of ours.
 */
function pressOf({ id, from, message, data }: CallbackQuery): Mapped {
  if (!message || data === undefined || from.is_bot) return { kind: 'ignore' };
  const press = { platformId: String(message.message_id), value: data };
  const who = { chat: placeOf(message, from), sender: senderOf(from) };
  return {
    kind: 'message',
    message: { ...WORDLESS, ...who, platformId: `press-${id}`, press },
    topic: topicOf(message),
  };
}

/** Of several emoji the new one counts. One of a pack that people buy has no name that we could give. */
function reactionOf(reaction: MessageReactionUpdated, updateId: number): Mapped {
  const { chat, user, actor_chat: asChat, message_id, date, old_reaction, new_reaction } = reaction;
  const before = emojiOf(old_reaction);
  const value = new_reaction.length === 0 ? '' : emojiOf(new_reaction).find((emoji) => !before.includes(emoji));
  if (value === undefined) return { kind: 'ignore' };
  const press = { platformId: String(message_id), value };
  const who = { chat: chatOf(chat, user), sender: senderOf(user ?? chat, user ? undefined : asChat) };
  // Telegram gives reactions no id, and may begin anew with those of updates after a silent week.
  const platformId = `reaction-${updateId}-${date}`;
  const replyTo = { platformId: press.platformId, sender: 'somebody', text: '[a message]' };
  const said = { text: `[reaction ${value || 'taken back'}]`, sentAt: date * 1_000, contextOnly: true };
  return { kind: 'message', message: { ...WORDLESS, ...who, ...said, platformId, replyTo, press } };
}

/** A press has no time: whoever takes it in gives it one. */
const WORDLESS = { text: '', sentAt: -1, forwarded: false, addressesAssistant: false, edited: false, media: [] };

const emojiOf = (reactions: MessageReactionUpdated['new_reaction']): string[] =>
  reactions.flatMap((reaction) => (reaction.type === 'emoji' ? [reaction.emoji] : []));

function chatOf(chat: Chat, other: User | undefined): InboundMessage['chat'] {
  const kind = chat.type === 'private' ? 'direct' : 'group';
  return { address: String(chat.id), kind, title: chat.title ?? nameOf(other) };
}

const titleOf = (chat: Chat): string => chat.title ?? nameOf(chat);

function placeOf(source: Parameters<typeof topicOf>[0], other: User | undefined): InboundMessage['chat'] {
  const chat = chatOf(source.chat, other);
  return { ...chat, address: topicOf(source)?.address ?? chat.address };
}

/** `asChat`: a group or channel in whose name somebody speaks. */
function senderOf(from: User | Chat, asChat?: Chat): InboundMessage['sender'] {
  if (asChat) return { address: String(asChat.id), name: asChat.title ?? 'Anonymous' };
  const name = { address: String(from.id), name: nameOf(from) };
  return from.username === undefined ? name : { ...name, username: from.username };
}

function messageOf(source: Message, bot: BotIdentity): Omit<InboundMessage, 'edited'> {
  const { chat, from, sender_chat: senderChat, reply_to_message: repliedTo, external_reply: elsewhere } = source;
  const story = source.reply_to_story;
  // The first message of a forum topic is what every other one in it formally replies to.
  const replied = repliedTo?.forum_topic_created ? undefined : repliedTo;
  const news = topicNews(source);
  return {
    chat: placeOf(source, from),
    sender: senderOf(from ?? chat, chat.type === 'private' ? undefined : senderChat),
    platformId: String(source.message_id),
    text: news || textOf(source, bot),
    ...(news && { contextOnly: true }),
    sentAt: (source.edit_date ?? source.date) * 1_000,
    forwarded: source.forward_origin !== undefined,
    addressesAssistant: mentions(source, bot) || replied?.from?.id === bot.id,
    ...(replied && { replyTo: quoteOf(replied, source, bot) }),
    ...(elsewhere && { replyTo: quoteFromElsewhere(elsewhere, source) }),
    ...(story && { replyTo: { platformId: `story-${story.id}`, sender: titleOf(story.chat), text: '[story]' } }),
    ...(source.media_group_id !== undefined && { album: { id: source.media_group_id } }),
    // What is replied to comes along: it may be from before anybody listened here.
    media: [source, replied, elsewhere].flatMap((one) => (one ? mediaOf(one) : [])),
  };
}

function quoteOf(replied: Message, source: Message, bot: BotIdentity): NonNullable<InboundMessage['replyTo']> {
  return {
    platformId: String(replied.message_id),
    sender: replied.sender_chat ? titleOf(replied.sender_chat) : nameOf(replied.from),
    text: partOf(source) ?? (textOf(replied, bot) || nameOfFile(replied) || '[a message]'),
  };
}

/** A reply to a message of another chat, which Telegram tells less of. */
function quoteFromElsewhere({ origin, message_id: id, ...shown }: ExternalReply, source: Message) {
  const of = {
    user: 'sender_user' in origin ? nameOf(origin.sender_user) : '',
    hidden_user: 'sender_user_name' in origin ? origin.sender_user_name : '',
    chat: 'sender_chat' in origin ? (origin.sender_chat.title ?? '') : '',
    channel: 'chat' in origin ? origin.chat.title : '',
  };
  const text = partOf(source) ?? (wordless(shown) || nameOfFile(shown) || '[a message]');
  return { platformId: `elsewhere-${id ?? origin.date}`, sender: of[origin.type] || 'Someone', text };
}
type ExternalReply = NonNullable<Message['external_reply']>;

/** What somebody chose of the message they reply to. */
const partOf = ({ quote }: Message): string | undefined => quote && withAddresses(quote.text, quote.entities ?? []);

/** A file without words, for a quotation. */
function nameOfFile(source: Files): string {
  const [file] = mediaOf(source);
  return file ? `[${file.kind}: ${file.fileName}]` : '';
}

const nameOf = (user: Pick<Chat, 'first_name' | 'last_name'> | undefined): string =>
  [user?.first_name, user?.last_name].filter(Boolean).join(' ') || 'Someone';

const wordsOf = (source: Message): string => source.text ?? source.caption ?? '';
const entitiesOf = (source: Message) => source.entities ?? source.caption_entities ?? [];

/** The words, with the address behind each that is a link; Telegram shows the words alone. */
const wordsWithLinks = (source: Message): string => withAddresses(wordsOf(source), entitiesOf(source));

function withAddresses(words: string, entities: MessageEntity[]): string {
  const links = entities.flatMap((entity) => {
    if (entity.type !== 'text_link') return [];
    const shown = words.slice(entity.offset, entity.offset + entity.length);
    return shown === entity.url ? [] : [{ end: entity.offset + shown.trimEnd().length, url: entity.url }];
  });
  return links
    .sort((a, b) => b.end - a.end)
    .reduce((all, { end, url }) => `${all.slice(0, end)} (${url})${all.slice(end)}`, words);
}

function mentions(source: Message, bot: BotIdentity): boolean {
  const own = `@${bot.username}`.toLowerCase();
  return entitiesOf(source).some((entity) => {
    if (entity.type === 'text_mention') return entity.user.id === bot.id;
    // Offsets count UTF-16 units, as JavaScript strings do.
    const words = wordsOf(source)
      .slice(entity.offset, entity.offset + entity.length)
      .toLowerCase();
    return entity.type === 'mention' ? words === own : entity.type === 'bot_command' && words.endsWith(own);
  });
}

/** The words; a command loses our address, before it, in it or behind it; what has no words is named in one line. */
function textOf(source: Message, bot: BotIdentity): string {
  const own = new RegExp(
    `^(?:@${bot.username}[\\s,:]+)?(/[a-z0-9_]+)(?:@${bot.username}\\b|((?:\\s+\\S+){0,2}?)\\s+@${bot.username}[\\s.!]*$)?`,
    'i',
  );
  const words = wordsWithLinks(source).replace(own, '$1$2');
  return (words || wordless(source)).trim();
}

function wordless({ venue, location, contact, poll, dice, sticker, ...rest }: Wordless): string {
  if (venue) return `[place: ${venue.title}, ${venue.address}]`;
  if (location) return `[location: ${location.latitude}, ${location.longitude}]`;
  if (contact) return `[contact: ${nameOf(contact)} ${contact.phone_number}]`;
  if (poll) return `[poll: ${poll.question} — ${poll.options.map((option) => option.text).join(' / ')}]`;
  if (dice) return `[dice ${dice.emoji}: ${dice.value}]`;
  return sticker ? `[sticker ${sticker.emoji ?? ''}]` : offerOf(rest);
}

function offerOf({ checklist, invoice, game, story, giveaway, paid_media: paid }: Partial<Wordless>): string {
  if (checklist) return `[checklist: ${checklist.title} — ${checklist.tasks.map(({ text }) => text).join(' / ')}]`;
  if (invoice) return `[invoice: ${invoice.title}, ${invoice.description}]`;
  if (game) return `[game: ${game.title}, ${game.description}]`;
  if (giveaway) return '[giveaway]';
  if (paid) return '[pictures or videos that cost stars]';
  return story ? '[story]' : '';
}

type Wordless = Pick<
  Message,
  | ('venue' | 'location' | 'contact' | 'poll' | 'dice' | 'sticker')
  | ('checklist' | 'invoice' | 'game' | 'story' | 'giveaway' | 'paid_media')
>;

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

type Files = Pick<Message, (typeof FILES)[number][0]>;

function mediaOf(source: Files): InboundMedia[] {
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
