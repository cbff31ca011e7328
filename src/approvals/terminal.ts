// The terminal's commands about approvals.
import { z } from 'zod';
import { firstOf, reading, type TerminalCommand } from '../core/terminal.js';

const list = z.object({
  approvals: z.array(z.object({ id: z.number(), state: z.string(), subject: z.string(), detail: z.string() })),
});
const SHOWN = 20;
const answered = reading(z.object({ text: z.string() }), ({ text }) => text);

export const approvalTerminal: TerminalCommand[] = [
  {
    usage: 'approvals [state]',
    what: 'what the owner was asked (open, done, denied, expired, failed), with all of it',
    isEveryday: true,
    words: ['open', 'allowed', 'done', 'denied', 'expired', 'failed'],
    call: 'GET /api/approvals:state',
    shown: SHOWN,
    show: reading(list, ({ approvals }, _config, isAll) =>
      firstOf(
        approvals,
        { shown: SHOWN, isAll, command: 'approvals' },
        (some) =>
          some.map(({ id, state, subject, detail }) => `${id}  ${state}  ${subject}\n${detail}`).join('\n\n') ||
          'no approvals',
      ),
    ),
  },
  {
    usage: 'approve <id> [always]',
    what: 'say yes to it',
    call: 'POST /api/approvals/:id',
    body: (_id, scope) => ({ decision: 'allow', ...(scope && { scope }) }),
    show: answered,
  },
  {
    usage: 'deny <id>',
    what: 'say no to it',
    call: 'POST /api/approvals/:id',
    body: () => ({ decision: 'deny' }),
    show: answered,
  },
];
