// Which folders a chat can be registered with, and for whom.
import { describe, expect, test } from 'vitest';
import { folderProblem, parseRegistration } from './registration.js';

describe('registering', () => {
  test.each([
    '',
    '..',
    '../x',
    'a/b',
    'Family',
    '.x',
    'global',
    'x'.repeat(41),
    'ä',
    'a b/..',
  ])('folder %j is refused', (folder) => {
    expect(folderProblem(folder)).toBeTypeOf('string');
  });
  test('a registration may list people', () => {
    expect(parseRegistration('family listed Anna @ben')).toEqual({
      folder: 'family',
      sendersPolicy: 'listed',
      listed: ['Anna', '@ben'],
    });
    expect(parseRegistration('family some')).toContain('neither');
  });
});
