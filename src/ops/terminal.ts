// The terminal's commands about the daemon as a whole.
import type { TerminalCommand } from '../core/terminal.js';

export const opsTerminal: TerminalCommand[] = [
  {
    usage: 'stop',
    what: 'emergency stop: end everything, start nothing until resume',
    call: 'POST /api/stop',
    show: () => 'Everything is stopped. `resume` ends that.',
  },
  { usage: 'resume', what: 'end the emergency stop', call: 'POST /api/resume', show: () => 'Working again.' },
];
