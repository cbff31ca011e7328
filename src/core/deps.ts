// What every loop works with.

import type { Clock } from './clock.js';
import type { Logger } from './log.js';

/** What nearly everything works with. */
export interface BaseDeps {
  clock: Clock;
  log: Logger;
}

export interface LoopDeps extends BaseDeps {
  /**
   * Queues a message to the owner, once per `key`; joins a transaction of the caller. What a container can cause names its group in
   * `aboutGroup`: each group may cause only some an hour. `buttons`: what delivery/notice-press.ts does, by their values. Returns the id of
   * the chat it goes to, undefined when it was not queued.
   */
  notifyOwner(
    key: string,
    text: string,
    aboutGroup?: number,
    buttons?: { label: string; value: string }[],
  ): number | undefined;
}
