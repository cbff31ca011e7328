// Names of other hosts for programs in a container that know no proxy. Pure; whether a connection may be made is decided when it is.
import { isIP } from 'node:net';
import type { Tunnel } from './sandbox.js';

const MAX_NAMES = 64;
const MAX_PORTS = 256;
/** Names that mean the container itself, or the machine and the provider it runs on, to programs inside. */
const TAKEN = /(^|\.)(localhost|localdomain)$|^ip6-|^(metadata|instance-data)(\.|$)|\.docker\.internal$/;

/** One loopback address for each host that is named exactly. The same places give the same addresses. */
export function tunnelsTo(places: { host: string; ports: number[] }[]): Tunnel[] {
  const portsOf = new Map<string, Set<number>>();
  let left = MAX_PORTS;
  for (const { host, ports } of places) {
    if (host.startsWith('*') || isIP(host) || TAKEN.test(host)) continue;
    const known = portsOf.get(host) ?? new Set();
    if (known.size === 0 && portsOf.size >= MAX_NAMES) continue;
    for (const port of ports.filter((one) => !known.has(one)).slice(0, left)) {
      known.add(port);
      left -= 1;
    }
    if (known.size > 0) portsOf.set(host, known);
  }
  return [...portsOf].map(([host, ports], at) => ({ host, address: `127.80.0.${at + 1}`, ports: [...ports] }));
}

/** As the runner reads it (container/agent-runner/src/tunnels.ts). */
export const tellTunnels = (tunnels: Tunnel[]): string[] => {
  const words = tunnels.map(({ host, address, ports }) => `${address}=${host}:${ports.join(',')}`);
  return words.length > 0 ? [`PINCH_TUNNELS=${words.join(' ')}`] : [];
};
