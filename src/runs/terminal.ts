// The terminal's commands about runs.
import { z } from 'zod';
import { oneLine } from '../core/one-line.js';
import { reading, type TerminalCommand } from '../core/terminal.js';
import { type Run, runRow } from '../core/types.js';

export const runTerminal: TerminalCommand[] = [
  {
    usage: 'runs [state]',
    what: 'the latest runs (ready, leased, done, dead, cancelled)',
    call: 'GET /api/runs:state',
    show: reading(z.object({ runs: z.array(runRow) }), ({ runs }) => runs.map(runLine).join('\n') || 'no runs'),
  },
  { usage: 'run <id>', what: 'one run with its timeline', call: 'GET /api/runs/:id' },
  {
    usage: 'retry <id>',
    what: 'try a dead or cancelled run again',
    call: 'POST /api/runs/:id/retry',
    show: () => 'The run is ready again.',
  },
];

function runLine(run: Run): string {
  const time = new Date(run.createdAt).toLocaleString('sv-SE');
  return `${String(run.id).padStart(5)}  ${run.state.padEnd(9)}  ${run.kind}  attempt ${run.attempt}  ${time}  ${oneLine(run.error ?? '', 200)}`.trimEnd();
}
