// Whether a container may connect to a host (design §5). Pure. A name that is refused here is never looked up: a look-up alone would carry
// what is in the name to whoever answers for it.
import { isIP } from 'node:net';
import { isRefusedAddress } from '../core/address.js';
import type { EgressMode } from '../core/config.js';
import { type Authority, matchesPattern, type Target } from './host.js';
import type { Rule } from './rows.js';

export const DEFAULT_PORTS = [80, 443];

export interface EgressQuestion {
  target: Target;
  mode: EgressMode;
  /** Of this group before those of all. */
  rules: Pick<Rule, 'host' | 'ports' | 'address'>[];
  /** What people typed for the runs that work now; without a port where the URL had none. */
  ownWords: Authority[];
  /** The container may have read what nobody trusted: what mode `open` would let through is asked for. */
  tainted: boolean;
}

/** `address`: connect to this one, without looking the name up. `anyAddress`: the machine's own settings name the host, wherever it is. */
export interface Allowed {
  kind: 'allow';
  why: 'rule' | 'own words' | 'mode open';
  address?: string;
  anyAddress?: boolean;
}
export interface Refused {
  kind: 'refuse';
  why: string;
  reason: string;
}
export type Decision =
  | Allowed
  | Refused
  /** Only the owner knows. */
  | { kind: 'ask'; why: string };

/** Refused addresses, then rules, then the owner's own words, then the mode. In mode `none` nothing is looked at. */
export function decideEgress({ target, mode, rules, ownWords, tainted }: EgressQuestion): Decision {
  const { host, port } = target;
  if (mode === 'none') return refuse('mode none', `egress is off in this group: the owner can write /egress mode ask`);
  const fits = (ports: number[]) => ports.includes(port);
  const rule = rules.find((one) => matchesPattern(one.host, host) && fits(one.ports ?? DEFAULT_PORTS));
  if (rule?.address) return { kind: 'allow', why: 'rule', address: rule.address };
  if (isIP(host) && isRefusedAddress(host)) return refuseAddress(host);
  if (rule) return { kind: 'allow', why: 'rule' };
  if (ownWords.some((word) => word.host === host && fits(word.port ? [word.port] : DEFAULT_PORTS)))
    return { kind: 'allow', why: 'own words' };
  const isWeb = fits(DEFAULT_PORTS);
  if (mode === 'open' && isWeb) return tainted ? { kind: 'ask', why: TAINTED } : { kind: 'allow', why: 'mode open' };
  if (mode !== 'listed') return { kind: 'ask', why: mode === 'open' ? OTHER_PORT : 'mode ask' };
  const name = isWeb ? host : `${host}:${port}`;
  return refuse('mode listed', `egress to ${name} is not allowed yet: the owner can write /allow ${name}`);
}

const TAINTED = 'mode open, which asks once anything was read that nobody vouched for, the first site too';
const OTHER_PORT = 'mode open, which is for the ports 80 and 443';

/** For an address, or a name that resolves to one, which only a rule with a fixed address reaches. */
export const refuseAddress = (host: string) =>
  refuse('address', `egress to ${host} is refused: it is a private or special address, or resolves to one`);

const refuse = (why: string, reason: string): Refused => ({ kind: 'refuse', why, reason });
