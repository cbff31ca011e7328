// The attacks: one entry each. Add yours here and its program in hostile/.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type AttackCase, addMedia, descriptorsOf, engineAnswers, noContainers, stopRun } from './attack.js';

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
    input: ({ scene }) => ({ path: `/media/${addMedia(scene, 'main', 20 * 1024 * 1024)}/0`, times: 300 }),
    check: async ({ answer, scene, descriptors }) => {
      expect(answer).toEqual({ begun: 300 });
      expect(descriptorsOf(scene.daemon)).toBeLessThan(descriptors + 30);
    },
  },
];
