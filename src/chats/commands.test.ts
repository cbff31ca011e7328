// How a command is found in a text.
import { describe, expect, test } from 'vitest';
import type { ChatCommand } from '../groups/chat-command.js';
import { parseCommand } from './commands.js';

const commands = ['help', 'status', 'register', 'stop'].map(
  (name): ChatCommand => ({ ...{ usage: `/${name}`, what: '', forMembers: true }, answer: () => '' }),
);

describe('commands', () => {
  test.each([
    ['/status', 'status', ''],
    ['/start', 'help', ''],
    ['/REGISTER  family listed Anna ', 'register', 'family listed Anna'],
    ['/stop\nnow', 'stop', 'now'],
  ])('%j', (text, name, argument) => {
    expect(parseCommand(text, commands)).toMatchObject({ command: { usage: `/${name}` }, argument });
  });
  test.each(['status', '/statusx', '/', '//help', '/unknown'])('%j is no command', (text) => {
    expect(parseCommand(text, commands)).toBeUndefined();
  });
});
