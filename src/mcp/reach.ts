// What a server's container may reach: the places its entry in services.json names, and no others. Nobody is asked.

import { isAllowedFixed } from '../core/address.js';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { LIMITS, type Policy, type Told } from '../egress/connections.js';
import { type Allowed, decideEgress, type Refused } from '../egress/decide.js';
import { canonicalHost, type Target } from '../egress/host.js';
import { DAY_MS } from '../egress/rows.js';
import type { McpServer } from '../services/servers.js';

/** A mail server is waited at for half an hour without a word, and for as long as Pinch runs. */
export const SERVER_LIMITS = { ...LIMITS, ageMs: DAY_MS, idleMs: 35 * 60_000 };

export interface Place {
  host: string;
  ports: number[];
  address: string | null;
}

/** Throws PinchError `services_file` for what no rule of a group could be either. */
export function placesOf({ egress }: Pick<McpServer, 'egress'>): Place[] {
  return egress.map(({ ports, ...place }) => {
    const [host, address] = [canonicalHost(place.host), ('address' in place && place.address) || null];
    const why = host === undefined ? `${place.host} is no host` : `no server is led to the address ${address}`;
    if (host === undefined || (address && !isAllowedFixed(address)))
      throw new PinchError('services_file', `egress: ${why}`, { hint: 'correct it in services.json' });
    return { host, ports, address };
  });
}

/** What one server moved in 24 hours; begins again with this process. */
export type Day = { since: number; bytes: number };

export interface ServerPolicyDeps {
  server: string;
  clock: Clock;
  log: Logger;
  day: Day;
  decide(target: Target): Allowed | Refused;
  onTold?(told: Told): void;
}

/** Hosts that are told in the log, once each, beyond which connections are only counted. */
const MAX_TOLD = 100;

export function createServerPolicy({ server, clock, log, day, decide, onTold }: ServerPolicyDeps): Policy<object> {
  const told = new Set<string>();
  const asker = {
    about: { server },
    kind: 'server',
    today: () => (clock.now() - day.since < DAY_MS ? day : undefined),
    addBytes(bytes: number): void {
      if (clock.now() - day.since >= DAY_MS || day.since > clock.now())
        Object.assign(day, { since: clock.now(), bytes: 0 });
      day.bytes += bytes;
    },
    decide,
    onReached: () => undefined,
    tell(detail: Told): void {
      onTold?.(detail);
      const { host, port, verdict, why, address } = detail;
      const key = `${verdict} ${host}:${port}`;
      if (told.has(key) || told.size >= MAX_TOLD) return;
      told.add(key);
      log.info({ server, host, port, address, verdict, why }, 'a server connects');
    },
  };
  return { of: () => asker, together: (work) => work() };
}

export function decideFor(places: Place[], target: Target): Allowed | Refused {
  const decision = decideEgress({ target, mode: 'listed', rules: places, ownWords: [], tainted: false });
  if (decision.kind === 'allow' || (decision.kind === 'refuse' && decision.why === 'address')) return decision;
  const reason = `egress to ${target.host}:${target.port} is not allowed: services.json names no such place for this server`;
  return { kind: 'refuse', why: decision.why, reason };
}
