// The terminal's commands about money.
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import { reading, type TerminalCommand } from '../core/terminal.js';
import { capName } from './rows.js';

const text = reading(z.object({ text: z.string() }), ({ text }) => text.replaceAll(/`|\*\*/g, ''));

export const budgetTerminal: TerminalCommand[] = [
  {
    usage: 'costs',
    what: 'what was spent, by group, model, task and day',
    isEveryday: true,
    call: 'GET /api/costs',
    show: text,
  },
  { usage: 'budgets', what: 'what may be spent, what is left, and until when', call: 'GET /api/budgets', show: text },
  {
    usage: 'budget <which=usd>',
    what: 'change one: run=, day=, month= or <group>=, an amount or `default`; `,today` behind it: for today only',
    call: 'POST /api/budgets',
    body(argument) {
      const [, what = '', amount = '', today] = /^([a-z0-9_-]+)=(\d+(?:\.\d+)?|default)(,today)?$/.exec(argument) ?? [];
      if (!what) throw new PinchError('usage', 'which budget, and how much?', { hint: 'for example `budget day=20`' });
      const name = capName.safeParse(what).data;
      const usd = amount === 'default' ? null : Number(amount);
      return { name: name ?? 'group', ...(!name && { group: what }), usd, today: today !== undefined };
    },
    show: text,
  },
  {
    usage: 'continue <chat>',
    what: 'go on in a chat that the loop guard paused',
    call: 'POST /api/chats/:id/continue',
    show: () => 'Going on there.',
  },
];
