// Slack's events as inbound messages: who, where, which words, which files. Pure; names are looked up by slack-inbox.ts.
import { z } from 'zod';
import type { InboundMedia } from './channel.js';
import { safeFileName } from './file-name.js';
import { mentionOf } from './mention.js';

const slackFile = z.object({
  id: z.string(),
  name: z.string().nullish(),
  mimetype: z.string().nullish(),
  size: z.number().nullish(),
  /** `tombstone`, `hidden_by_limit` and `external` cannot be had. */
  mode: z.string().nullish(),
  subtype: z.string().nullish(),
});

export const slackMessage = z.object({
  /** Time and name of the message in one, unique within its channel. */
  ts: z.string().regex(/^\d+\.\d+$/),
  user: z.string().optional(),
  bot_id: z.string().optional(),
  subtype: z.string().optional(),
  text: z.string().default(''),
  thread_ts: z.string().optional(),
  latest_reply: z.string().optional(),
  edited: z.object({ ts: z.string() }).optional(),
  files: z.array(slackFile).default([]),
});
export type SlackMessage = z.infer<typeof slackMessage>;

const event = z.union([
  z.object({
    type: z.literal('message'),
    subtype: z.literal('message_changed'),
    channel: z.string(),
    message: slackMessage,
    previous_message: slackMessage.optional(),
  }),
  slackMessage.extend({ type: z.literal('message'), channel: z.string() }),
  z.object({ type: z.literal('channel_id_changed'), old_channel_id: z.string(), new_channel_id: z.string() }),
]);

export type Update =
  | { kind: 'message'; channel: string; message: SlackMessage; edited: boolean }
  | { kind: 'moved'; from: string; to: string }
  | { kind: 'ignore' };

/** Never throws: what is no message of a person, or has another form, is ignored. */
export function readEvent(type: string, body: unknown): Update {
  const parsed = z.object({ event }).safeParse(body);
  if (type !== 'events_api' || !parsed.success) return { kind: 'ignore' };
  const seen = parsed.data.event;
  if (seen.type === 'channel_id_changed') return { kind: 'moved', from: seen.old_channel_id, to: seen.new_channel_id };
  if (!('message' in seen)) return updateOf(seen.channel, seen, false);
  // Slack also reports that it has added a preview of a link.
  if (seen.previous_message?.text === seen.message.text) return { kind: 'ignore' };
  return updateOf(seen.channel, seen.message, true);
}

/** What people say; joins, topics, deletions and other programs are not. */
const SPOKEN = new Set([undefined, 'file_share', 'me_message', 'thread_broadcast']);

export function updateOf(channel: string, message: SlackMessage, edited: boolean): Update {
  const spoken = message.user !== undefined && message.bot_id === undefined && SPOKEN.has(message.subtype);
  const empty = message.text.trim() === '' && mediaOf(message).length === 0;
  return spoken && !empty ? { kind: 'message', channel, message, edited } : { kind: 'ignore' };
}

/** Ids of the people that the text mentions. */
export const mentionedIn = (text: string): string[] => [...text.matchAll(/<@([UW]\w+)/g)].map(([, id = '']) => id);

interface Self {
  userId: string;
  assistantName: string;
}

/** Text as people read it (https://docs.slack.dev/messaging/formatting-message-text): names for ids, addresses, no entities. */
export function plainText(text: string, names: ReadonlyMap<string, string>, self: Self): string {
  const shown = text.replace(
    /<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>/g,
    (whole, sign: string, target: string, label: string | undefined, at: number) => {
      if (sign === '@' && target === self.userId) return `@${self.assistantName}`;
      const rest = text.slice(at + whole.length, at + whole.length + 200);
      if (sign === '@') return mentionOf(names.get(target) ?? label ?? '', rest, self.assistantName);
      if (sign === '#') return `#${label || target}`;
      if (sign === '!') return label ?? `@${target.replace(/^subteam\^/, '')}`;
      const address = target.replace(/^mailto:/, '');
      return label === undefined || label === address ? address : `${label} (${address})`;
    },
  );
  return shown.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&').trim();
}

/** A command addressed to us loses the address: Slack keeps lines that begin with a slash for itself. */
export const withoutAddress = (text: string, own: string): string =>
  text.startsWith(`<@${own}>`) ? text.replace(/^<@\w+>\s*(?=\/)/, '') : text;

const KINDS = [
  [/^image\//, 'image'],
  [/^audio\//, 'audio'],
  [/^video\//, 'video'],
] as const;

export function mediaOf({ files }: SlackMessage): InboundMedia[] {
  const present = files.filter(({ mode }) => !['tombstone', 'hidden_by_limit', 'external'].includes(mode ?? ''));
  return present.map(({ id, name, mimetype, size, subtype }) => {
    const mimeType = mimetype || 'application/octet-stream';
    const kind = KINDS.find(([pattern]) => pattern.test(mimeType))?.[1] ?? 'document';
    return {
      kind: subtype === 'slack_audio' ? 'voice' : kind,
      fileName: safeFileName(name ?? 'file'),
      mimeType,
      sizeBytes: size ?? 0,
      ref: id,
    };
  });
}
