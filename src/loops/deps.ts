// What every loop works with.
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Store } from '../store/index.js';
import type { Wake } from '../wake.js';

export interface LoopDeps {
  store: Store;
  wake: Wake;
  clock: Clock;
  log: Logger;
  /**
   * Queues a message to the owner, once per `key`; joins a transaction of the caller. Returns the id of the chat it goes to. One that a
   * container can bring about names its group: of those only some an hour are sent.
   */
  notifyOwner(key: string, text: string, aboutGroup?: number): number;
}
