// The rows of the store as the rest of the code sees them (design §2 has the words). All times are epoch ms.
import { z } from 'zod';
import { errorClass, promptMedia, senderRole } from '../wire.js';

const flag = z.number().transform((value) => value === 1);
/** A column that holds JSON of this shape. */
export function json<Schema extends z.ZodType>(schema: Schema) {
  const value = z.string().transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'it is no JSON' });
      return z.NEVER;
    }
  });
  return value.pipe(schema);
}

// Where one bad column would hide a whole message, run or chat, it has a value to fall back to; the table's own types do the rest.
const knownError = errorClass.nullable().catch('unknown');

export const groupRow = z.object({
  id: z.number(),
  /** Directory below groups/; also the name people use. */
  folder: z.string(),
  isMain: flag,
  /** Overrides PINCH_MODEL. */
  model: z.string().nullable(),
  /** Set while runs of the group wait for a person or a later time: `auth` or `budget`. */
  parkedClass: knownError,
  parkedUntil: z.number().nullable(),
  parkCount: z.number(),
});
export type Group = z.infer<typeof groupRow>;

export const sendersPolicy = z.enum(['all', 'listed']);
export type SendersPolicy = z.infer<typeof sendersPolicy>;

export const chatRow = z.object({
  id: z.number(),
  channel: z.string(),
  address: z.string(),
  kind: z.enum(['direct', 'group']),
  title: z.string(),
  /** Null while nobody registered the chat: it is then never answered. */
  groupId: z.number().nullable(),
  sessionNumber: z.number(),
  sendersPolicy,
  /** Sender addresses, and `@` with user names, that may trigger under policy `listed`. */
  listedSenders: json(z.array(z.string())).catch([]),
});
export type Chat = z.infer<typeof chatRow>;

export const senderRow = z.object({ id: z.number(), isOwner: flag });
export type Sender = z.infer<typeof senderRow>;

/** Name of the session a chat is in now; also the base name of its history file. */
export function sessionName(chat: Pick<Chat, 'id' | 'sessionNumber'>): string {
  return `chat${chat.id}-${chat.sessionNumber}`;
}

export const storedMedia = promptMedia.omit({ index: true }).extend({
  sizeBytes: z.int().nonnegative().catch(0),
  /** The channel's own handle. */
  ref: z.string(),
  /** Set once the bytes lie in data/media. */
  fetched: z.boolean().optional(),
});
export type StoredMedia = z.infer<typeof storedMedia>;

export const quotedMessage = z.object({ platformId: z.string(), sender: z.string(), text: z.string() });

export const messageRow = z.object({
  id: z.number(),
  chatId: z.number(),
  direction: z.enum(['in', 'out']),
  platformId: z.string(),
  senderName: z.string(),
  text: z.string(),
  replyTo: json(quotedMessage).nullable().catch(null),
  media: json(z.array(storedMedia)).catch([]),
  sentAt: z.number(),
  edited: flag,
  senderId: z.number().nullable(),
  /** Who spoke, as it was known when the message came; null for our own and for old ones. */
  role: senderRole.nullable().catch(null),
  /** Their words may start work in that chat. */
  mayAsk: flag,
  forwarded: flag,
});
export type StoredMessage = z.infer<typeof messageRow>;
/** With whether a run that already started carries it, so that its text may have reached the model. */
export const storedVersion = messageRow.extend({ assigned: flag });

export const runState = z.enum(['ready', 'leased', 'done', 'dead', 'cancelled']);
export type RunState = z.infer<typeof runState>;

export const runRow = z.object({
  id: z.number(),
  key: z.string(),
  kind: z.enum(['message', 'task', 'hook', 'replay']),
  groupId: z.number(),
  chatId: z.number(),
  session: z.string(),
  state: runState,
  /** Tries started so far. */
  attempt: z.number(),
  /** How often in a row the host died while a runner had it. */
  cutOffs: z.number(),
  /** Not before this time. */
  runAt: z.number(),
  leaseOwner: z.string().nullable(),
  /** 1 once somebody asked to stop it: it must not be tried again. */
  cancelRequested: z.number(),
  errorClass: knownError,
  error: z.string().nullable(),
  taskId: z.number().nullable(),
  createdAt: z.number(),
  startedAt: z.number().nullable(),
  finishedAt: z.number().nullable(),
});
export type Run = z.infer<typeof runRow>;

export const eventRow = z.object({
  id: z.number(),
  runId: z.number(),
  at: z.number(),
  kind: z.string(),
  detail: json(z.record(z.string(), z.unknown())).catch({}),
});
export type RunEvent = z.infer<typeof eventRow>;

export const sentFile = z.object({ fileName: z.string(), mimeType: z.string(), path: z.string() });

export const outboxRow = z.object({
  id: z.number(),
  key: z.string(),
  chatId: z.number(),
  runId: z.number().nullable(),
  text: z.string(),
  /** The text split for the channel, fixed at the first try so that a retry sends the same parts. */
  parts: json(z.array(z.string())).nullable().catch(null),
  partsSent: z.number(),
  /** A file that goes with the text; `path` is the group's own name for it. */
  file: json(sentFile).nullable().catch(null),
  state: z.enum(['queued', 'sent', 'dead']),
  attempt: z.number(),
  nextAt: z.number(),
  error: z.string().nullable(),
  createdAt: z.number(),
  sentAt: z.number().nullable(),
});
export type OutboxRow = z.infer<typeof outboxRow>;

/** What one model call came to. */
export const modelCallRow = z.object({
  groupId: z.number(),
  runId: z.number().nullable(),
  at: z.number(),
  model: z.string(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  cacheReadTokens: z.number(),
  cacheWrite5mTokens: z.number(),
  cacheWrite1hTokens: z.number(),
  costMicroUsd: z.number(),
  /** The figures are our estimate: unknown price, or the stream was cut before the usage came. */
  estimated: flag,
  status: z.number(),
  stopReason: z.string().nullable(),
  durationMs: z.number(),
  firstByteMs: z.number().nullable(),
  requestId: z.string().nullable(),
});
export type ModelCallRow = z.infer<typeof modelCallRow>;
