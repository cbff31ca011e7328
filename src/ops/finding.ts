// What every check of `pinch doctor` gets and gives.
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { ServiceState } from './service.js';

/** `skipped`: could not or should not be looked at. A `failure` or `warning` has a `fix`. */
export interface Finding {
  state: 'ok' | 'warning' | 'failure' | 'skipped';
  detail: string;
  fix?: string;
}

export interface CheckDeps {
  config: Config;
  clock: Clock;
  /** Asks the running daemon, as in `GET /api/status`. Throws PinchError `not_running`, `not_started` or `no_port`. */
  ask(call: string): Promise<unknown>;
  service(): ServiceState;
  /** Whether a large database is read whole. */
  isFull: boolean;
  /** Whether a call that costs money may be made. */
  mayCall(question: string): Promise<boolean>;
}

export const ok = (detail: string): Finding => ({ state: 'ok', detail });
export const skipped = (detail: string): Finding => ({ state: 'skipped', detail });
export const warning = (detail: string, fix: string): Finding => ({ state: 'warning', detail, fix });
export const failure = (detail: string, fix: string): Finding => ({ state: 'failure', detail, fix });
