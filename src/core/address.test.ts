// Where no name may lead. Each range with its first and last address, and the neighbours outside.
import { expect, test } from 'vitest';
import { isAllowedFixed, isRefusedAddress } from './address.js';

test.each([
  ['unspecified', '0.0.0.0', '0.255.255.255'],
  ['private 10', '10.0.0.0', '10.255.255.255'],
  ['private 172', '172.16.0.0', '172.31.255.255'],
  ['private 192', '192.168.0.0', '192.168.255.255'],
  ['loopback', '127.0.0.0', '127.255.255.255'],
  ['link-local and metadata', '169.254.0.0', '169.254.169.254', '169.254.255.255'],
  ['carrier-grade NAT', '100.64.0.0', '100.100.100.200', '100.127.255.255'],
  ['protocol assignments', '192.0.0.0', '192.0.0.192', '192.0.0.255'],
  ['documentation', '192.0.2.1', '198.51.100.1', '203.0.113.1'],
  ['benchmarks', '198.18.0.0', '198.19.255.255'],
  ['6to4 relays', '192.88.99.1'],
  ['multicast', '224.0.0.0', '239.255.255.255'],
  ['reserved', '240.0.0.0', '255.255.255.254'],
  ['broadcast', '255.255.255.255'],
  ["Azure's metadata", '168.63.129.16'],
  ['IPv6 unspecified and loopback', '::', '::1'],
  ['IPv4-compatible', '::127.0.0.1', '::8.8.8.8'],
  ['IPv4-mapped', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1', '0:0:0:0:0:ffff:a9fe:a9fe'],
  ['IPv4-translated', '::ffff:0:127.0.0.1'],
  ['NAT64', '64:ff9b::', '64:ff9b::a9fe:a9fe', '64:ff9b::127.0.0.1', '64:ff9b:1::1', '64:ff9b:1:ffff::1'],
  ['6to4', '2002::', '2002:7f00:1::', '2002:ffff:ffff::1'],
  ['Teredo', '2001::1', '2001:0:ffff::1'],
  ['protocol assignments of IPv6', '2001:2::1', '2001:1ff:ffff::1'],
  ['documentation of IPv6', '2001:db8::1', '3fff::1'],
  ['unique local and its metadata', 'fc00::', 'fdff:ffff::1', 'fd00:ec2::254'],
  ['link-local of IPv6', 'fe80::1', 'febf::1', 'fe80::1%eth0'],
  ['site-local', 'fec0::1', 'feff::1'],
  ['multicast of IPv6', 'ff02::1', 'ff0e::1'],
  ['discard', '100::1'],
  ['what nobody was given', '4000::1', '9000::1', 'e000::1', '200::1'],
  ['no address', '', 'example.com', '1.2.3', '1.2.3.4 ', 'gggg::'],
])('%s is refused', (_name, ...addresses) => {
  expect(addresses.filter((address) => !isRefusedAddress(address))).toEqual([]);
});

test('their neighbours are not', () => {
  const neighbours = [
    ...['1.0.0.0', '9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.0', '192.167.255.255', '192.169.0.0'],
    ...['126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0', '100.63.255.255', '100.128.0.0'],
    ...['192.0.1.0', '198.17.255.255', '198.20.0.0', '223.255.255.255', '168.63.129.15', '168.63.129.17', '8.8.8.8'],
    ...['2000::1', '2001:200::1', '2003::1', '2600::1', '2a00:1450::1', '3ffe:ffff::1', '2001:4860:4860::8888'],
  ];
  expect(neighbours.filter(isRefusedAddress)).toEqual([]);
});

test('a rule may lead to the own machine and network, never to metadata, multicast or what only embeds an address', () => {
  const own = ['192.168.1.5', '10.0.0.1', '127.0.0.1', '100.64.1.1', 'fd00::5', '::1', '8.8.8.8', '2600::1'];
  const never = [
    '169.254.169.254',
    '168.63.129.16',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    'fe80::1',
    'ff02::1',
  ];
  const embedded = ['::ffff:192.168.1.5', '64:ff9b::c0a8:105', '2002:c0a8:105::', 'nas.local', '0x7f.1', ''];
  expect(own.filter((address) => !isAllowedFixed(address))).toEqual([]);
  expect([...never, ...embedded].filter(isAllowedFixed)).toEqual([]);
});
