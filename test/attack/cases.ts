// The attacks: one entry each. Add yours here and its program in hostile/.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { z } from 'zod';
import { eventually } from '../e2e/harness.js';
import { chatTexts } from '../e2e/talk.js';
import {
  type AttackCase,
  type AttackScene,
  addMedia,
  descriptorsOf,
  egressLines,
  engineAnswers,
  fillHistory,
  noContainers,
  outboxFiles,
  queuedOf,
  refusals,
  setEgressMode,
  stopRun,
  timelineBytes,
} from './attack.js';

/** The runner is stopped and frames are written in its place; afterwards somebody stops the run. */
const frozen = (name: string, input: Record<string, unknown>): AttackCase => ({
  name: `a frozen runner and ${name}, then /stop: it is removed, and the engine answers`,
  program: 'frame-flood',
  input,
  async after(scene) {
    await sleep(3_500);
    await stopRun(scene);
    await engineAnswers();
    await noContainers(scene);
  },
});

const MB = 1024 * 1024;

/** The door to the outside; every case says which answers may come, and `200` is one of them only where it says so. */
const door = (name: string, statuses: string[], more: Partial<AttackCase>): AttackCase => ({
  name: `the door: ${name}`,
  program: 'proxied',
  check: ({ answer, scene, descriptors }) => {
    expect([...statuses, '429']).toEqual(expect.arrayContaining(Object.keys(Object(answer))));
    expect(egressLines(scene)).toBeLessThanOrEqual(2_000);
    expect(descriptorsOf(scene.daemon)).toBeLessThan(descriptors + 30);
  },
  ...more,
});

const METADATA = [
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '0251.0376.0251.0376',
  '169.254.43518',
  '169.254.169.254.',
];
const OWN = [
  '127.0.0.1',
  '127.1',
  '0x7f.1',
  '2130706433',
  '017700000001',
  '0',
  '0.0.0.0',
  'localhost',
  'LOCALHOST.',
  '127.0.0.1.',
];
const NETWORKS = [
  '10.0.0.1',
  '172.17.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
];
const IPV6 = [
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
  '[fe80::1%25eth0]',
  '[fd00:ec2::254]',
];
const ports = (hosts: string[], ...numbers: number[]) =>
  hosts.flatMap((host) => numbers.map((port) => `${host}:${port}`));
const inMode =
  (mode: string, input: Record<string, unknown>): Exclude<AttackCase['input'], undefined> =>
  ({ scene }) => {
    setEgressMode(scene, mode);
    return input;
  };
const pagePorts = ({ scene }: { scene: AttackScene }) => {
  setEgressMode(scene, 'open');
  return { targets: ports([...OWN, ...IPV6], scene.daemon.port) };
};

const doorCases: AttackCase[] = [
  door('hosts that nobody allowed', ['403'], {
    input: { targets: ports(['example.com', '8.8.8.8'], 80, 443, 22) },
  }),
  door('hosts that look like the one that is allowed', ['400', '403'], {
    input: {
      targets: ports(
        ['a.site.example', 'site.example.evil.example', 'site.example@evil.example', 'xsite.example'],
        443,
      ),
    },
  }),
  door('1,000 names, each with a secret in it', ['403', '429', 'none'], {
    input: { targets: ['#.evil.example:443'], times: 1_000 },
  }),
  door("in mode open, the provider's metadata in every notation", ['403'], {
    input: inMode('open', { targets: ports(METADATA, 80, 443) }),
  }),
  door('in mode open, the networks around', ['403'], { input: inMode('open', { targets: ports(NETWORKS, 80, 443) }) }),
  door('in mode open, IPv6 and what embeds an IPv4 address', ['400', '403', 'none'], {
    input: inMode('open', { targets: ports(IPV6, 80) }),
  }),
  door("in mode open, Pinch's own page", ['400', '403', 'none'], { input: pagePorts }),
  door('in mode open, 300 names that do not exist', ['429', '502'], {
    input: inMode('open', { targets: ['#.invalid:443'], times: 300, atOnce: 24 }),
  }),
  door('CONNECT that is none', ['400', '403', 'none'], {
    input: inMode('ask', {
      heads: [
        'CONNECT a',
        'CONNECT :443',
        'CONNECT a:0',
        'CONNECT a:99999',
        'CONNECT a:b',
        'CONNECT http://a:80',
        'CONNECT /send',
        'CONNECT *:443',
      ]
        .map((line) => `${line} HTTP/1.1\r\nhost: x`)
        .concat(
          `CONNECT ${'a'.repeat(20_000)}:443 HTTP/1.1\r\nhost: x`,
          'CONNECT a\tb:443 HTTP/1.1\r\nhost: x',
          'CONNECT a:443\rx: y HTTP/1.1',
        ),
    }),
  }),
  door('URLs that are none, and bodies with two lengths', ['400', '403', 'none'], {
    input: ({ scene: { site } }) => ({
      heads: [
        `http://u@${site}/`,
        `http://u:p@${site}/`,
        `https://${site}/`,
        `ftp://${site}/`,
        `//${site}/`,
        'http://',
        `http:/${site}`,
      ]
        .map((url) => `GET ${url} HTTP/1.1\r\nhost: x\r\nconnection: close`)
        .concat(
          `POST http://${site}/ HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked`,
          `POST http://${site}/ HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6`,
          `POST http://${site}/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: x, chunked`,
        ),
    }),
  }),
  door('500 tunnels to an allowed site, each left at once', ['200', '429'], {
    input: ({ scene: { site } }) => ({ heads: [`CONNECT ${site} HTTP/1.1\r\nhost: x`], times: 500, atOnce: 30 }),
  }),
  door('60 tunnels that nobody reads', ['200', '429'], {
    program: 'tunnels',
    input: ({ scene: { site } }) => ({ target: site, times: 60, forMs: 5_000 }),
  }),
  door('24 tunnels that carry as much as goes, inward', ['200'], {
    program: 'tunnels',
    input: ({ scene: { site } }) => ({ target: site, times: 24, forMs: 5_000, read: true }),
  }),
  door('24 tunnels that carry as much as goes, outward', ['200'], {
    program: 'tunnels',
    input: ({ scene: { site } }) => ({ target: site, times: 24, forMs: 5_000, send: true }),
  }),
];

export const cases: AttackCase[] = [
  frozen('a flood of SETTINGS frames', { kind: 'settings' }),
  frozen('a flood of PING frames', { kind: 'ping' }),
  frozen('a flood of single bytes', { kind: 'one byte' }),
  frozen('a flood of garbage', { kind: 'garbage' }),
  frozen('a flood of SETTINGS frames that ends with its death', { kind: 'settings', kill: true }),
  frozen('no word more', { kind: 'settings', ms: 0 }),
  {
    name: '300 aborted downloads of a file',
    program: 'aborted-media',
    input: ({ scene }) => ({ path: `/media/${addMedia(scene, 'main', 20 * MB)}/0`, times: 300 }),
    check: async ({ answer, scene, descriptors }) => {
      expect(answer).toEqual({ begun: 300 });
      expect(descriptorsOf(scene.daemon)).toBeLessThan(descriptors + 30);
    },
  },
  {
    name: '24 bodies of 30 MB, held open',
    program: 'held-bodies',
    input: { path: '/v1/messages', bytes: 30 * MB, times: 24, holdMs: 3_000 },
  },
  {
    name: '24 bodies of 30 MB at the same time',
    program: 'held-bodies',
    input: { path: '/v1/messages', bytes: 30 * MB, times: 24, finish: true },
    // Reading one such body into objects.
  },
  {
    name: 'model calls that are cheap to send and dear to read',
    program: 'odd-bodies',
    check: ({ answer }) => {
      for (const status of Object.values(z.record(z.string(), z.number()).parse(answer)))
        expect([400, 413]).toContain(status);
    },
  },
  {
    name: 'one long text of markup each, 26 times, then /stop',
    program: 'sends',
    input: { times: 26, length: 100_000 },
    async after(scene) {
      const began = Date.now();
      await stopRun(scene);
      await eventually(async () => (await chatTexts(scene.daemon, 'out')).includes('Stopped.'), 'the answer to /stop');
      console.info(`/stop was answered after ${Date.now() - began} ms`);
      expect(queuedOf(scene)).toBe(0);
    },
    check: ({ answer }) => expect(answer).toEqual({ 200: 1, 429: 25 }),
  },
  {
    name: 'texts of every kind of markup, as many as may be sent',
    program: 'sends',
    input: { times: 40, length: 3_400 },
    check: ({ answer }) =>
      expect(z.record(z.string(), z.number()).parse(answer)).toMatchObject({ 429: expect.any(Number) }),
  },
  {
    name: 'a flood of 5,000 calls',
    program: 'request-flood',
    input: { path: '/tasks/list', body: { runId: 0 }, times: 5_000 },
    check: ({ answer, scene }) => {
      expect(answer).toMatchObject({ 429: expect.any(Number) });
      expect(refusals(scene)).toBe(1);
    },
  },
  {
    name: '3,000 invented addresses',
    program: 'request-flood',
    input: { path: '/v1/messages/batches/0/cancel', body: {}, times: 3_000 },
    check: ({ answer }) => expect(Object.keys(Object(answer))).toEqual(['403', '429']),
  },
  {
    name: '60 events of a megabyte each',
    program: 'event-flood',
    input: { times: 60, keys: 255, chars: 4_000 },
    check: ({ scene }) => expect(timelineBytes(scene)).toBeLessThan(100_000),
  },
  {
    name: '2,000 events of as much as one may have',
    program: 'event-flood',
    input: { times: 2_000, keys: 2, chars: 3_900, pauseMs: 60 },
    check: ({ scene }) => expect(timelineBytes(scene)).toBeLessThan(2.2 * MB),
  },
  {
    name: 'the same file key 30 times with 10 MB',
    program: 'file-reuse',
    input: { times: 30, bytes: 10 * MB },
    check: async ({ answer, scene }) => {
      expect(answer).toEqual({ first: 200, 200: 30 });
      await eventually(() => outboxFiles(scene).length === 0, 'no bytes are left');
    },
  },
  {
    name: '500 searches for what every one of 200,000 messages has',
    program: 'request-flood',
    input: ({ scene }) => {
      fillHistory(scene, 200_000);
      const bodies = ['th', 't', 'th th th th th th th th', 'even odd', 'the meeting', 'a b c d e f g h i j k'];
      return { path: '/history', bodies: bodies.map((query) => ({ query, limit: 50 })), times: 500, atOnce: 8 };
    },
    check: ({ answer }) => expect(answer).toMatchObject({ 200: expect.any(Number), 429: expect.any(Number) }),
  },
  {
    name: '64 heads that never end',
    program: 'slow-headers',
    input: { begin: 'GET / HTTP/1.1\r\nhost:', times: 64, forMs: 30_000 },
    // Some wait inside for a stream, and were never here.
    check: ({ answer }) => expect(answer).toMatchObject({ closed: expect.toSatisfy((n) => n > 55), after: 403 }),
  },
  {
    name: 'HTTP that is none',
    program: 'malformed',
    check: ({ answer }) => expect(answer).toMatchObject({ after: 403 }),
  },
  {
    name: '64 downloads that nobody reads',
    program: 'unread',
    input: ({ scene }) => ({ path: `/media/${addMedia(scene, 'main', 20 * MB)}/0`, times: 64, forMs: 3_000 }),
    check: ({ scene, descriptors }) => expect(descriptorsOf(scene.daemon)).toBeLessThan(descriptors + 30),
  },
  {
    name: 'the files of another group',
    program: 'request-flood',
    input: ({ scene }) => ({ method: 'GET', path: `/media/${addMedia(scene, 'others', 1_000)}/0`, times: 3 }),
    check: ({ answer }) => expect(answer).toEqual({ 403: 3 }),
  },
  ...doorCases,
];
