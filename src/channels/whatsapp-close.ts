// What a closed WhatsApp connection means: try again when, or wait for a person. Pure; the codes are Baileys' `statusCode`s.
import { backoffMs } from '../core/clock.js';
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

type CloseDecision = { state: ChannelState['state']; detail: string } & (
  | { kind: 'retry'; delayMs: number }
  /** The keys are worth nothing any more: they are put aside. */
  | { kind: 'forget' }
  | { kind: 'stop' }
);

/** The first pause and the longest. */
const DELAY_MS = [1_000, 300_000] as const;
const REPLACED_DELAY_MS = 30_000;
const VERSION_DELAY_MS = 300_000;
const AGAIN = '`npm run -s pinch -- pair` or the page shows a new code';

/** Never throws. */
export function decideClose({ code, message, failures, wasReplaced, jitter }: Close): CloseDecision {
  switch (code) {
    case 515:
      return retry(0, 'WhatsApp asked for a new connection');
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
      return retry(VERSION_DELAY_MS, detail, 'expired-version');
    }
    case 440:
      if (wasReplaced) return stop('another program uses this linked device; stop it, then restart Pinch');
      return retry(REPLACED_DELAY_MS, 'another connection took over');
  }
  if (code === 408 && /^QR refs/.test(message)) return stop(`nobody linked a phone: ${AGAIN}`, 'unlinked');
  const detail = `the connection to WhatsApp was lost (${code ?? 'no code'})`;
  return retry(backoffMs(failures, jitter, DELAY_MS), detail);
}

const retry = (delayMs: number, detail: string, state: ChannelState['state'] = 'reconnecting'): CloseDecision => ({
  kind: 'retry',
  delayMs,
  state,
  detail,
});

const stop = (detail: string, state: ChannelState['state'] = 'blocked'): CloseDecision => ({
  kind: 'stop',
  state,
  detail,
});
