// Who may talk to the dashboard: the token file, the session cookie, and one pure decision per request. Knows no routes
// beyond the few that need no token, and no SQL.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PinchError } from '../errors.js';

export const SESSION_COOKIE = 'pinch_session';
const TOKEN_FORMAT = /^[A-Za-z0-9_-]{16,200}$/;

/**
 * The token of `<dataDir>/dashboard-token`, made on first use (32 random bytes, base64url, mode 0600).
 * Throws PinchError `dashboard_token_invalid` when the file holds something else.
 */
export function loadDashboardToken(dataDir: string): string {
  const file = join(dataDir, 'dashboard-token');
  if (!existsSync(file)) writeToken(file);
  const token = readFileSync(file, 'utf8').trim();
  if (!TOKEN_FORMAT.test(token)) {
    throw new PinchError('dashboard_token_invalid', `${file} does not hold a usable token`, {
      hint: 'delete that file; a new token is made at the next start',
    });
  }
  // A backup or a copy may have widened it.
  chmodSync(file, 0o600);
  return token;
}

/** Whole or not at all: a crash must not leave half a token behind as the secret. */
function writeToken(file: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  const fd = openSync(temporary, 'w', 0o600);
  writeSync(fd, `${randomBytes(32).toString('base64url')}\n`);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(temporary, file);
}

/** What the cookie holds: derived, so that a leaked cookie is not the token. */
export function sessionValue(token: string): string {
  return createHmac('sha256', token).update('pinch dashboard session').digest('base64url');
}

/** Equal or not, in a time that says nothing about where two strings differ. */
export function sameSecret(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

export interface AccessRequest {
  method: string;
  path: string;
  host: string | undefined;
  origin: string | undefined;
  /** `Sec-Fetch-Site`, which a browser sets and a page cannot. */
  fetchSite: string | undefined;
  authorization: string | undefined;
  cookie: string | undefined;
}

export interface AccessRules {
  port: number;
  token: string;
  /** Paths anyone on this machine may read: the health check and the page's own files, which hold no data. */
  openPaths: ReadonlySet<string>;
}

export type Access =
  | { kind: 'allowed' }
  | { kind: 'forbidden'; code: 'wrong_host' | 'foreign_origin'; message: string }
  | { kind: 'unauthorized' };

/**
 * Decides about one request before any route sees it. Pure.
 * The Host check stops DNS rebinding; the Origin checks stop other web pages, also those on other ports of this machine,
 * to which a SameSite cookie is sent because a site has no port.
 */
export function decideAccess(request: AccessRequest, rules: AccessRules): Access {
  const hosts = ownHosts(rules.port);
  if (!request.host || !hosts.has(request.host.toLowerCase())) {
    return { kind: 'forbidden', code: 'wrong_host', message: 'this address is not one of the dashboard' };
  }
  const foreign = foreignOrigin(request, hosts);
  if (foreign) return { kind: 'forbidden', code: 'foreign_origin', message: foreign };
  if (rules.openPaths.has(request.path)) return { kind: 'allowed' };
  if (request.authorization !== undefined) {
    const bearer = /^Bearer +(\S+)$/i.exec(request.authorization.trim())?.[1] ?? '';
    return sameSecret(bearer, rules.token) ? { kind: 'allowed' } : { kind: 'unauthorized' };
  }
  if (!sameSecret(request.cookie ?? '', sessionValue(rules.token))) return { kind: 'unauthorized' };
  if (changesState(request.method) && request.origin === undefined && request.fetchSite !== 'same-origin') {
    return {
      kind: 'forbidden',
      code: 'foreign_origin',
      message: 'a change needs an Origin header or the bearer token',
    };
  }
  return { kind: 'allowed' };
}

function foreignOrigin({ origin, fetchSite, path }: AccessRequest, hosts: Set<string>): string | undefined {
  if (origin !== undefined && ![...hosts].some((host) => origin.toLowerCase() === `http://${host}`)) {
    return 'requests of other pages are refused';
  }
  // Images and scripts of another page carry no Origin. A person may follow a link to the page, but nothing links to the API.
  const fromOtherPage = fetchSite === 'cross-site' || fetchSite === 'same-site';
  return fromOtherPage && path.startsWith('/api') ? 'requests of other pages are refused' : undefined;
}

function ownHosts(port: number): Set<string> {
  const names = ['127.0.0.1', 'localhost', '[::1]'];
  // Browsers leave the default port of http out.
  return new Set([...names.map((name) => `${name}:${port}`), ...(port === 80 ? names : [])]);
}

const changesState = (method: string) => !['GET', 'HEAD', 'OPTIONS'].includes(method);
