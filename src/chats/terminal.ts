// The terminal's command about becoming the owner of a channel, and linking it to its account.
import { z } from 'zod';
import { qrForTerminal } from '../core/qr.js';
import { reading, type TerminalCommand } from '../core/terminal.js';

const pairingAnswer = z.object({
  pairing: z.array(z.object({ channel: z.string(), code: z.string(), link: z.string().optional() })),
  linking: z.array(z.object({ channel: z.string(), detail: z.string(), qr: z.string().optional() })),
});

export const chatTerminal: TerminalCommand[] = [
  {
    usage: 'pair',
    what: 'the codes by which you become the owner on a channel, or link it to its account',
    call: 'POST /api/pairing',
    show: reading(pairingAnswer, ({ pairing, linking }) => {
      const links = linking.map(
        ({ channel, detail, qr }) => `${qr ? `${qrForTerminal(qr)}\n` : ''}${channel}: ${detail}`,
      );
      const owners = pairing.map(
        ({ channel, code, link }) =>
          `${link ? `${qrForTerminal(link)}\n${channel}: scan this, or open ${link}, and press Start. Or ` : `${channel}: `}send the assistant this direct message:  /pair ${code}`,
      );
      return [...links, ...owners].join('\n') || 'Every channel that is on is linked and has its owner.';
    }),
  },
];
