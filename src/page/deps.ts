// What the dashboard is given: it starts nothing and stops nothing by itself.

import type { Intake } from '../chats/intake.js';
import type { Pairing } from '../chats/pairing.js';
import type { Wake } from '../core/bells.js';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { Logger } from '../core/log.js';
import type { StatusSnapshot } from '../ops/status.js';
import type { Hooks } from '../tasks/hooks.js';
import type { Tasks } from '../tasks/tasks.js';
import type { Store } from './store.js';

export interface DashboardDeps {
  /** 0 takes any free one; leaving the dashboard off is the caller's. */
  port: number;
  config: Pick<Config, 'timeZone' | 'owner'>;
  store: Store;
  wake: Wake;
  clock: Clock;
  log: Logger;
  /** From `loadDashboardToken`. */
  token: string;
  pairing: Pick<Pairing, 'code'>;
  /** Markdown of a message as HTML that is safe to put into the page. */
  markdownToSafeHtml(text: string): string | Promise<string>;
  intake: Pick<Intake, 'receiveFromPage'>;
  tasks: Tasks;
  hooks: Hooks;
  status(): StatusSnapshot;
  emergencyStop(reason: string): void;
  resume(): void;
  /** Has channels that wait for a new link to their account ask for one. */
  link(): void;
  /** Whether everything that takes in and works on messages is up. */
  ready(): boolean;
}

/** What the dashboard may ask of the running daemon. */
export type DashboardControl = Pick<
  DashboardDeps,
  'intake' | 'tasks' | 'hooks' | 'status' | 'emergencyStop' | 'resume' | 'link' | 'ready'
>;
