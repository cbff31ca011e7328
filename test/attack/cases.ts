// The attacks: one entry each. Add yours here and its program in hostile/.
import { expect } from 'vitest';
import { type AttackCase, addMedia, descriptorsOf } from './attack.js';

export const cases: AttackCase[] = [
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
