// Discord's messages as inbound ones: who, which words, which files. Pure. Names of chats are looked up by discord-inbox.ts.
import { z } from 'zod';
import type { InboundMedia, InboundMessage } from './channel.js';
import { safeFileName } from './file-name.js';
import { mentionOf } from './mention.js';

export const person = z.object({
  id: z.string(),
  username: z.string(),
  global_name: z.string().nullish(),
  bot: z.boolean().optional(),
});

const attachment = z.object({
  id: z.string(),
  filename: z.string(),
  size: z.number(),
  url: z.string(),
  content_type: z.string().nullish(),
});

const baseMessage = z.object({
  /** A snowflake: larger is later, https://discord.com/developers/docs/reference#snowflakes. */
  id: z.string().regex(/^\d+$/),
  channel_id: z.string(),
  type: z.number(),
  author: person,
  webhook_id: z.string().optional(),
  content: z.string(),
  timestamp: z.string(),
  edited_timestamp: z.string().nullish(),
  mentions: z.array(person).default([]),
  attachments: z.array(attachment).default([]),
  sticker_items: z.array(z.object({ name: z.string() })).default([]),
});

/** What a forward passes on; nobody says whose words they are. */
const snapshot = z.object({
  message: z.object({
    content: z.string().default(''),
    attachments: z.array(attachment).default([]),
    mentions: z.array(person).default([]),
  }),
});

export const discordMessage = baseMessage.extend({
  message_snapshots: z.array(snapshot).default([]),
  referenced_message: baseMessage.nullish().catch(undefined),
});
export type DiscordMessage = z.infer<typeof discordMessage>;
type BaseMessage = z.infer<typeof baseMessage>;
type Person = z.infer<typeof person>;

const DEFAULT = 0;
const REPLY = 19;

export const nameOf = ({ global_name: name, username }: Person): string => name || username;

/** What people say; joins, pins, other bots and webhooks are not. */
export function isSpoken(message: DiscordMessage): boolean {
  if (message.author.bot || message.webhook_id !== undefined) return false;
  if (message.type !== DEFAULT && message.type !== REPLY) return false;
  return textOf(message, NOBODY) !== '' || forwardedText(message, NOBODY) !== '' || message.attachments.length > 0;
}

export interface Context {
  chat: InboundMessage['chat'];
  self: { id: string };
  assistantName: string;
  edited: boolean;
}

export function inboundOf(message: DiscordMessage, { chat, self, assistantName, edited }: Context): InboundMessage {
  const { author, referenced_message: replied, mentions } = message;
  const passedOn = message.message_snapshots.flatMap((one) => one.message.mentions);
  const people = [...mentions, ...(replied?.mentions ?? []), ...passedOn];
  const names: Names = { self: self.id, assistantName, of: new Map(people.map((one) => [one.id, nameOf(one)])) };
  return {
    chat,
    sender: { address: author.id, name: nameOf(author), username: author.username },
    platformId: message.id,
    text: textOf(message, names) || forwardedText(message, names),
    forwarded: message.message_snapshots.length > 0,
    sentAt: Date.parse(message.edited_timestamp ?? message.timestamp),
    addressesAssistant: mentions.some(({ id }) => id === self.id) || replied?.author.id === self.id,
    ...(replied && {
      replyTo: {
        platformId: replied.id,
        sender: replied.author.id === self.id ? assistantName : nameOf(replied.author),
        text: textOf(replied, names),
      },
    }),
    edited,
    media: mediaOf(message),
  };
}

/** What Discord says of those whom a message mentions. */
interface Names {
  self: string;
  assistantName: string;
  of: ReadonlyMap<string, string>;
}
const NOBODY: Names = { self: '', assistantName: '', of: new Map() };

/** Words as people read them (https://discord.com/developers/docs/reference#message-formatting). */
function textOf({ content, sticker_items: stickers }: BaseMessage, names: Names): string {
  return wordsOf(content, names) || stickers.map(({ name }) => `[sticker ${name}]`).join(' ');
}

function wordsOf(content: string, { self, assistantName, of }: Names): string {
  return content
    .replace(/<@!?(\d+)>/g, (whole, id: string, at: number) =>
      id === self
        ? `@${assistantName}`
        : mentionOf(of.get(id) ?? '', content.slice(at + whole.length, at + whole.length + 200), assistantName),
    )
    .replace(/<@&\d+>/g, '@some-role')
    .replace(/<a?:(\w+):\d+>/g, ':$1:')
    .replace(/<#(\d+)>/g, '#$1')
    .trim();
}

const forwardedText = ({ message_snapshots: snapshots }: DiscordMessage, names: Names): string =>
  snapshots
    .flatMap(({ message }) => [
      wordsOf(message.content, names),
      ...message.attachments.map(({ filename }) => `[file: ${filename}]`),
    ])
    .filter(Boolean)
    .join('\n');

const KINDS = [
  [/^image\//, 'image'],
  [/^audio\//, 'audio'],
  [/^video\//, 'video'],
] as const;

/** An attachment's address expires after a day: what is kept is where to ask for a new one. */
function mediaOf({ id: message, channel_id: channel, attachments }: DiscordMessage): InboundMedia[] {
  return attachments.map(({ id, filename, size, content_type: type }) => {
    const mimeType = type?.split(';')[0] || 'application/octet-stream';
    const kind = KINDS.find(([pattern]) => pattern.test(mimeType))?.[1] ?? 'document';
    const voice = filename === 'voice-message.ogg';
    const ref = `${channel}/${message}/${id}`;
    return { kind: voice ? 'voice' : kind, fileName: safeFileName(filename), mimeType, sizeBytes: size, ref };
  });
}
