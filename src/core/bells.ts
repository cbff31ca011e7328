// In-process wake-ups between the stages: a stage writes its row, then rings; the next stage looks at the store.
// A lost ring costs nothing but time: every loop also looks when it starts.
import { EventEmitter } from 'node:events';

export interface WakeEvents {
  /** A run became ready, or capacity became free. */
  runs: [];
  /** Messages were added to a run that is being worked on. */
  steer: [runId: number];
  /** Somebody asked to stop this run. */
  abort: [runId: number];
  /** A task is new or changed. */
  tasks: [];
  /** An attempt of this run is over. */
  ended: [runId: number];
  outbox: [];
  /** A message of this chat was stored, in or out (the page shows it). */
  message: [chatId: number];
  /** Something a person sees on the page changed: a run's state, a channel's state. */
  changed: [];
}

export type Wake = EventEmitter<WakeEvents>;

export function createWake(): Wake {
  return new EventEmitter<WakeEvents>({ captureRejections: false }).setMaxListeners(50);
}
