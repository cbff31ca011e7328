// What a new version of a message does: pure rules, no I/O.
import type { StoredVersion } from '../groups/messages.js';
import type { Route } from './route.js';

export interface EditInput {
  /** The newest version we have. */
  before: Pick<StoredVersion, 'text' | 'sentAt' | 'assigned' | 'command' | 'intent'>;
  text: string;
  sentAt: number;
  /** Where its new words alone would go. */
  route: Pick<Route, 'kind'>;
  mayAsk: boolean;
  /** A run of its session waits or works, and takes it in. */
  isOpen: boolean;
  /** A person wrote after it. */
  wroteSince: boolean;
  now: number;
}

export type Edit =
  /** No new words (a link got its preview, a button went), or an older version that comes again. */
  | { kind: 'nothing' }
  /** A command runs when it is sent, never by an edit. */
  | { kind: 'no command' }
  /** No model saw the old words: they are gone. `intent` of the message from now on; `starts`: it looks for its run. */
  | { kind: 'rewrite' | 'version'; intent: StoredVersion['intent']; starts: boolean };

/** Who corrects an older message than that wants the record right, not an answer. */
const ANSWERED_MS = 24 * 3_600_000;

/** Decides what becomes of an edit; never throws. */
export function decideEdit({ before, text, sentAt, route, mayAsk, isOpen, wroteSince, now }: EditInput): Edit {
  // Both times are the platform's, of versions of one message.
  if (text === before.text || sentAt < before.sentAt) return { kind: 'nothing' };
  if (route.kind === 'command') return { kind: 'no command' };
  const hadAsked = before.intent === 'asked';
  const asks = route.kind === 'trigger' || (route.kind === 'context' && hadAsked && mayAsk);
  const intent = asks ? 'asked' : 'said';
  const isRecent = now - before.sentAt < ANSWERED_MS;
  if (!before.assigned && !before.command) return { kind: 'rewrite', intent, starts: asks && (isRecent || isOpen) };
  // Whoever adds the name calls now; whoever corrects a question wants another answer only while it is still what is talked about.
  const isCurrent = isRecent && (!hadAsked || !wroteSince);
  return { kind: 'version', intent, starts: asks && (isOpen || isCurrent) };
}
