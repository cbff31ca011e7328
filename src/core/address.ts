// Which addresses no name may lead to: those of this machine, its network and its provider, and those that only embed another address.
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Azure's metadata service lies in the middle of public addresses. The others' are link-local, private or reserved. */
const METADATA = '168.63.129.16';
/** All public IPv6 addresses there are. What lies outside can only be local, or stand for something else. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');
/** This machine and the own network: what the owner may name, beside public addresses. */
const OWN = new Set(['private', 'loopback', 'carrierGradeNat', 'uniqueLocal']);

/** True unless it is a plain public address. Text that is no address is refused too. */
export function isRefusedAddress(text: string): boolean {
  if (!isIP(text) || text === METADATA) return true;
  const address = ipaddr.parse(text);
  if (address instanceof ipaddr.IPv6 && !address.match(GLOBAL_UNICAST)) return true;
  return address.range() !== 'unicast';
}

/** Whether a rule of the owner may lead to it: public ones, and those of the own machine and network. */
export const isAllowedFixed = (text: string): boolean =>
  isIP(text) !== 0 && (!isRefusedAddress(text) || OWN.has(ipaddr.parse(text).range()));

/** Whether the host of a URL is written as an address of this machine or the own network. */
export function isOwnNetwork({ hostname }: Pick<URL, 'hostname'>): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  return host === 'localhost' || (isIP(host) !== 0 && OWN.has(ipaddr.parse(host).range()));
}
