// What a closed WhatsApp connection means: try again when, or wait for a person. Pure; the codes are Baileys' `statusCode`s.
import type { ChannelState } from './channel.js';

export interface Close {
  code: number | undefined;
  message: string;
  /** Closes in a row, from 1; starts over after a minute of being open. */
  failures: number;
  /** Whether this account was taken over by another connection lately. */
  wasReplaced: boolean;
  /** 0..1. */
  jitter: number;
}

export type CloseDecision = { state: ChannelState['state']; detail: string } & (
  | { kind: 'retry'; delayMs: number }
  /** The keys are worth nothing any more: they are put aside. */
  | { kind: 'forget' }
  | { kind: 'stop' }
);

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 300_000;
const REPLACED_DELAY_MS = 30_000;
const VERSION_DELAY_MS = 300_000;
const AGAIN = '`npm run -s pinch -- pair` or the page shows a new code';

/** Never throws. */
export function decideClose({ code, message, failures, wasReplaced, jitter }: Close): CloseDecision {
  const stop = (detail: string): CloseDecision => ({ kind: 'stop', state: 'blocked', detail });
  switch (code) {
    case 515:
      return { kind: 'retry', delayMs: 0, state: 'reconnecting', detail: 'WhatsApp asked for a new connection' };
    case 401:
      return { kind: 'forget', state: 'logged-out', detail: `the phone removed this device; link it again: ${AGAIN}` };
    case 402:
    case 403:
    case 406:
      return stop(
        `WhatsApp has locked this account (${code}); open WhatsApp on the phone to see why, then restart Pinch`,
      );
    case 405: {
      const detail = 'WhatsApp no longer takes this client version; update Pinch, or set WHATSAPP_VERSION in .env';
      return { kind: 'retry', delayMs: VERSION_DELAY_MS, state: 'expired-version', detail };
    }
    case 440:
      if (wasReplaced) return stop('another program uses this linked device; stop it, then restart Pinch');
      return {
        kind: 'retry',
        delayMs: REPLACED_DELAY_MS,
        state: 'reconnecting',
        detail: 'another connection took over',
      };
    case 408:
      if (/^QR refs/.test(message))
        return { kind: 'stop', state: 'unlinked', detail: `nobody linked a phone: ${AGAIN}` };
  }
  const delay = Math.min(FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 20), MAX_DELAY_MS);
  const delayMs = Math.round(delay * (0.75 + jitter * 0.25));
  return {
    kind: 'retry',
    delayMs,
    state: 'reconnecting',
    detail: `the connection to WhatsApp was lost (${code ?? 'no code'})`,
  };
}
