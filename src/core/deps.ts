// What every loop works with.

import type { Clock } from './clock.js';
import type { Logger } from './log.js';
import type { Signals } from './signals.js';

export interface LoopDeps {
  signals: Signals;
  clock: Clock;
  log: Logger;
  /**
   * Queues a message to the owner, once per `key`; joins a transaction of the caller. Returns the id of the chat it goes to, undefined when it was one too many. One that a
   * container can bring about names its group: of those only some an hour are sent.
   */
  notifyOwner(key: string, text: string, aboutGroup?: number): number | undefined;
}
