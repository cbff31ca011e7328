// What the dashboard is given: it starts nothing and stops nothing by itself.
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import type { Hooks } from '../hooks.js';
import type { Intake } from '../intake.js';
import type { Logger } from '../log.js';
import type { Pairing } from '../pairing.js';
import type { StatusSnapshot } from '../status.js';
import type { Store } from '../store/index.js';
import type { Tasks } from '../tasks.js';
import type { Wake } from '../wake.js';

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
