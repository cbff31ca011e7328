// What a failure on XMPP means: what to tell the owner, whether a message may still be sent. Pure.
import { z } from 'zod';
import { ChannelError, type ChannelState } from './channel.js';

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 60_000;
/** Many servers lock out who tries a wrong password too often. */
const REFUSED_DELAY_MS = 600_000;
const REFUSED = 'the XMPP server refuses XMPP_ADDRESS or XMPP_PASSWORD: correct them in .env, then restart';

const failure = z.object({
  name: z.string().catch(''),
  condition: z.string().optional().catch(undefined),
  code: z.string().optional().catch(undefined),
  message: z.string().catch(''),
  type: z.string().optional().catch(undefined),
});
const detailsOf = (error: unknown) => failure.safeParse(error).data;

/** The defined condition of a stanza or stream error (`item-not-found`); else its message. */
export const conditionOf = (error: unknown): string => detailsOf(error)?.condition ?? detailsOf(error)?.message ?? '';

/** Something only a person can mend; the message says what. */
export class SetupProblem extends ChannelError {}

const isRefused = (error: unknown) =>
  detailsOf(error)?.name === 'SASLError' &&
  /not-authorized|account-disabled|credentials-expired/.test(conditionOf(error));

/** State to show and pause (ms) before connecting again. `failures` in a row, from 1; `jitter` 0..1. */
export function afterFailure(error: unknown, failures: number, jitter: number): { state: ChannelState; ms: number } {
  if (isRefused(error)) return { state: { state: 'blocked', detail: REFUSED }, ms: REFUSED_DELAY_MS };
  if (error instanceof SetupProblem)
    return { state: { state: 'blocked', detail: error.message }, ms: REFUSED_DELAY_MS };
  const ms = Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), MAX_DELAY_MS) * (0.75 + jitter / 4);
  return { state: { state: 'reconnecting', detail: reasonOf(error) }, ms };
}

/** A failed send or fetch in the contract's words. */
export function toChannelError(error: unknown): ChannelError {
  if (error instanceof ChannelError) return error;
  const { name, type } = detailsOf(error) ?? {};
  if (name !== 'StanzaError') return new ChannelError('network', reasonOf(error));
  return new ChannelError(type === 'wait' ? 'retry' : 'permanent', `the XMPP server answers ${conditionOf(error)}`);
}

function reasonOf(error: unknown): string {
  if (error instanceof ChannelError) return error.message;
  const { code = '', condition = '', name = '' } = detailsOf(error) ?? {};
  if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(code))
    return `the certificate of the XMPP server is not trusted (${code})`;
  if (name === 'TimeoutError') return 'the XMPP server does not answer in time';
  return code || condition
    ? `the XMPP server cannot be reached (${code || condition})`
    : 'the XMPP server cannot be reached';
}
