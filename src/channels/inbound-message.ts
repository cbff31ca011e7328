// What every channel hands over, and the check that it passes before anything is stored. A platform's people choose names, sizes, times and
// ids: what cannot be a row is made one here, so that no message can stop those behind it.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { oneLine } from '../core/one-line.js';
import { safeFileName } from './file-name.js';

const MAX_TEXT_CHARS = 100_000;
const MAX_QUOTE_CHARS = 500;
const MAX_VALUE_CHARS = 64;
const MAX_MEDIA = 50;
const MAX_ALBUM = 100;
const MAX_ID_CHARS = 512;
const MAX_REF_CHARS = 16_384;
const DAY_MS = 86_400_000;

/** Two ids stay two: one that no platform would make is told from others by its digest. */
const identifier = z.string().transform((id) => {
  if (id.length <= MAX_ID_CHARS && !/[\p{Cc}\p{Cs}]/u.test(id)) return id;
  return `${oneLine(id, 100)}~${createHash('sha256').update(Buffer.from(id, 'utf16le')).digest('base64url')}`;
});

/** What somebody calls themselves, or a chat. */
const label = z
  .string()
  .catch('')
  .transform((text) => oneLine(text, 200));

const words = (max: number, mark: string) =>
  z
    .string()
    .catch('')
    .transform((text) => {
      const whole = text.replace(/\p{Cs}|\0/gu, '\ufffd');
      if (whole.length <= max) return whole;
      return `${whole.slice(0, max).replace(/[\ud800-\udbff]$/, '')}${mark}`;
    });

const inboundMedia = z.object({
  kind: z.enum(['image', 'document', 'voice', 'audio', 'video']).catch('document'),
  /** A safe base name, no directories. */
  fileName: z.string().catch('file').transform(safeFileName),
  mimeType: z
    .string()
    .max(100)
    .regex(/^[\w.+-]+\/[\w.+-]+$/)
    .catch('application/octet-stream'),
  /** 0 when the platform does not say. */
  sizeBytes: z.int().nonnegative().catch(0),
  /** The channel's own handle; given back to `fetchMedia`. */
  ref: z.string().max(MAX_REF_CHARS).catch(''),
});
export type InboundMedia = z.infer<typeof inboundMedia>;

const inboundMessage = z.object({
  chat: z.object({ address: identifier, kind: z.enum(['direct', 'group']), title: label }),
  sender: z.object({
    /** What the platform knows the person by; never something people choose for themselves and others could take. */
    address: identifier,
    name: label,
    /** Unique on the whole platform, or not given. */
    username: label.optional(),
    /** Another address of the same person, as good as the first. */
    alias: identifier.optional(),
    /** The address is only a name in this chat, which somebody else could take: it gives no rights. */
    isNameOnly: z.boolean().optional(),
  }),
  /** The platform's id of the message, unique within the chat. */
  platformId: identifier,
  text: words(MAX_TEXT_CHARS, `\n[cut: it was longer than ${MAX_TEXT_CHARS} characters]`),
  /** Epoch ms, the platform's time; for display only, never for order. */
  sentAt: z.number().catch(-1),
  /**
   * A native mention of the assistant, or a reply to one of its messages where the platform itself says so. A quote that the sender's program
   * makes proves nothing: intake looks whether we sent such a message. The `@Name` text rule is intake's as well.
   */
  addressesAssistant: z.boolean().catch(false),
  /** Never starts work: a reaction, or what somebody says as the assistant's own account. */
  contextOnly: z.boolean().optional(),
  /** Somebody else's words, passed on: never a command, never a call for the assistant. */
  forwarded: z.boolean().catch(false),
  /**
   * Somebody pressed a button of our message `platformId` (the text is then empty), or reacted to it: `value` is then the emoji, '' when it was
   * taken back. What was sent under that id, only our own rows say.
   */
  press: z.object({ platformId: identifier, value: words(MAX_VALUE_CHARS, '') }).optional(),
  /** What is answered, as it reached us: shown as claimed unless we have the message itself, by this id. */
  replyTo: z
    .object({ platformId: identifier, sender: label, text: words(MAX_QUOTE_CHARS, '…') })
    .optional()
    .catch(undefined),
  /** True for a new version of a message that was received before (same platformId). */
  edited: z.boolean().catch(false),
  media: z.array(inboundMedia).catch([]),
  /**
   * Pictures and files that were sent together, each a message of its own: they are one question of their sender. `size` where this message
   * only says how many will follow.
   */
  album: z
    .object({ id: identifier, size: z.int().positive().max(MAX_ALBUM).optional().catch(undefined) })
    .optional()
    .catch(undefined),
});
export type InboundMessage = z.infer<typeof inboundMessage>;

/** The message as it can be stored; undefined when nothing says where it belongs. Never throws. */
export function checkInbound(given: unknown, now: number): InboundMessage | undefined {
  const { data } = inboundMessage.safeParse(given);
  if (!data) return undefined;
  const { chat, sender, sentAt, media, text } = data;
  const isTime = sentAt >= 0 && sentAt <= now + DAY_MS;
  const left = media.length - MAX_MEDIA;
  return {
    ...data,
    chat: { ...chat, title: chat.title || oneLine(chat.address, 200) },
    sender: { ...sender, name: sender.name || oneLine(sender.address, 200) },
    sentAt: isTime ? Math.floor(sentAt) : now,
    media: media.slice(0, MAX_MEDIA),
    text: left > 0 ? `${text}\n[${left} more files were left out]`.trimStart() : text,
  };
}
