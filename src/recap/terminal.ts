// What `pinch recap` shows; it asks the running daemon.
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import { visible } from '../core/visible.js';
import { hoursOf } from './hours.js';

const answer = z.object({ text: z.string() });

interface Call {
  argument: string | undefined;
  values: { json?: string | boolean | undefined };
  ask(call: string): Promise<unknown>;
}

export const recapTerminal = [
  {
    usage: 'recap [since]',
    what: 'what was done since yesterday evening, or in the last 12h or 3d: what it cost, what failed and why, what waits for you',
    isEveryday: true as const,
    async run({ argument, values, ask }: Call): Promise<number> {
      const hours = argument === undefined ? undefined : hoursOf(argument);
      if (argument !== undefined && hours === undefined)
        throw new PinchError('usage', `recap: ${JSON.stringify(argument)} is no time`, {
          hint: 'pinch recap 12h, or 3d',
        });
      const found = await ask(`GET /api/recap${hours === undefined ? '' : `?hours=${hours}`}`);
      const text = values.json ? JSON.stringify(found, null, 2) : answer.parse(found).text.replaceAll(/\*\*|`/g, '');
      process.stdout.write(`${visible(text)}\n`);
      return 0;
    },
  },
];
