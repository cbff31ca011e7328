// The rows that several floors work with; any other row's schema stands beside its SQL, in the module that owns the table. All times are
// epoch ms. The words, in code, SQL and logs:
// - message: a text with its media, inbound or outbound
// - chat: a conversation on a channel
// - group: the agent that chats are routed to, with a folder, a memory and a container; the main group is the owner's
// - sender: a person in a chat; the owner is the one who paired
// - session: one conversation history of the agent
// - run: one piece of work in a session
// - attempt: one try of a run, counted when it starts
// - lease: the right of one process to work on a run, until the attempt ends or the process is gone
// - task: a stored instruction with a schedule; slot: one planned occurrence of it
// - idempotency key: the name that makes a second insert do nothing
// - dead letter: a run or an outgoing message that is out of attempts, kept for the owner
import { z } from 'zod';
import { errorClass, promptMedia, senderRole } from '../wire.js';
import { flag, json } from './statements.js';

// A column that could hide a whole message, run or chat when it is bad has a value to fall back to. The tables' own types exclude the rest.
const knownError = errorClass.nullable().catch('unknown');

export const groupRow = z.object({
  id: z.number(),
  /** Directory below groups/; also the name people use. */
  folder: z.string(),
  isMain: flag,
  /** Set while runs of the group wait for a person or a later time: `auth` or `budget`. */
  parkedClass: knownError,
  parkedUntil: z.number().nullable(),
  parkCount: z.number(),
});
export type Group = z.infer<typeof groupRow>;

export const sendersPolicy = z.enum(['all', 'listed']);

/** What a chat is shown while a run works: nothing; what it does now; also what it did before, and the runs of tasks. */
export const progressMode = z.enum(['off', 'quiet', 'full']);

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
  progress: progressMode,
});
export type Chat = z.infer<typeof chatRow>;

/** Name of the session a chat is in now; also the base name of its history file. */
export function sessionName(chat: Pick<Chat, 'id' | 'sessionNumber'>): string {
  return `chat${chat.id}-${chat.sessionNumber}`;
}

const storedMedia = promptMedia.omit({ index: true }).extend({
  sizeBytes: z.int().nonnegative().catch(0),
  /** The channel's own handle. */
  ref: z.string(),
  /** Set once the bytes lie in data/media. */
  fetched: z.boolean().optional(),
});
export type StoredMedia = z.infer<typeof storedMedia>;

const quotedMessage = z.object({ platformId: z.string(), sender: z.string(), text: z.string() });

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
  /** Pinch itself says it, e.g. what the owner answered. */
  byHost: flag,
  /** The row of the outbox that we sent, or that somebody answers by a press, a reaction or one word. */
  outboxId: z.number().nullable(),
  /** The platform's name of what its sender sent together with it. */
  album: z.string().nullable(),
  /** The earlier version of it, which a run had taken. */
  replaces: z.number().nullable(),
});
export type StoredMessage = z.infer<typeof messageRow>;

export const runState = z.enum(['ready', 'leased', 'done', 'dead', 'cancelled']);

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
  /** How many attempts ended like that in all: they are not its failures. */
  attemptsLost: z.number(),
  /** Pinch ended in the middle of its latest attempt. */
  interrupted: flag,
  /** Not before this time. */
  runAt: z.number(),
  leaseOwner: z.string().nullable(),
  /** 1 once somebody asked to stop it: it must not be tried again. */
  cancelRequested: z.number(),
  errorClass: knownError,
  error: z.string().nullable(),
  taskId: z.number().nullable(),
  /** Which run it repeats. */
  replayOf: z.number().nullable(),
  /** Nothing that it does leaves its container: it has one of its own, and the host holds back what that asks for. */
  dry: flag,
  /** In the place of the one that it would have worked with. */
  model: z.string().nullable(),
  /** In the place of what was asked. */
  prompt: z.string().nullable(),
  /** The chat that is told how a dry run went. */
  reportChat: z.number().nullable(),
  createdAt: z.number(),
  startedAt: z.number().nullable(),
  finishedAt: z.number().nullable(),
});
export type Run = z.infer<typeof runRow>;
