// Attacks that kill their container, or flood: each has a run of its own, in which the daemon is measured. Add yours here and its program in
// hostile/.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { z } from 'zod';
import { eventually } from '../../e2e/harness.js';
import { chatTexts } from '../../e2e/talk.js';
import { type AttackCase, engineAnswers, noContainer, stopRun } from '../attack.js';
import { descriptorsOf } from '../measure.js';
import { addMedia, fillHistory, outboxFiles, queuedOf, refusals, timelineBytes } from '../rows.js';

const MB = 1024 * 1024;

/** The runner is stopped and frames are written in its place; afterwards somebody stops the run. */
const frozen = (name: string, input: Record<string, unknown>): AttackCase => ({
  name: `a frozen runner and ${name}, then /stop: it is removed, and the engine answers`,
  program: 'frame-flood',
  input: { ms: FLOOD_MS, ...input },
  async after(scene) {
    await sleep(FLOOD_MS + 200);
    await stopRun(scene);
    await engineAnswers();
    await noContainer(scene);
  },
});
const FLOOD_MS = 1_000;

/** Somebody sees it and stops the run; the next one works as if nothing had been. */
const exhausting = (name: string, kind: string): AttackCase => ({
  name: `${name}, then /stop`,
  program: 'exhaust',
  input: { kind, ms: 20_000 },
  async after(scene) {
    await sleep(1_500);
    await stopRun(scene);
    await engineAnswers();
    // What left the runner's process groups is gone with the container.
    await noContainer(scene);
  },
  check: ({ answer }) => expect(answer).toMatchObject({ began: kind }),
});

const link: AttackCase[] = [
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
    name: '64 downloads that nobody reads',
    program: 'unread',
    input: ({ scene }) => ({ path: `/media/${addMedia(scene, 'main', 20 * MB)}/0`, times: 64, forMs: 3_000 }),
    check: ({ scene, descriptors }) => expect(descriptorsOf(scene.daemon)).toBeLessThan(descriptors + 30),
  },
];

const floods: AttackCase[] = [
  {
    name: '24 bodies of 4 MB, held open',
    program: 'held-bodies',
    input: { path: '/v1/messages', bytes: 4 * MB, times: 24, holdMs: 2_000 },
  },
  {
    name: '24 bodies of 4 MB at the same time',
    program: 'held-bodies',
    input: { path: '/v1/messages', bytes: 4 * MB, times: 24, finish: true },
  },
  {
    name: 'model calls that are cheap to send and dear to read',
    program: 'odd-bodies',
    check: ({ answer }) => {
      for (const status of Object.values(z.record(z.string(), z.number()).parse(answer)))
        expect([400, 402, 413]).toContain(status);
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
    name: 'a flood of 2,000 calls',
    program: 'request-flood',
    input: { path: '/tasks/list', body: { runId: 0 }, times: 2_000 },
    check: ({ answer, scene }) => {
      expect(answer).toMatchObject({ 429: expect.any(Number) });
      expect(refusals(scene)).toBeLessThanOrEqual(2);
    },
  },
  {
    name: '1,500 invented addresses',
    program: 'request-flood',
    input: { path: '/v1/messages/batches/0/cancel', body: {}, times: 1_500 },
    check: ({ answer }) => expect(Object.keys(Object(answer))).toEqual(['403', '429']),
  },
  {
    name: '20 events of a megabyte each',
    program: 'event-flood',
    input: { times: 20, keys: 255, chars: 4_000 },
    check: ({ scene }) => expect(timelineBytes(scene)).toBeLessThan(100_000),
  },
  {
    name: '350 events of as much as one may have',
    program: 'event-flood',
    input: { times: 350, keys: 2, chars: 3_900, pauseMs: 60 },
    check: ({ scene }) => expect(timelineBytes(scene)).toBeLessThan(2.2 * MB),
  },
  {
    name: 'the same file key 10 times with 4 MB',
    program: 'file-reuse',
    input: { times: 10, bytes: 4 * MB },
    check: async ({ answer, scene }) => {
      expect(answer).toEqual({ first: 200, 200: 10 });
      await eventually(() => outboxFiles(scene).length === 0, 'no bytes are left');
    },
  },
  {
    name: '120 searches for what every one of 50,000 messages has',
    program: 'request-flood',
    input: ({ scene }) => {
      fillHistory(scene, 50_000);
      const bodies = ['th', 't', 'th th th th th th th th', 'even odd', 'the meeting', 'a b c d e f g h i j k'];
      return { path: '/history', bodies: bodies.map((query) => ({ query, limit: 50 })), times: 120, atOnce: 8 };
    },
    check: ({ answer }) => expect(answer).toMatchObject({ 200: expect.any(Number), 429: expect.any(Number) }),
  },
];

const exhaustion: AttackCase[] = [
  exhausting('a fork bomb', 'processes'),
  exhausting('four programs that take all memory', 'memory'),
  exhausting('output as fast as it goes', 'output'),
];

export const scenesOfContainers: AttackCase[] = [...link, ...floods, ...exhaustion];
