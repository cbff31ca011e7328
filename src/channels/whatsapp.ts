// The WhatsApp channel: its settings, and a connection that is loaded only when it is switched on (the library takes 0.6 s and 60 MB).
// Who wrote what is in whatsapp-inbound.ts, connections in whatsapp-socket.ts, sending in whatsapp-send.ts.
import { z } from 'zod';
import { flag, plainNumber } from '../core/config.js';
import { splitMarkdown } from '../markdown/split.js';
import { type Channel, ChannelError, defineChannel } from './channel.js';
import { markdownToWhatsApp } from './whatsapp-format.js';
import type { connectWhatsApp } from './whatsapp-socket.js';

/** WhatsApp takes 65,536; longer than this is folded behind "read more" several times over. */
const MAX_MESSAGE_CHARS = 4_000;

/** Edits count as messages do, and whoever sends too many is banned. */
const EDIT_GAP_MS = 20_000;
/** WhatsApp takes edits for a quarter of an hour. */
const EDITABLE_MS = 14 * 60_000;

export const whatsapp = defineChannel({
  name: 'whatsapp',
  env: z.object({
    WHATSAPP_ENABLED: flag.default(false),
    WHATSAPP_PAIRING_PHONE: z
      .string()
      .transform(plainNumber)
      .refine((number) => /^\d{6,15}$/.test(number), {
        error: 'use the number of the assistant with its country code, such as 491701234567',
      })
      .optional(),
    WHATSAPP_WS_URL: z
      .url({ protocol: /^wss?$/, error: 'use a URL such as wss://web.whatsapp.com/ws/chat' })
      .optional(),
    WHATSAPP_VERSION: z
      .string()
      .regex(/^\d+\.\d+\.\d+$/, { error: 'use three numbers such as 2.3000.1043857760' })
      .transform((text): [number, number, number] => {
        const [major = 0, minor = 0, patch = 0] = text.split('.').map(Number);
        return [major, minor, patch];
      })
      .optional(),
    WHATSAPP_SHARED_NUMBER: flag.default(false),
  }),
  create(env, deps): Channel | undefined {
    if (!env.WHATSAPP_ENABLED) return undefined;
    const { WHATSAPP_PAIRING_PHONE: pairingPhone, WHATSAPP_WS_URL: url } = env;
    const { WHATSAPP_VERSION: version, WHATSAPP_SHARED_NUMBER: shared } = env;
    let connection: ReturnType<typeof connectWhatsApp> | undefined;
    let starting: Promise<void> | undefined;
    let stopped = false;
    const connect = async () => {
      const library = await import('./whatsapp-socket.js');
      if (!stopped) connection = library.connectWhatsApp(deps, { pairingPhone, url, version, shared });
    };
    const started = () => {
      if (!connection) throw new ChannelError('network', 'WhatsApp is still starting');
      return connection;
    };
    return {
      start() {
        starting ??= connect().catch((error: unknown) => {
          deps.log.error({ err: error }, 'whatsapp could not be loaded');
          deps.onState({ state: 'blocked', detail: 'the WhatsApp library could not be loaded; run `npm ci`' });
        });
      },
      async stop() {
        stopped = true;
        await starting;
        await connection?.stop();
      },
      split: (text) =>
        splitMarkdown(text, { limit: MAX_MESSAGE_CHARS, measure: (part) => markdownToWhatsApp(part).length }),
      send: async (part) => started().send(part),
      edits: { silent: false, gapMs: EDIT_GAP_MS, forMs: EDITABLE_MS },
      edit: async (edit) => started().edit(edit),
      remove: async (address, platformId) => started().remove(address, platformId),
      react: async (address, message, emoji) => started().react(address, message, emoji),
      kindOf: (address) => (address.endsWith('@g.us') ? 'group' : 'direct'),
      typing: (address) => connection?.typing(address),
      async fetchMedia(ref, maxBytes) {
        const { fetchWhatsAppMedia } = await import('./whatsapp-media.js');
        return fetchWhatsAppMedia(ref, maxBytes);
      },
      link: () => connection?.link(),
    };
  },
});
