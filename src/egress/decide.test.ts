// The order of design §5: what is refused whatever else is said, what the owner said for good, for this run, and the mode.
import { describe, expect, test } from 'vitest';
import { decideEgress, type EgressQuestion } from './decide.js';

type Asked = Partial<Omit<EgressQuestion, 'target' | 'rules'>> & { rules?: Partial<EgressQuestion['rules'][number]>[] };

function decide(text: string, { mode = 'listed', rules = [], ownWords = [], tainted = false }: Asked = {}) {
  const [host = '', port = '443'] = text.split(':');
  const whole = rules.map((rule) => ({ host, ports: null, address: null, ...rule }));
  return decideEgress({ target: { host, port: Number(port) }, mode, rules: whole, ownWords, tainted });
}
const typed = (host: string, port?: number) => ({ ownWords: [{ host, port }] });

describe('an unknown host', () => {
  test('is refused in mode listed, with how to allow it', () => {
    expect(decide('example.com')).toEqual({
      kind: 'refuse',
      why: 'mode listed',
      reason: 'egress to example.com is not allowed yet: the owner can write /allow example.com',
    });
    expect(decide('example.com:8443')).toMatchObject({
      reason: expect.stringMatching(/\/allow example.com:8443$/),
    });
  });
  test('is asked for in mode ask, and in mode open once something was read that nobody trusted', () => {
    expect(decide('example.com', { mode: 'ask' })).toEqual({ kind: 'ask', why: 'mode ask' });
    expect(decide('example.com', { mode: 'open', tainted: true })).toMatchObject({
      kind: 'ask',
      why: expect.stringContaining('nobody vouched for'),
    });
  });
  test('is reached in mode open', () => {
    expect(decide('example.com', { mode: 'open' })).toEqual({ kind: 'allow', why: 'mode open' });
    expect(decide('example.com:80', { mode: 'open' })).toMatchObject({ kind: 'allow' });
  });
  test('on another port than those of the web is asked for in mode open, unless a rule or the own words name it', () => {
    for (const tainted of [false, true])
      expect(decide('example.com:22', { mode: 'open', tainted })).toMatchObject({
        kind: 'ask',
        why: expect.stringContaining('ports 80 and 443'),
      });
    expect(decide('example.com:22', { mode: 'open', rules: [{ ports: [22] }] })).toMatchObject({ why: 'rule' });
    expect(decide('example.com:22', { mode: 'open', ...typed('example.com', 22) })).toMatchObject({ why: 'own words' });
  });
});

describe('a rule', () => {
  test('allows the web ports, or its own', () => {
    expect(decide('example.com', { rules: [{}] })).toEqual({ kind: 'allow', why: 'rule' });
    expect(decide('example.com:80', { rules: [{}] })).toMatchObject({ kind: 'allow' });
    expect(decide('example.com:22', { rules: [{}] })).toMatchObject({ kind: 'refuse' });
    expect(decide('example.com:22', { rules: [{ ports: [22] }] })).toMatchObject({ kind: 'allow' });
    expect(decide('example.com:443', { rules: [{ ports: [22] }] })).toMatchObject({ kind: 'refuse' });
  });
  test('counts for its host, not for others that look like it', () => {
    for (const host of ['a.example.com', 'example.com.evil.example', 'example.co', 'xexample.com'])
      expect(decide(host, { rules: [{ host: 'example.com' }] })).toMatchObject({ kind: 'refuse' });
  });
  test('with an address leads there, also to a private one; without one never', () => {
    const rules = [{ host: 'nas.home', address: '192.168.1.5' }];
    expect(decide('nas.home', { rules })).toEqual({ kind: 'allow', why: 'rule', address: '192.168.1.5' });
    expect(decide('192.168.1.5', { rules: [{}] })).toMatchObject({ kind: 'refuse', why: 'address' });
    expect(decide('192.168.1.5', { rules: [{ address: '192.168.1.5' }] })).toMatchObject({ kind: 'allow' });
    expect(decide('nas.home:22', { rules })).toMatchObject({ kind: 'refuse' });
  });
  test('of the group goes before one of all', () => {
    const rules = [{ address: '10.0.0.1' }, { address: '10.0.0.2' }];
    expect(decide('nas.home', { rules })).toMatchObject({ address: '10.0.0.1' });
  });
});

describe('the own words', () => {
  test('allow exactly that host, on the web ports or the one that was typed', () => {
    expect(decide('example.com', typed('example.com'))).toEqual({ kind: 'allow', why: 'own words' });
    expect(decide('example.com:80', typed('example.com'))).toMatchObject({ kind: 'allow' });
    expect(decide('example.com:22', typed('example.com'))).toMatchObject({ kind: 'refuse' });
    expect(decide('example.com:8080', typed('example.com', 8080))).toMatchObject({ kind: 'allow' });
    expect(decide('example.com:443', typed('example.com', 8080))).toMatchObject({ kind: 'refuse' });
    expect(decide('www.example.com', typed('example.com'))).toMatchObject({ kind: 'refuse' });
  });
  test('lead to no private address', () => {
    expect(decide('192.168.1.5:80', typed('192.168.1.5'))).toMatchObject({ kind: 'refuse', why: 'address' });
  });
});

test('in mode none nothing is reached, whatever else was said', () => {
  const asked = { mode: 'none' as const, rules: [{ address: '10.0.0.1' }], ...typed('example.com') };
  expect(decide('example.com', asked)).toMatchObject({ kind: 'refuse', why: 'mode none' });
});

test.each(['169.254.169.254', '127.0.0.1', '10.0.0.1', '0.0.0.0'])('%s is refused in every mode', (address) => {
  for (const mode of ['listed', 'ask', 'open'] as const)
    expect(decide(`${address}:80`, { mode })).toMatchObject({ kind: 'refuse', why: 'address' });
});
