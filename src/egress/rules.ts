// What the owner may allow, checked: one host, one kind of hosts, or a preset. Used by the chat commands and the API.
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';
import { isAllowedFixed, isRefusedAddress } from '../core/address.js';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { DEFAULT_PORTS } from './decide.js';
import { canonicalPattern, parseAuthority, shownHost } from './host.js';
import type { Rule } from './rows.js';
import type { Store } from './store.js';

/** Hosts that a kind of work needs, by its name. */
const presets = z
  .record(z.string(), z.array(z.string()))
  .parse(JSON.parse(readFileSync(new URL('presets.json', import.meta.url), 'utf8')));
export const presetNames = Object.keys(presets);

export const ruleInput = z.strictObject({
  /** A host, `*.` and a host, a URL, or the name of a preset; a port may follow the host. */
  host: z.string().min(1).max(2_000),
  ports: z.array(z.int().min(1).max(65_535)).min(1).max(20).optional(),
  /** Connected to in the place of what the name resolves to: the way to a private address. */
  address: z.string().max(50).refine(isAllowedFixed, { error: 'a rule cannot lead to this address' }).optional(),
});

/** `groupId` null: for every group. A port that is named is added to those the host has. Throws PinchError `bad_rule`. */
export function addRules(
  { store, clock }: { store: Store; clock: Clock },
  groupId: number | null,
  { host: text, ports, address }: z.infer<typeof ruleInput>,
): Rule[] {
  const preset = presets[text.toLowerCase()];
  const written = text.trim().replace(/^https?:\/\//i, '');
  const named = parseAuthority(written.replace(/[/?#].*$/s, ''), canonicalPattern);
  const hosts = preset ?? (named ? [named.host] : []);
  const [first = ''] = hosts;
  if (first === '') throw bad('this is no host', `presets: ${presetNames.join(', ')}`);
  if (!address && isIP(first) && isRefusedAddress(first))
    throw bad(`${first} is a private or special address`, 'docs/security.md says how a rule leads to one');
  const more = named?.port ? [named.port] : ports;
  const put = (host: string): Rule | undefined => {
    const before = store.egress.find(groupId, host, true);
    const all = more && [...new Set([...(before ? (before.ports ?? DEFAULT_PORTS) : []), ...more])];
    const rest = { ports: all ?? before?.ports ?? null, address: address ?? before?.address ?? null, until: null };
    return store.egress.put({ groupId, host, ...rest, now: clock.now() });
  };
  return store.transaction(() => hosts.flatMap((host) => put(host) ?? []));
}

/** What a group's rules name now, with their ports. */
export const placesOf = ({ store, clock }: { store: Store; clock: Clock }, groupId: number) =>
  store.egress.of(groupId, clock.now()).map(({ host, ports }) => ({ host, ports: ports ?? DEFAULT_PORTS }));

const bad = (message: string, hint: string) => new PinchError('bad_rule', message, { hint });

/** A rule as people read it. */
export const describeRule = ({ host, ports, address, until }: Omit<Rule, 'id' | 'groupId'>): string =>
  `\`${shownHost(host)}\`${ports ? ` (ports ${ports.join(', ')})` : ''}${address ? ` at ${address}` : ''}${until ? ', for an hour' : ''}`;
