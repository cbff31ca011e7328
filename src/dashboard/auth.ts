// Who may talk to the dashboard: the token file, the session cookie, and one pure decision per request. Knows no routes
// beyond the few that need no token, and no SQL.
import { createHmac, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'hono/utils/cookie';
import { PinchError } from '../errors.js';
import { sameSecret } from '../same-secret.js';

export const SESSION_COOKIE = 'pinch_session';
/** What needs no token: the health check, the page's own files, which hold no data, and hooks, which have secrets of their own. */
const OPEN_PATH = /^\/(healthz|[a-z]+\.(js|css|svg)|hooks\/\d+)$/;

/**
 * The token of `<dataDir>/dashboard-token`, made on first use (32 random bytes, base64url, mode 0600).
 * Throws PinchError `dashboard_token_invalid` when the file holds something else.
 */
export function loadDashboardToken(dataDir: string): string {
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

/** What the cookie holds: derived, so that a leaked cookie is not the token. */
export const sessionValue = (token: string): string =>
  createHmac('sha256', token).update('pinch dashboard session').digest('base64url');

/** What is looked at of a request. */
export interface AccessRequest {
  method: string;
  path: string;
  header(name: string): string | undefined;
  query(name: string): string | undefined;
}

/** `log_in` is the printed link: it gets the cookie. */
export type Access = 'allowed' | 'log_in' | 'unauthorized' | 'wrong_host' | 'foreign_origin';

/**
 * Decides about one request to our `port` before any route sees it. Pure.
 * The Host check stops DNS rebinding; the Origin checks stop other web pages, also those on other ports of this machine,
 * to which a SameSite cookie is sent because a site has no port.
 */
export function decideAccess(request: AccessRequest, port: number, token: string): Access {
  const origins = ['127.0.0.1', 'localhost', '[::1]'].map((name) => new URL(`http://${name}:${port}`).origin);
  if (!origins.includes(`http://${request.header('host')?.toLowerCase()}`)) return 'wrong_host';
  const origin = request.header('origin');
  if (origin !== undefined && !origins.includes(origin.toLowerCase())) return 'foreign_origin';
  // Images and scripts of another page carry no Origin. A person may follow a link to the page, but nothing links to the API.
  const site = request.header('sec-fetch-site');
  if (request.path.startsWith('/api') && (site === 'cross-site' || site === 'same-site')) return 'foreign_origin';
  if (OPEN_PATH.test(request.path)) return 'allowed';
  if (request.path === '/' && sameSecret(request.query('token'), token)) return 'log_in';
  const authorization = request.header('authorization');
  if (authorization !== undefined) {
    const bearer = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    return sameSecret(bearer, token) ? 'allowed' : 'unauthorized';
  }
  const session = parse(request.header('cookie') ?? '', SESSION_COOKIE)[SESSION_COOKIE];
  if (!sameSecret(session, sessionValue(token))) return 'unauthorized';
  const reads = request.method === 'GET' || request.method === 'HEAD';
  return reads || origin !== undefined || site === 'same-origin' ? 'allowed' : 'foreign_origin';
}
