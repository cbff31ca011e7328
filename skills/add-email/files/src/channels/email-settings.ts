// The mail channel's variables in `.env`, checked. Knows no network.
import { z } from 'zod';

export interface Server {
  host: string;
  port: number;
  /** `none` only on this machine itself. */
  tls: 'implicit' | 'starttls' | 'none';
}

export interface EmailSettings {
  address: string;
  user: string;
  password: string;
  imap: Server;
  smtp: Server;
  /** Whose Authentication-Results count; undefined trusts every sender's address. */
  authServer: string | undefined;
}

const PORTS = { imap: { secure: 993, open: 143 }, smtp: { secure: 465, open: 587 } };
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

function server(name: 'imap' | 'smtp') {
  const error = `use ${name}s://${name}.example.org, or ${name}://${name}.example.org for STARTTLS; no password in it`;
  return z.string().transform((text, context): Server => {
    const [, scheme, host, port] = /^(\w+):\/\/([\w.-]+|\[[\da-f:]+\])(?::(\d{1,5}))?\/?$/i.exec(text) ?? [];
    const secure = scheme?.toLowerCase() === `${name}s`;
    if (host === undefined || (!secure && scheme?.toLowerCase() !== name) || Number(port ?? 1) > 65_535) {
      context.addIssue({ code: 'custom', message: error });
      return z.NEVER;
    }
    const open = LOOPBACK.includes(host.toLowerCase());
    return {
      host: host.replace(/^\[|\]$/g, ''),
      port: Number(port ?? PORTS[name][secure ? 'secure' : 'open']),
      tls: secure ? 'implicit' : open ? 'none' : 'starttls',
    };
  });
}

/** Undefined while EMAIL_ADDRESS is not set; with it, the servers, the password and whose word about senders counts are needed. */
export const emailEnv = z
  .object({
    EMAIL_ADDRESS: z
      .email({ error: 'use the address of a mailbox that is the assistant’s own' })
      .toLowerCase()
      .optional(),
    EMAIL_USER: z.string().optional(),
    EMAIL_PASSWORD: z.string().optional(),
    EMAIL_IMAP: server('imap').optional(),
    EMAIL_SMTP: server('smtp').optional(),
    EMAIL_AUTH_SERVER: z
      .string()
      .regex(/^[\w.-]{1,255}$/, { error: 'use the first word of a received mail’s Authentication-Results, or none' })
      .optional(),
  })
  .transform((env, context): EmailSettings | undefined => {
    const { EMAIL_ADDRESS: address, EMAIL_PASSWORD: password, EMAIL_IMAP: imap, EMAIL_SMTP: smtp } = env;
    const { EMAIL_AUTH_SERVER: authServer, EMAIL_USER: user = address } = env;
    if (address === undefined || user === undefined) return undefined;
    if (password && imap && smtp && authServer)
      return { address, user, password, imap, smtp, authServer: authServer === 'none' ? undefined : authServer };
    const needed = { EMAIL_PASSWORD: password, EMAIL_IMAP: imap, EMAIL_SMTP: smtp, EMAIL_AUTH_SERVER: authServer };
    for (const [name, value] of Object.entries(needed))
      if (!value)
        context.addIssue({ code: 'custom', path: [name], message: 'needed as well when EMAIL_ADDRESS is set' });
    return z.NEVER;
  });
