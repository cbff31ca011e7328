// The contract every channel keeps. A channel turns a platform's events into `InboundMessage`s and sends `OutboundPart`s;
// it knows nothing about groups, runs or the store.
import type { Logger } from 'pino';
import type { z } from 'zod';
import type { Clock } from '../core/clock.js';
import type { InboundMessage } from './inbound-message.js';

export type { InboundMedia, InboundMessage } from './inbound-message.js';

export interface OutboundFile {
  /** Where its bytes lie on this machine. */
  path: string;
  fileName: string;
  mimeType: string;
}

/** What a person may press below a message. `value` comes back with the press: 1 to 64 ASCII characters. */
export interface Button {
  label: string;
  value: string;
}

export interface OutboundPart {
  /** Of the chat; a topic of it, which is a chat of its own, is `<chat>/<topic>`. */
  address: string;
  /** Markdown, already within the channel's length limit (a result of `split`). */
  text: string;
  /** A file that goes with the text, which is then its caption of at most 1,000 characters. */
  file?: OutboundFile;
  /** Shown where the platform has buttons. The text says how to answer without them. */
  buttons?: Button[];
  /** What it answers is quoted, where the platform can; one that is not there any more is left out. */
  replyTo?: MessageRef & { text: string };
  /** Nobody is notified, where the platform can. */
  silent?: boolean;
  /** Stable name of this part: `<outbox row id>.<part number>`. Sending the same key again must not duplicate where the platform allows. */
  key: string;
}

/** A message on its platform; `sender`: the address of who wrote it. */
export interface MessageRef {
  platformId: string;
  sender: string;
}

/** What a message of ours is to say from now on. */
export interface Edit extends Pick<OutboundPart, 'address' | 'text' | 'buttons'> {
  platformId: string;
  /** Nobody misses it: refused with `retry` where it would have to wait, or hold up a message. */
  passing?: boolean;
}

/** How a channel takes edits. */
export interface Edits {
  /** `send` can be silent. Elsewhere what is said about work on its way is said late, and turned into the answer. */
  silent: boolean;
  /** Least pause between two of them in a direct chat, ms; in a group twice that. */
  gapMs: number;
  /** How long after it was sent a message may be edited. */
  forMs: number;
}

/** What went wrong with a send or a fetch. `network`: keep trying for days; `retry`: back off, give up after some attempts; `permanent`: never try again. */
export class ChannelError extends Error {
  readonly retryAfterMs: number | undefined;
  /** Only a person can put it right, as the message says: how long a connection waits before it looks whether they did, ms. */
  readonly lookAgainMs: number | undefined;

  constructor(
    readonly kind: 'network' | 'retry' | 'permanent',
    message: string,
    { retryAfterMs, lookAgainMs, cause }: { retryAfterMs?: number; lookAgainMs?: number; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.name = 'ChannelError';
    this.retryAfterMs = retryAfterMs;
    this.lookAgainMs = lookAgainMs;
  }
}

export interface ChannelState {
  /** Those in `NEEDS_PERSON` go on only when somebody does something; `detail` then says what. */
  state: 'connecting' | 'linking' | 'open' | 'reconnecting' | 'stopped' | (typeof NEEDS_PERSON)[number];
  detail: string;
  /** While linking: what the owner enters or scans on the phone. Never logged. */
  link?: { code?: string; qr?: string };
}

const NEEDS_PERSON = ['blocked', 'unlinked', 'logged-out', 'expired-version'] as const;

/** Whether the channel goes on only when somebody does something. */
export const needsPerson = (state: ChannelState['state']): boolean => NEEDS_PERSON.some((one) => one === state);

export interface ChannelRow {
  kind: string;
  id: string;
  /** Null deletes the row. */
  value: string | null;
}

/** What the channel keeps between starts: nobody else reads or writes it. */
export interface ChannelStorage {
  /** Those of the ids that are there. */
  get(kind: string, ids: string[]): Record<string, string>;
  /** One transaction, committed when it returns. */
  set(rows: ChannelRow[]): void;
  /** Drops the rows of a kind that were last written before `before`, epoch ms. */
  prune(kind: string, before: number): void;
  /** Puts everything aside under another name and begins empty. */
  archive(): void;
}

/** A command with its name of lower-case letters, and what it is for as plain text. */
export interface MenuItem {
  name: string;
  what: string;
}

/** What people are offered to choose from, where the platform has a menu of commands. */
export interface Menu {
  everybody: MenuItem[];
  owner: MenuItem[];
  /** Addresses of the owner's direct chats. */
  ownerChats: string[];
}

export interface Channel {
  /** Begins to receive. Returns at once; connecting and reconnecting happen behind it, reported by `deps.onState`. */
  start(): void;
  /** Ends receiving and sending; resolves when no event can arrive any more. A second call is harmless. */
  stop(): Promise<void>;
  /** Splits Markdown into parts that are each valid and within the platform's limit. Pure; never holds the process for long. */
  split(text: string): string[] | Promise<string[]>;
  /** Resolves once the provider accepted the part. Throws `ChannelError`. */
  send(part: OutboundPart): Promise<{ platformId: string }>;
  /** What kind of chat an address stands for, where the address tells; one that tells nothing counts as a group until its first message. */
  kindOf?(address: string): InboundMessage['chat']['kind'] | undefined;
  /** Shows "typing…" for a few seconds; failures are the channel's to swallow. */
  typing(address: string): void;
  /** Takes the buttons away from a message of ours, which are used or lead nowhere. Throws `ChannelError`; harmless when repeated. */
  dropButtons?(address: string, platformId: string): Promise<unknown>;
  /** There when `edit` and `remove` are. */
  edits?: Edits;
  /** Changes a message of ours, without notifying anybody; to what it says already is fine. Throws `ChannelError` (`permanent`: it is gone, or may not be changed). */
  edit?(edit: Edit): Promise<unknown>;
  /** Takes a message of ours away; harmless when it is gone. Throws `ChannelError`. */
  remove?(address: string, platformId: string): Promise<unknown>;
  /**
   * The id of a message with buttons that we sent to the chat after those, whose acceptance we may not have heard; undefined when there is none,
   * and where the same key is the same message anyway. Throws `ChannelError`.
   */
  findLost?(address: string, after: string[]): Promise<string | undefined>;
  /** Our one reaction to a message of a person; '' takes it away. Throws `ChannelError`. */
  react?(address: string, message: MessageRef, emoji: '👀' | ''): Promise<unknown>;
  /** Fetches media bytes. Throws `ChannelError` (`permanent` when larger than `maxBytes`). */
  fetchMedia(ref: string, maxBytes: number): Promise<Uint8Array>;
  /** Offers these commands; harmless when nothing changed, failures are the channel's to swallow. Called while the channel is open. */
  showMenu?(menu: Menu): void;
  /** An address that opens the direct chat with the assistant and says `/start <code>` there; undefined while it is not known. */
  pairingLink?(code: string): string | undefined;
  /** Asks to be linked to an account again, when it has stopped asking; harmless at any other time. */
  link?(): void;
}

export interface ChannelDeps {
  /**
   * Commits the message to the store before it returns; throws when it could not (the platform must then not be acknowledged). What cannot be
   * stored as it is (sizes, times, halves of characters) is mended first: inbound-message.ts. With `unhurried` it does not wait for the disk:
   * the platform is acknowledged only after `onDisk`.
   */
  onMessage(message: InboundMessage, manner?: { unhurried: boolean }): void;
  /** Resolves when all that was committed until now is on disk. Rejects when it could not be: the platform must then not be acknowledged. */
  onDisk(): Promise<void>;
  /**
   * Does `work`, which takes in what the platform brought: from its bytes on to `onMessage`, which alone does the same from there on. `id` is the
   * same whenever it comes again, `raw` what it says. Throws what `work` throws, then the platform must not be acknowledged. What ended Pinch
   * twice, is `Unreadable` or was refused again and again is set aside: this returns false, and the platform is told that we have it.
   */
  takeIn(id: string, raw: unknown, work: () => void): boolean;
  onState(state: ChannelState): void;
  /** What the person with this address was called when they last wrote anywhere. */
  nameOf(address: string): string | undefined;
  /** The platform gave a chat another address. */
  onChatMoved(from: string, to: string): void;
  storage: ChannelStorage;
  /** For files of its own, on the host; it may have to be made. */
  folder: string;
  assistantName: string;
  clock: Clock;
  log: Logger;
}

type Created = Channel | undefined | Promise<Channel | undefined>;

export interface ChannelDefinition<Env = unknown, Result extends Created = Created> {
  name: string;
  /** The channel's own environment variables; unknown ones are ignored. */
  env: z.ZodType<Env>;
  /** Undefined when the environment leaves the channel off; what only a channel that is on needs is imported here. Connects nothing yet. */
  create(env: Env, deps: ChannelDeps): Result;
}

/** Identity function that gives a channel file its types; see channels/index.ts for the one line that adds a channel. */
export function defineChannel<Env, Result extends Created>(
  definition: ChannelDefinition<Env, Result>,
): ChannelDefinition<Env, Result> {
  return definition;
}
