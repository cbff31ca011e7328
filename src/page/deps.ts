// What the page is given: it starts nothing and stops nothing by itself.

import type { Intake } from '../chats/intake.js';
import type { Begun } from '../core/begun.js';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { Api } from '../core/http.js';
import type { Logger } from '../core/log.js';
import type { StatusSnapshot } from '../ops/status.js';
import type { Store } from './store.js';

export interface PageDeps {
  /** 0 takes any free one; leaving the page off is the caller's. */
  port: number;
  store: Store;
  config: Config;
  clock: Clock;
  log: Logger;
  /** From `loadPageToken`. */
  token: string;
  /** Markdown of a message as HTML that is safe to put into the page. */
  markdownToSafeHtml(text: string): string | Promise<string>;
  intake: Pick<Intake, 'receiveFromPage'>;
  status(): StatusSnapshot;
  /** Knows at the next start what was being answered when Pinch ended. */
  begun?: Begun;
  /** Which build of which version answers: `pinch update` looks for its own. */
  build?: string | undefined;
  /** Whether everything that takes in and works on messages is up. */
  ready(): boolean;
  /** The routes of the modules below. */
  api: Api[];
}
