// The rows of the store as the rest of the code sees them (design §2 has the words). All times are epoch ms.
import { z } from 'zod';
import type { ErrorClass } from './wire.js';

export interface Group {
  id: number;
  /** Directory below groups/; also the name people use. */
  folder: string;
  isMain: boolean;
  /** Overrides PINCH_MODEL. */
  model: string | null;
  /** Set while runs of the group wait for a person or a later time: `auth` or `budget`. */
  parkedClass: ErrorClass | null;
  parkedUntil: number | null;
  parkCount: number;
}

export const sendersPolicy = z.enum(['all', 'listed']);
export type SendersPolicy = z.infer<typeof sendersPolicy>;

export interface Chat {
  id: number;
  channel: string;
  address: string;
  kind: 'direct' | 'group';
  title: string;
  /** Null while nobody registered the chat: it is then never answered. */
  groupId: number | null;
  sessionNumber: number;
  sendersPolicy: SendersPolicy;
  /** Sender addresses, user names or display names that may trigger under policy `listed`. */
  listedSenders: string[];
}

/** Name of the session a chat is in now; also the base name of its history file. */
export function sessionName(chat: Pick<Chat, 'id' | 'sessionNumber'>): string {
  return `chat${chat.id}-${chat.sessionNumber}`;
}

export const storedMedia = z.object({
  kind: z.enum(['image', 'document', 'voice', 'audio', 'video']),
  fileName: z.string(),
  mimeType: z.string(),
  sizeBytes: z.number().int(),
  ref: z.string(),
  /** Set once the bytes lie in data/media. */
  fetched: z.boolean().optional(),
  error: z.string().optional(),
});
export type StoredMedia = z.infer<typeof storedMedia>;

export const quotedMessage = z.object({ platformId: z.string(), sender: z.string(), text: z.string() });

export interface StoredMessage {
  id: number;
  chatId: number;
  direction: 'in' | 'out';
  platformId: string;
  senderName: string;
  text: string;
  replyTo: z.infer<typeof quotedMessage> | null;
  media: StoredMedia[];
  sentAt: number;
  edited: boolean;
}

export const runState = z.enum(['ready', 'leased', 'done', 'dead', 'cancelled']);
export type RunState = z.infer<typeof runState>;

export interface Run {
  id: number;
  key: string;
  kind: 'message' | 'task' | 'hook' | 'replay';
  groupId: number;
  chatId: number;
  session: string;
  state: RunState;
  /** Tries started so far. */
  attempt: number;
  /** Not before this time. */
  runAt: number;
  leaseOwner: string | null;
  /** 1 once somebody asked to stop it: it must not be tried again. */
  cancelRequested: number;
  errorClass: ErrorClass | null;
  error: string | null;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
}

export interface RunEvent {
  id: number;
  runId: number;
  at: number;
  kind: string;
  detail: Record<string, unknown>;
}

export interface OutboxRow {
  id: number;
  key: string;
  chatId: number;
  runId: number | null;
  text: string;
  /** The text split for the channel, fixed at the first try so that a retry sends the same parts. */
  parts: string[] | null;
  partsSent: number;
  state: 'queued' | 'sent' | 'dead';
  attempt: number;
  nextAt: number;
  error: string | null;
  createdAt: number;
  sentAt: number | null;
}
