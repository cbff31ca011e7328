import { expect, test } from 'vitest';
import { tellTunnels, tunnelsTo } from './tunnels.js';

test('each exact name has an address of its own, and the ports of all rules for it', () => {
  const places = [
    { host: 'imap.example.com', ports: [993] },
    { host: 'nas', ports: [80, 443] },
    { host: 'imap.example.com', ports: [993, 143] },
  ];
  const tunnels = tunnelsTo(places);
  expect(tunnels).toEqual([
    { host: 'imap.example.com', address: '127.80.0.1', ports: [993, 143] },
    { host: 'nas', address: '127.80.0.2', ports: [80, 443] },
  ]);
  expect(tellTunnels(tunnels)).toEqual(['PINCH_TUNNELS=127.80.0.1=imap.example.com:993,143 127.80.0.2=nas:80,443']);
  expect(tellTunnels([])).toEqual([]);
});

test.each([
  ...['*.example.com', '192.168.1.5', '127.0.0.1', 'localhost', 'a.localhost', 'localhost.localdomain', 'ip6-loopback'],
  ...['metadata', 'metadata.google.internal', 'instance-data.ec2.internal', 'host.docker.internal'],
])('%s leads nowhere else than before', (host) => expect(tunnelsTo([{ host, ports: [443] }])).toEqual([]));

test('names and ports are bounded', () => {
  const many = tunnelsTo(
    Array.from({ length: 100 }, (_, n) => ({ host: `h${n}.example`, ports: [80, 443, 993, 25, 587] })),
  );
  expect(many.length).toBeLessThanOrEqual(64);
  expect(many.flatMap(({ ports }) => ports)).toHaveLength(256);
  expect(new Set(many.map(({ address }) => address)).size).toBe(many.length);
});
