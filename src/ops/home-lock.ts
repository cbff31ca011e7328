// The home while this process has it: its folders, its lock, and the mark that says a process runs.
import { refuseUnfinished } from '../backup/unfinished.js';
import { systemClock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { Logger } from '../core/log.js';
import { closeToOthers, lockHome, prepareHome } from '../sandbox/home.js';
import { isFailedStart, markEnded, markReady, markRunning } from './last-run.js';
import { PROXY_FIX, unusedProxies } from './proxies.js';

export interface Home {
  /** Why the process before this one ended, null when somebody stopped it. */
  lastEnd: string | null;
  /** The start is over. */
  ready(): void;
  /** A clean end. */
  close(): void;
}

/** Throws PinchError when another process has it. */
export function openHome(config: Config, log: Logger): Home {
  refuseUnfinished(config);
  prepareHome(config);
  const paths = closeToOthers(config);
  if (paths.length > 0) log.warn({ paths }, 'files of this home could not be closed to other users of the machine');
  const proxies = unusedProxies(config.env);
  if (proxies.length > 0)
    log.warn({ variables: proxies, hint: PROXY_FIX }, 'these proxies are not used: connections go out directly');
  const lock = lockHome(config);
  const lastEnd = markRunning(config.dataDir, systemClock.now());
  if (lastEnd && isFailedStart(lastEnd)) log.warn({ lastEnd }, 'the last start failed');
  else if (lastEnd) log.warn({ lastEnd }, 'the last run was not stopped, it ended by itself');
  return {
    lastEnd,
    ready: () => markReady(config.dataDir),
    close() {
      markEnded(config.dataDir);
      lock.release();
    },
  };
}
