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
      forum: false,
    });
    expect(parseRegistration('family some')).toContain('neither');
  });
  test.each([
    ['family forum', 'all', []],
    ['family forum all', 'all', []],
    ['forum forum listed forum', 'listed', ['forum']],
  ])('`/register %s` is for all topics', (argument, sendersPolicy, listed) => {
    const folder = argument.split(' ')[0];
    expect(parseRegistration(argument)).toEqual({ folder, sendersPolicy, listed, forum: true });
  });
  test.each(['forum', 'family listed forum', 'family all'])('`/register %s` is for one chat', (argument) => {
    expect(parseRegistration(argument)).toMatchObject({ forum: false });
  });
});
