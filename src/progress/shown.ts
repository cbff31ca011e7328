// The runs that work and are shown in their chats: what is known of each while this process lives.
import type { RunningChannels } from '../channels/start.js';
import type { BaseDeps } from '../core/deps.js';
import type { Chat, Run } from '../core/types.js';
import type { Progress } from '../groups/progress.js';
import type { Pauses } from './pauses.js';
import type { Store } from './store.js';

export interface ProgressDeps extends BaseDeps {
  store: Store;
  channels: Pick<RunningChannels, 'get' | 'isBlocked' | 'states'>;
}

/** A run that works, and what is known of it. Nothing of it has to outlive this process. */
export interface Shown {
  run: Run;
  chat: Chat;
  since: number;
  progress: Progress;
  /** What the message says, without the time. */
  said: string;
  saidAt: number;
  /** Something is new since. */
  isStale: boolean;
  /** The message was deleted by a person, or could not be sent: no other one. */
  isGone: boolean;
  /** What is being done about it, one after the other. */
  busy: Promise<unknown>;
  over: AbortController;
  timer: { cancel(): void } | undefined;
}

export type Shows = ProgressDeps & { shown: Map<number, Shown>; ending: Map<number, Promise<unknown>>; pauses: Pauses };
