// What the owner may allow, checked: one host, one kind of hosts, or a preset. Used by the chat commands and the API.
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { isAllowedFixed, isRefusedAddress } from './address.js';
import { DEFAULT_PORTS } from './decide.js';
import { canonicalPattern } from './host.js';
import type { NewRule, Rule } from './rows.js';
import type { Store } from './store.js';

/** Hosts that a kind of work needs, by its name. */
const presets = z
  .record(z.string(), z.array(z.string()))
  .parse(JSON.parse(readFileSync(new URL('presets.json', import.meta.url), 'utf8')));

export const presetNames = Object.keys(presets);

export const newRule = z.strictObject({
  /** A host, `*.` and a host, a URL with either of them, or the name of a preset; a port may follow. */
  host: z.string().min(1).max(2_000),
  ports: z.array(z.int().min(1).max(65_535)).min(1).max(20).optional(),
  /** Connected to in the place of what the name resolves to: the way to a private address. */
  address: z.string().max(50).optional(),
});

export type Rules = ReturnType<typeof createRules>;

export function createRules({ store, clock }: { store: Store; clock: Clock }) {
  /** Ports that are named for a host are added to those it has. */
  function put(groupId: number | null, { host, ports, address }: Omit<NewRule, 'groupId'>): Rule {
    const before = store.egress.find(groupId, host);
    const all = ports && [...new Set([...(before ? (before.ports ?? DEFAULT_PORTS) : []), ...ports])];
    const rule = { groupId, host, ports: all ?? before?.ports ?? null, address: address ?? before?.address ?? null };
    return store.egress.put(rule, clock.now());
  }
  return {
    /** `groupId` null: for every group. Throws PinchError `bad_rule`, which says what is wrong. */
    add(groupId: number | null, { host: text, ports, address }: z.infer<typeof newRule>): Rule[] {
      const preset = presets[text.toLowerCase()];
      if (preset)
        return store.transaction(() => preset.map((host) => put(groupId, { host, ports: null, address: null })));
      const [, name = '', port] = /^(?:https?:\/\/)?([^/?#]*?)(?::(\d{1,5}))?(?:[/?#].*)?$/is.exec(text.trim()) ?? [];
      const host = canonicalPattern(name);
      if (host === undefined) throw bad(`\`${name.slice(0, 100)}\` is no host`, `presets: ${presetNames.join(', ')}`);
      if (address !== undefined && !isAllowedFixed(address)) throw bad(`${address} is no address a rule can have`);
      if (address === undefined && isIP(host) && isRefusedAddress(host))
        throw bad(`${host} is a private or special address`, 'name it as `address` of a rule: docs/security.md');
      const named = port ? parsePorts([Number(port)]) : ports;
      return [put(groupId, { host, ports: named ?? null, address: address ?? null })];
    },
  };
}

const parsePorts = (ports: number[]) => {
  if (newRule.shape.ports.safeParse(ports).success) return ports;
  throw bad(`${ports.join()} is no port`);
};

const bad = (message: string, hint?: string) => new PinchError('bad_rule', message, { hint });
