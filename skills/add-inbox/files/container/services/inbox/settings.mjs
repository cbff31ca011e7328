// The settings, out of the environment. Pure.
import { z } from 'zod';

/**
 * @typedef {{ host: string, port: number, startTls: boolean }} Server `startTls`: TLS begins after the greeting; else at once
 * @typedef {{ name: string, address: string }} Address
 * @typedef {{ imap: Server, smtp: Server, user: string, password: string, from: Address }} Settings
 */

/** On any other port TLS is spoken from the first byte. Without TLS nothing is ever sent. */
const STARTTLS_PORTS = [25, 143, 587];

const host = z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/, { error: 'is not a host name' });
const port = z.coerce.number({ error: 'is not a port' }).int().min(1).max(65_535);
const line = z.string({ error: 'is missing' }).regex(/^[^\0\r\n]{1,1000}$/, { error: 'is not one line of text' });

const environment = z.object({
  INBOX_IMAP_HOST: host,
  INBOX_IMAP_PORT: port.default(993),
  INBOX_SMTP_HOST: host,
  INBOX_SMTP_PORT: port.default(465),
  INBOX_USER: line.optional(),
  INBOX_PASSWORD: line,
  INBOX_ADDRESS: line,
});

/**
 * Throws an Error that names each wrong variable and no value.
 * @param {NodeJS.ProcessEnv} env
 * @returns {Settings}
 */
export function readSettings(env) {
  const parsed = environment.safeParse(env);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`);
    throw new Error(`its entry in services.json is wrong: ${problems.join('; ')}`);
  }
  const set = parsed.data;
  const from = parseAddress(set.INBOX_ADDRESS);
  if (!from) throw new Error('its entry in services.json is wrong: INBOX_ADDRESS is not a mail address');
  return {
    imap: server(set.INBOX_IMAP_HOST, set.INBOX_IMAP_PORT),
    smtp: server(set.INBOX_SMTP_HOST, set.INBOX_SMTP_PORT),
    user: set.INBOX_USER ?? from.address,
    password: set.INBOX_PASSWORD,
    from,
  };
}

/** @param {string} name @param {number} number @returns {Server} */
const server = (name, number) => ({ host: name, port: number, startTls: STARTTLS_PORTS.includes(number) });

/** Quotes, comments and routes in an address are legal, and how a mail goes to another person than the one who is read. */
const PLAIN_ADDRESS = /^[^\s"(),:;<>@[\\\]\p{Cc}\p{Cf}]{1,64}@[\p{L}\p{N}](?:[\p{L}\p{N}.-]{0,251}[\p{L}\p{N}])?$/u;
/** No @ in it: a name that looks like an address is a trap as well. */
const WITH_NAME = /^(?:"([^"\\<>@]*)"|([^"\\<>@]*))<([^<>]*)>$/;

/**
 * `anna@example.org` or `Anna <anna@example.org>`: exactly one person, or undefined.
 * @param {string} text
 * @returns {Address | undefined}
 */
export function parseAddress(text) {
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) return undefined;
  const [, quoted, bare, inside] = WITH_NAME.exec(text.trim().replace(/ +</, '<')) ?? [];
  const address = inside ?? text.trim();
  return PLAIN_ADDRESS.test(address) ? { name: (quoted ?? bare ?? '').trim(), address } : undefined;
}
