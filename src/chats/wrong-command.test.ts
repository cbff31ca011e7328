// Words that look like a command and are none.
import { describe, expect, test } from 'vitest';
import type { ChatCommand } from '../groups/chat-command.js';
import { unknownCommandText, wantedCommands, wordOfCommand } from './wrong-command.js';

const usages = [
  '/help',
  '/status',
  '/stop [all]',
  '/tasks',
  '/task <number>',
  '/runs [<number>]',
  '/retry <number>',
].concat([
  '/budget [<amount>]',
  '/approve <number>',
  '/approvals',
  '/resume [<group>]',
  '/register <folder>',
  '/pause',
  ...['/recap', '/cost', '/undo [yes]'],
]);
const commands = usages.map((usage): ChatCommand => ({ usage, what: '', answer: () => '' }));

describe('the word of a command', () => {
  test.each([
    ['/retyr 12', 'retyr'],
    ['/Foo', 'foo'],
    ['  /stop! ', 'stop'],
    ['/a', 'a'],
    ['/änderung x', 'änderung'],
    ['/budget5', 'budget5'],
    ['/run\n7', 'run'],
    ['/task_add now', 'task_add'],
  ])('%j is %s', (text, word) => expect(wordOfCommand(text)).toBe(word));
  test.each([
    ...[
      '/',
      '//',
      '/ help',
      '/home/x is full',
      '/etc',
      '/etc is full',
      '/tmp, please',
      '/usr/bin',
      '/notes.txt',
      'see /foo',
    ],
    ...['/foo@OtherBot', '/12', '/-x', '', '/foo/bar', `/${'x'.repeat(40)}`, '/https://e.org', '／stop'],
  ])('%j is none', (text) => expect(wordOfCommand(text)).toBeUndefined());
});

describe('what may have been meant', () => {
  test.each([
    ['retyr', ['/retry']],
    ['taks', ['/task', '/tasks']],
    ['stat', ['/status']],
    ['aprove', ['/approve']],
    ['budget5', ['/budget']],
    ['run', ['/runs']],
    ['resmue', ['/resume']],
    ['cancel', ['/stop']],
    ['why', ['/runs']],
    ['revert', ['/undo']],
    ['money', ['/cost']],
    ['yesterday', ['/recap']],
    ['weather', []],
    ['x', []],
  ])('%s: %j', (word, names) => {
    const near = wantedCommands(word, commands).map(({ usage }) => usage.split(' ')[0]);
    expect(near).toEqual(expect.arrayContaining(names));
    if (names.length === 0) expect(near).toEqual([]);
  });
  test('the answer names them, and where all are', () => {
    expect(unknownCommandText('retyr', wantedCommands('retyr', commands))).toBe(
      'There is no `/retyr`. Did you mean `/retry <number>`? `/help` lists what I understand.',
    );
    expect(unknownCommandText('weather', [])).toBe('There is no `/weather`. `/help` lists what I understand.');
  });
});
