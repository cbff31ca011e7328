// The Telegram channel: its settings, and a connection that is loaded only when it is switched on.
import { z } from 'zod';
import { defineChannel } from './channel.js';

export const telegram = defineChannel({
  name: 'telegram',
  env: z.object({
    TELEGRAM_BOT_TOKEN: z
      .string()
      .regex(/^\d+:[\w-]{20,}$/, { error: 'use the token that @BotFather gave you, such as 123456789:AAE…' })
      .optional(),
    TELEGRAM_API_ROOT: z.url({ protocol: /^https?$/, error: 'use a URL such as https://api.telegram.org' }).optional(),
  }),
  async create({ TELEGRAM_BOT_TOKEN: token, TELEGRAM_API_ROOT: root = 'https://api.telegram.org' }, deps) {
    if (token === undefined) return undefined;
    const { createTelegram } = await import('./telegram-connection.js');
    return createTelegram(token, root.replace(/\/+$/, ''), deps);
  },
});
