// The door to the outside, wide open and as good as closed: whatever notation, name or redirect leads to a machine that is not public.
import { expect } from 'vitest';
import { z } from 'zod';
import type { AttackScene } from '../attack.js';
import { type Probe, probeFamily, refusedLine } from '../families.js';
import { setEgressMode } from '../rows.js';

const REFUSED = /^403 egress to \S+ is refused: it is a private or special address, or resolves to one$/;
/** Not even a host and a port. */
const NO_TARGET =
  /^400 CONNECT takes a host and a port \| (400 this URL names no host|400 only http:\/\/ URLs are passed on.*|closed)$/;

/** `canonical`: as the host reads it. */
const toAddress = (name: string, host: string, canonical: string, port = 80): Probe => ({
  name,
  ask: { door: `${host}:${port}` },
  answer: REFUSED,
  event: refusedLine(canonical, 'address'),
});
const METADATA = '169.254.169.254';
const metadata: Probe[] = [
  toAddress('the metadata of the provider', METADATA, METADATA),
  toAddress('the metadata in hex', '0xa9fea9fe', METADATA),
  toAddress('the metadata as one number', '2852039166', METADATA),
  toAddress('the metadata in octal', '0251.0376.0251.0376', METADATA),
  toAddress('the metadata in three parts', '169.254.43518', METADATA),
  toAddress('the metadata in mixed notations', '0xa9.254.0251.254', METADATA),
  toAddress('the metadata with a dot behind', '169.254.169.254.', METADATA),
  toAddress('the metadata over the port of https', METADATA, METADATA, 443),
  toAddress('the metadata of containers in a cloud', '169.254.170.2', '169.254.170.2'),
  toAddress("another provider's metadata, among the shared addresses", '100.100.100.200', '100.100.100.200'),
  toAddress("another provider's metadata, among the reserved ones", '192.0.0.192', '192.0.0.192'),
  toAddress("another provider's metadata, among the public ones", '168.63.129.16', '168.63.129.16'),
  toAddress('metadata by its name', 'metadata.google.internal', 'metadata.google.internal'),
];

/** Pinch's own page. */
const toPage = (name: string, host: string, canonical: string): Probe => ({
  ...toAddress(name, host, canonical),
  ask: ({ daemon }) => ({ door: `${host}:${daemon.port}` }),
});
const ownMachine: Probe[] = [
  toPage("Pinch's page at 127.0.0.1", '127.0.0.1', '127.0.0.1'),
  toPage('the page as 127.1', '127.1', '127.0.0.1'),
  toPage('the page in hex', '0x7f.1', '127.0.0.1'),
  toPage('the page as one number', '2130706433', '127.0.0.1'),
  toPage('the page in octal', '017700000001', '127.0.0.1'),
  toPage('the page at 0', '0', '0.0.0.0'),
  toPage('the page at 0.0.0.0', '0.0.0.0', '0.0.0.0'),
  toPage('the page at another loopback address', '127.255.255.254', '127.255.255.254'),
  toPage('the page at localhost', 'localhost', 'localhost'),
  toPage('the page at LOCALHOST.', 'LOCALHOST.', 'localhost'),
  toPage('the page by a name of somebody who points it there', 'loop.example', 'loop.example'),
  toPage('the page by a name for IPv6', 'ip6-localhost', 'ip6-localhost'),
  toAddress('the gateway itself, through the gateway', '127.0.0.1', '127.0.0.1', 8080),
  toAddress("the engine's port", '127.0.0.1', '127.0.0.1', 2375),
  toAddress('the machine by the name that the engine gives it', 'host.docker.internal', 'host.docker.internal'),
];

const networks: Probe[] = [
  toAddress("the machine on the engine's bridge", '172.17.0.1', '172.17.0.1'),
  toAddress('another container', '172.17.0.2', '172.17.0.2'),
  toAddress('the router at home', '192.168.1.1', '192.168.1.1'),
  toAddress('the router by its name', 'router.lan', 'router.lan'),
  toAddress('a private network', '10.0.0.1', '10.0.0.1', 443),
  toAddress("a carrier's network", '100.64.0.1', '100.64.0.1'),
  toAddress('a network for benchmarks', '198.18.0.1', '198.18.0.1'),
  toAddress('multicast', '224.0.0.251', '224.0.0.251', 5353),
  toAddress('broadcast', '255.255.255.255', '255.255.255.255'),
];

/** What a name may resolve to (sites.ts has the addresses). */
const byName = (what: string, host: string): Probe => toAddress(`a name that resolves to ${what}`, host, host);
const resolved: Probe[] = [
  byName('an IPv4 address in IPv6', 'mapped.example'),
  byName('an IPv4-compatible address', 'compatible.example'),
  byName('NAT64 of the metadata', 'nat64.example'),
  byName('NAT64 of a network', 'local-nat64.example'),
  byName('6to4 of the metadata', 'sixtofour.example'),
  byName('Teredo', 'teredo.example'),
  byName('an address of a local IPv6 network', 'unique-local.example'),
  byName('a site-local address', 'site-local.example'),
  byName('a link-local address with a zone', 'zone.example'),
  byName('IPv6 multicast', 'multicast.example'),
  byName('the unspecified address', 'unspecified.example'),
  byName('a public address and a private one', 'mixed.example'),
  {
    ...byName('a private address, with a rule of the owner', 'ruled.example'),
    event: refusedLine('ruled.example', 'address'),
  },
  {
    name: 'a name that resolves to nothing',
    ask: { door: 'nothing.example:80' },
    answer: /^502 nothing.example:80 cannot be reached: its name could not be looked up in time$/,
  },
  {
    name: 'a name that will change: at first it is public',
    ask: { say: 'CONNECT rebind.example:443 HTTP/1.1\r\nhost: x\r\n\r\n' },
    answer: /^502 rebind.example:443 cannot be reached/,
  },
  {
    name: 'the same name, which leads to this machine now',
    ask: { say: 'CONNECT rebind.example:443 HTTP/1.1\r\nhost: x\r\n\r\n' },
    answer: REFUSED,
    event: refusedLine('rebind.example', 'address'),
  },
];

const literal = (name: string, host: string): Probe => ({ name, ask: { door: `${host}:80` }, answer: NO_TARGET });
const literals: Probe[] = [
  literal('IPv6 loopback', '[::1]'),
  literal('the unspecified IPv6 address', '[::]'),
  literal('an IPv4 address in IPv6', '[::ffff:127.0.0.1]'),
  literal('an IPv4 address in IPv6, in hex', '[::ffff:7f00:1]'),
  literal('NAT64', '[64:ff9b::7f00:1]'),
  literal('6to4', '[2002:7f00:1::]'),
  literal('a zone', '[fe80::1%25eth0]'),
  literal('metadata over IPv6', '[fd00:ec2::254]'),
  literal('IPv6 without brackets', '::1'),
  {
    name: 'a dot that is encoded',
    ask: { door: '127.0.0%2e1:80' },
    answer: /^400 CONNECT takes a host and a port \| 403 egress to 127.0.0.1 is refused/,
  },
];

const redirected = (name: string, to: string, answer: RegExp): Probe => ({
  name,
  ask: ({ sites }) => ({ shell: `curl -sS -m 10 -L "http://${sites.redirector}/?${encodeURIComponent(to)}"` }),
  answer,
});
const REFUSED_TEXT = /^egress to \S+ is refused: it is a private or special address/;
const redirects: Probe[] = [
  redirected('an allowed site redirects to the metadata', `http://${METADATA}/latest/meta-data/`, REFUSED_TEXT),
  redirected('an allowed site redirects to the metadata in three parts', 'http://169.254.43518/', REFUSED_TEXT),
  redirected('an allowed site redirects to a name at home', 'http://router.lan/', REFUSED_TEXT),
];

/** What was read counts for nothing here, and the port of the page is open by rules: only the addresses are in the way. */
const allowRuled = async ({ daemon, ...scene }: AttackScene) => {
  await daemon.api('POST', '/api/egress', { host: 'ruled.example' });
  for (const host of ['localhost', 'loop.example', 'ip6-localhost'])
    await daemon.api('POST', '/api/egress', { host, ports: [daemon.port], group: 'main' });
  await daemon.api('PATCH', '/api/groups/main', { taint: 'off' });
  setEgressMode({ daemon, ...scene }, 'open');
};

async function closeAgain(scene: AttackScene): Promise<void> {
  const { body } = await scene.daemon.api('GET', '/api/egress');
  const { rules } = z.object({ rules: z.array(z.object({ id: z.number(), group: z.string().nullish() })) }).parse(body);
  for (const { id } of rules.filter(({ group }) => group)) await scene.daemon.api('DELETE', `/api/egress/${id}`);
  await scene.daemon.api('PATCH', '/api/groups/main', { taint: 'on' });
  setEgressMode(scene, 'listed');
}

export const openDoor = probeFamily(
  'network, in mode open',
  [...metadata, ...ownMachine, ...networks, ...resolved, ...literals, ...redirects],
  {
    prepare: allowRuled,
    after: closeAgain,
    check({ events, lookedUp }) {
      // Each connection asks once: what was checked is what is connected to.
      expect(lookedUp.filter((host) => host === 'rebind.example')).toHaveLength(2);
      expect(events.filter(({ detail }) => JSON.stringify(detail).includes('"verdict":"allowed"'))).toHaveLength(3);
    },
  },
);
