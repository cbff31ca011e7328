// In-process signals between the stages: a stage commits its row, then signals what changed; the next stage looks at the store.
// A lost signal costs nothing but time: every loop also looks when it starts. `store.signal` waits for the end of
// the transaction around it.
import type { EventEmitter } from 'node:events';

export interface SignalEvents {
  /** A run may be claimed: one became ready, or capacity became free. */
  'run:ready': [];
  /** Messages were added to a run that is being worked on. */
  'run:steered': [runId: number];
  /** Somebody asked to stop this run. */
  'run:stopped': [runId: number];
  /** An attempt of this run began. */
  'run:started': [runId: number];
  /** The timeline of this run goes on: its runner reported something. */
  'run:event': [runId: number];
  /** An attempt of this run is over. */
  'run:ended': [runId: number];
  /** A task is new or changed. */
  task: [];
  /** There is something to send. */
  outbox: [];
  /** A message of this run is sent, or never will be. */
  'outbox:over': [runId: number];
  /** A message of this chat was stored, in or out. */
  message: [chatId: number];
  /** A channel is in another state, or has a new code to link it. */
  channel: [name: string];
  /** Everything was stopped or resumed, or the container engine went or came back. */
  daemon: [];
  /** A row was left out that cannot be read; maybe in the middle of a transaction. */
  'bad-row': [];
  /** The machine's clock jumped, and the times in rows were corrected. */
  clock: [];
  /** This approval was asked for or decided. */
  approval: [id: number];
  /** Memory files are to be brought back, or were. */
  memory: [];
  /** Something was changed over the JSON API. */
  api: [];
  /** A browser was signed out of the page. */
  session: [];
}

export type Signals = EventEmitter<SignalEvents>;
