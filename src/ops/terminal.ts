// The terminal's commands about the daemon as a whole.
import { z } from 'zod';
import { reading, type TerminalCommand } from '../core/terminal.js';

const setAsideShape = { name: z.string(), why: z.string(), at: z.number(), body: z.string().nullable() };
const localTime = (at: number): string => new Date(at).toLocaleString('sv-SE');

export const opsTerminal: TerminalCommand[] = [
  {
    usage: 'stop',
    what: 'emergency stop: end everything, start nothing until resume',
    isEveryday: true,
    call: 'POST /api/stop',
    show: () => 'Everything is stopped, also after a restart. Go on: pinch resume',
  },
  {
    usage: 'set-aside',
    what: 'what came and could not be taken in, newest first',
    call: 'GET /api/set-aside',
    show: reading(
      z.object({ setAside: z.array(z.object(setAsideShape)) }),
      ({ setAside }) =>
        setAside
          .map(({ name, why, at, body }) => `${localTime(at)}  ${name}  ${why}\n${body ?? 'It could not be kept.'}`)
          .join('\n\n') || 'nothing',
    ),
  },
  {
    usage: 'resume',
    what: 'end the emergency stop',
    isEveryday: true,
    call: 'POST /api/resume',
    show: () => 'Working again.',
  },
];
