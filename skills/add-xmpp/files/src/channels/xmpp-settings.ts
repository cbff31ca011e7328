// The XMPP channel's variables in `.env`, checked. Knows no network.
import { z } from 'zod';

export interface XmppSettings {
  /** The assistant's account, `local@domain`. */
  address: string;
  local: string;
  domain: string;
  password: string;
  /** Where to connect; undefined asks DNS. */
  service: string | undefined;
  /** The server is this machine itself: TLS is not insisted on. */
  isLoopback: boolean;
  rooms: string[];
}

const bareJid = /^[^\s@/<>'"&:]{1,255}@[\w.-]{1,255}$/;

/** Undefined while XMPP_ADDRESS is not set; with it, the password is needed. */
export const xmppEnv = z
  .object({
    XMPP_ADDRESS: z
      .string()
      .regex(bareJid, { error: 'use an account of the assistant’s own, such as pinch@example.org' })
      .toLowerCase()
      .optional(),
    XMPP_PASSWORD: z.string().optional(),
    XMPP_SERVICE: z
      .string()
      .regex(/^xmpps?:\/\/([\w.-]+|\[[\da-f:]+\])(:\d{1,5})?$/i, {
        error: 'use xmpps://xmpp.example.org:5223, or xmpp://xmpp.example.org:5222 for STARTTLS',
      })
      .optional(),
    XMPP_ROOMS: z
      .string()
      .transform((text) =>
        text
          .toLowerCase()
          .split(/[\s,]+/)
          .filter(Boolean),
      )
      .refine((rooms) => rooms.every((room) => bareJid.test(room)), {
        error: 'use addresses of rooms with commas between, such as family@rooms.example.org',
      })
      .optional(),
  })
  .transform((env, context): XmppSettings | undefined => {
    const { XMPP_ADDRESS: address, XMPP_PASSWORD: password, XMPP_SERVICE: service, XMPP_ROOMS: rooms = [] } = env;
    if (address === undefined) return undefined;
    if (!password) {
      const message = 'needed as well when XMPP_ADDRESS is set';
      context.addIssue({ code: 'custom', path: ['XMPP_PASSWORD'], message });
      return z.NEVER;
    }
    const [local = '', domain = ''] = address.split('@');
    const isLoopback = /^xmpps?:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::|$)/i.test(service ?? '');
    return { address, local, domain, password, service, isLoopback, rooms: [...new Set(rooms)] };
  });
