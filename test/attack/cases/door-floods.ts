// Floods at the door to the outside, each in a run of its own.
import { expect } from 'vitest';
import type { AttackCase } from '../attack.js';
import { descriptorsOf } from '../measure.js';
import { egressLines, setEgressMode } from '../rows.js';

/** Every case says which answers may come, and `200` is one of them only where it says so. */
const flood = (name: string, statuses: string[], more: Partial<AttackCase>): AttackCase => ({
  name: `the door: ${name}`,
  program: 'proxied',
  ...more,
  check: async (seen) => {
    const { answer, scene, descriptors } = seen;
    expect(statuses).toEqual(expect.arrayContaining(Object.keys(Object(answer))));
    expect(egressLines(scene)).toBeLessThanOrEqual(2_000);
    expect(descriptorsOf(scene.daemon)).toBeLessThan(descriptors + 30);
    await more.check?.(seen);
  },
});

export const doorFloods: AttackCase[] = [
  flood('1,000 names, each with a secret in it', ['403', '429', 'none'], {
    input: { targets: ['#.evil.example:443'], times: 1_000 },
    check: ({ lookedUp }) => expect(lookedUp).toEqual([]),
  }),
  flood('in mode open, 300 names that do not exist', ['403', '429', '502'], {
    input: ({ scene }) => {
      setEgressMode(scene, 'open');
      return { targets: ['#.invalid:443'], times: 300, atOnce: 24 };
    },
    after: async (scene) => void setEgressMode(scene, 'listed'),
  }),
  flood('500 tunnels to an allowed site, each left at once', ['200', '429'], {
    input: ({ scene: { sites } }) => ({
      heads: [`CONNECT ${sites.endless} HTTP/1.1\r\nhost: x`],
      times: 500,
      atOnce: 30,
    }),
  }),
  flood('60 tunnels that nobody reads', ['200', '429'], {
    program: 'tunnels',
    input: ({ scene: { sites } }) => ({ target: sites.endless, times: 60, forMs: 2_000 }),
  }),
  flood('24 tunnels that carry as much as goes, inward', ['200'], {
    program: 'tunnels',
    input: ({ scene: { sites } }) => ({ target: sites.endless, times: 24, forMs: 2_000, read: true }),
  }),
  flood('24 tunnels that carry as much as goes, outward', ['200'], {
    program: 'tunnels',
    input: ({ scene: { sites } }) => ({ target: sites.endless, times: 24, forMs: 1_500, send: true }),
  }),
];
