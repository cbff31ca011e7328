// How a command is found in a text.
import { describe, expect, test } from 'vitest';
import type { ChatCommand } from '../groups/chat-command.js';
import { helpText, menuOf, parseCommand } from './commands.js';

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

describe('the help', () => {
  const known: ChatCommand[] = [
    { usage: '/task add <when>', what: 'plan something, or *change* it', answer: () => '' },
    { usage: '/stop [all]', what: 'stop what I do', inShort: 'stop it; `/stop all`: everything', answer: () => '' },
  ];

  test('is short, whole, or about one command', () => {
    expect(helpText('Pinch', known)).toMatch(/reply to me\.\n\n- `\/stop` stop it; .*\n- `\/help all` all 2 commands$/);
    expect(helpText('Pinch', known, 'ALL')).toMatch(
      /^- `\/task add <when>` — plan .*\n- `\/stop \[all\]` — stop what I do$/,
    );
    for (const asked of ['task', '/task'])
      expect(helpText('Pinch', known, asked)).toMatch(/^- `\/task add <when>` — [^\n]*$/);
    expect(helpText('Pinch', known, 'stpo')).toContain('Did you mean `/stop [all]`?');
  });

  test('what is used every day stands first in the menu, in few words', () => {
    expect(menuOf(known, []).owner).toEqual([
      { name: 'stop', what: 'stop it; /stop all: everything' },
      { name: 'task', what: 'plan something, or change it' },
    ]);
  });
});
