// The terminal's command about egress.
import { z } from 'zod';
import { firstOf, reading, type TerminalCommand } from '../core/terminal.js';
import { describeRule } from './rules.js';

const SHOWN = 100;
const listed = {
  host: z.string(),
  ports: z.array(z.number()).nullable(),
  address: z.string().nullable(),
  until: z.number().nullable(),
};
const answer = z.object({
  rules: z.array(z.object({ id: z.number(), group: z.string().nullish(), ...listed })),
  modes: z.record(z.string(), z.string()),
});

export const egressTerminal: TerminalCommand[] = [
  {
    usage: 'allow <host>',
    what: 'let every group reach a site, or a preset; host=address: a machine at home, at this address',
    call: 'POST /api/egress',
    body(argument) {
      const [host, address] = argument.split('=');
      return { host, address };
    },
    show: reading(answer.pick({ rules: true }), ({ rules }) => `Allowed: ${rules.map(describeRule).join(', ')}`),
  },
  {
    usage: 'egress',
    what: 'the sites that agents may reach',
    call: 'GET /api/egress',
    shown: SHOWN,
    show: reading(answer, ({ rules, modes }, _config, isAll) => {
      const lines = rules.map((rule) => `${rule.id}  ${rule.group ?? 'every group'}: ${describeRule(rule)}`);
      const all = [...Object.entries(modes).map(([group, mode]) => `${group}: mode ${mode}`), ...lines];
      return firstOf(all, { shown: SHOWN, isAll, command: 'egress', count: all.length }, (some) => some.join('\n'));
    }),
  },
];
