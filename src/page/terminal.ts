// The terminal's commands about the page.
import { z } from 'zod';
import { originOf, reading, type TerminalCommand } from '../core/terminal.js';
import { pageLink, readToken } from './auth.js';

export const pageTerminal: TerminalCommand[] = [
  {
    usage: 'status',
    what: 'what is running, waiting and connected, and the link to the page',
    isEveryday: true,
    call: 'GET /api/status',
    show: reading(
      z.object({ text: z.string() }),
      ({ text }, config) =>
        `${text.replaceAll(/\*\*|`/g, '')}\n\nPage: ${pageLink(originOf(config), readToken(config))}`,
    ),
  },
  {
    usage: 'logout',
    what: 'sign every browser out of the page',
    call: 'DELETE /api/sessions',
    show: () => 'Every browser is signed out; the link of `status` signs in again.',
  },
];
