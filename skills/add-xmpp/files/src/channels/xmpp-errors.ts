// What a failure on XMPP means: what to tell the owner, whether a message may still be sent. Pure.
import { z } from 'zod';
import { ChannelError } from './channel.js';

/** Many servers lock out who tries a wrong password too often. */
const LOOK_AGAIN_MS = 600_000;
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

/** Something that only a person can put right; the message says what. Messages wait until they did. */
export const setupProblem = (message: string): ChannelError =>
  new ChannelError('network', message, { lookAgainMs: LOOK_AGAIN_MS });

const isRefused = (error: unknown) =>
  detailsOf(error)?.name === 'SASLError' &&
  /not-authorized|account-disabled|credentials-expired/.test(conditionOf(error));

/** A failure in the contract's words. */
export function toChannelError(error: unknown): ChannelError {
  if (error instanceof ChannelError) return error;
  if (isRefused(error)) return setupProblem(REFUSED);
  const { name, type } = detailsOf(error) ?? {};
  if (name !== 'StanzaError') return new ChannelError('network', reasonOf(error));
  return new ChannelError(type === 'wait' ? 'retry' : 'permanent', `the XMPP server answers ${conditionOf(error)}`);
}

function reasonOf(error: unknown): string {
  const { code = '', condition = '', name = '' } = detailsOf(error) ?? {};
  if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(code))
    return `the certificate of the XMPP server is not trusted (${code})`;
  if (name === 'TimeoutError') return 'the XMPP server does not answer in time';
  return code || condition
    ? `the XMPP server cannot be reached (${code || condition})`
    : 'the XMPP server cannot be reached';
}
