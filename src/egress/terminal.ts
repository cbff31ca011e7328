// The terminal's command about egress.
import { z } from 'zod';
import { reading, type TerminalCommand } from '../core/terminal.js';
import { egressMode } from './rows.js';

const rule = z.object({
  id: z.number(),
  group: z.string().nullish(),
  host: z.string(),
  ports: z.array(z.number()).nullable(),
  address: z.string().nullable(),
});
const answer = z.object({ rules: z.array(rule), modes: z.record(z.string(), egressMode) });

export const egressTerminal: TerminalCommand[] = [
  {
    usage: 'egress',
    what: 'the sites that agents may reach',
    call: 'GET /api/egress',
    show: reading(answer, ({ rules, modes }) =>
      [...Object.entries(modes).map(([group, mode]) => `${group}: mode ${mode}`), ...rules.map(ruleText)].join('\n'),
    ),
  },
];

function ruleText({ id, group, host, ports, address }: z.infer<typeof rule>): string {
  const where = `${ports ? `:${ports.join(',')}` : ''}${address ? ` at ${address}` : ''}`;
  return `${String(id).padStart(5)}  ${group ?? 'every group'}  ${host}${where}`;
}
