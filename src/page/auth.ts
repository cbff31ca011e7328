// Who may talk to the page's server: the token file and one pure decision per request. Knows no routes beyond the few that need
// no token, and no SQL.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';

/** What needs no token: the health check, the page's own files, which hold no data, and hooks, which have secrets of their own. */
const OPEN_PATH = /^\/(|healthz|[a-z]+\.(html|js|css|svg|png|webmanifest)|hooks\/\d+)$/;

/**
 * The token of `<dataDir>/dashboard-token`, made on first use (32 random bytes, base64url, mode 0600).
 * Throws PinchError `dashboard_token_invalid` when the file holds something else.
 */
export function loadPageToken(dataDir: string): string {
  const file = join(dataDir, 'dashboard-token');
  if (!existsSync(file)) {
    // Whole or not at all: a crash must not leave half a token behind as the secret.
    writeFileSync(`${file}.tmp`, randomBytes(32).toString('base64url'), { mode: 0o600, flush: true });
    renameSync(`${file}.tmp`, file);
  }
  const token = readFileSync(file, 'utf8').trim();
  if (!/^[\w-]{16,200}$/.test(token)) {
    throw new PinchError('dashboard_token_invalid', `${file} does not hold a usable token`, {
      hint: 'delete that file; a new token is made at the next start',
    });
  }
  // A backup or a copy may have widened it.
  chmodSync(file, 0o600);
  return token;
}

/** The link that signs a browser in. The token is behind the #: a browser sends that part to no server, so it is in no log. */
export const pageLink = (origin: string, token: string): string => `${origin}/#token=${token}`;

/** What is looked at of a request. */
export interface AccessRequest {
  path: string;
  header(name: string): string | undefined;
}

/** What the `Authorization` header carries; empty when it is none of ours. */
export const bearerOf = (request: Pick<AccessRequest, 'header'>): string =>
  /^Bearer +(\S+)$/i.exec(request.header('authorization') ?? '')?.[1] ?? '';

export type Access = 'allowed' | 'unauthorized' | 'wrong_host' | 'foreign_origin';

/** What decides beside the request itself. */
export interface AccessRules {
  /** Ours. */
  port: number;
  /** Further names, with a port where it is not the usual one: a reverse proxy or a tailnet uses them. Lower case. */
  hosts: string[];
  /** Whether a path is the frame of a page, which holds no data. */
  isFrame(path: string): boolean;
  /** Whether a bearer is good. */
  knows(bearer: string): boolean;
}

/**
 * Decides about one request before any route sees it. Pure but for `knows`.
 * The Host check stops DNS rebinding; the Origin checks stop other web pages, also those on other ports of this machine.
 */
export function decideAccess(request: AccessRequest, { port, hosts, isFrame, knows }: AccessRules): Access {
  const own = ['127.0.0.1', 'localhost', '[::1]'].map((name) => new URL(`http://${name}:${port}`).origin);
  // Whoever stands before us may speak https with the browser; which of the two it is, we do not know.
  const origins = [...own, ...hosts.flatMap((host) => [`http://${host}`, `https://${host}`])];
  if (!origins.includes(`http://${request.header('host')?.toLowerCase()}`)) return 'wrong_host';
  const origin = request.header('origin');
  if (origin !== undefined && !origins.includes(origin.toLowerCase())) return 'foreign_origin';
  // Images and scripts of another page carry no Origin. A person may follow a link to the page, but nothing links to the API.
  const site = request.header('sec-fetch-site');
  if (request.path.startsWith('/api') && (site === 'cross-site' || site === 'same-site')) return 'foreign_origin';
  if (OPEN_PATH.test(request.path) || isFrame(request.path)) return 'allowed';
  const bearer = bearerOf(request);
  return bearer !== '' && knows(bearer) ? 'allowed' : 'unauthorized';
}

/** As another program of the owner reads it. Throws PinchError `not_started`. */
export function readToken(config: Pick<Config, 'home' | 'dataDir'>): string {
  const file = join(config.dataDir, 'dashboard-token');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  throw new PinchError('not_started', `Pinch was never started on ${config.home}`, { hint: 'npm start' });
}
