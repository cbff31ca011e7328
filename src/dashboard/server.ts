// The dashboard: an HTTP server on 127.0.0.1 for the chat page and the JSON API. Here are the checks that stand before every
// route, the page's files, and how the server starts and ends; what the routes do is in api.ts and chat-api.ts.
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAdaptorServer, type ServerType } from '@hono/node-server';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { getCookie, setCookie } from 'hono/cookie';
import { describeError, PinchError } from '../errors.js';
import { addApi } from './api.js';
import { decideAccess, SESSION_COOKIE, sameSecret, sessionValue } from './auth.js';
import { addChatApi } from './chat-api.js';
import type { DashboardDeps } from './deps.js';
import { errorResponse, isRefusal, MAX_BODY_BYTES, refuse } from './http.js';

export type { DashboardControl, DashboardDeps } from './deps.js';

const COOKIE_SECONDS = 180 * 86_400;

const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

/** Listens on 127.0.0.1. Throws PinchError `port_taken` or `dashboard_failed`. `close` ends open streams too; a second call is harmless. */
export async function startDashboard(deps: DashboardDeps): Promise<{ url: string; close(): Promise<void> }> {
  const app = new Hono();
  const server = createAdaptorServer({ fetch: app.fetch });
  const chat = addRoutes(app, deps, () => portOf(server));
  await listen(server, deps.port);
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    close: () => {
      chat.close();
      return closeServer(server);
    },
  };
}

function addRoutes(app: Hono, deps: DashboardDeps, port: () => number): { close(): void } {
  const pages = loadPages();
  app.use(addSecurityHeaders, guard(deps, port, pages), limitBody);
  app.get('/healthz', (c) => (deps.ready() ? c.json({ status: 'ok' }) : c.json({ status: 'starting' }, 503)));
  addPages(app, deps, pages);
  const chat = addChatApi(app, deps);
  addApi(app, deps);
  app.notFound((c) => errorResponse(c, refuse('not_found', `there is no ${c.req.method} ${c.req.path}`)));
  app.onError((error, c) => {
    if (isRefusal(error)) return errorResponse(c, error);
    deps.log.error({ path: c.req.path, error: describeError(error) }, 'dashboard request failed');
    return errorResponse(c, refuse('internal', 'something went wrong here', 'the log of Pinch says what'));
  });
  return chat;
}

function listen(server: ServerType, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port)));
    server.listen(port, '127.0.0.1', resolve);
  });
}

function portOf(server: ServerType): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function listenError(error: NodeJS.ErrnoException, port: number): PinchError {
  const taken = error.code === 'EADDRINUSE';
  const message = taken
    ? `port ${port} on 127.0.0.1 is in use by another program`
    : `cannot listen on 127.0.0.1:${port}: ${error.message}`;
  const hint = 'set PINCH_PORT to a free port above 1023 (0 turns the page off), or stop the program that uses it';
  return new PinchError(taken ? 'port_taken' : 'dashboard_failed', message, { hint, cause: error });
}

function closeServer(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    // Browsers keep idle connections open for minutes.
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
}

const addSecurityHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  for (const [name, value] of Object.entries(securityHeaders)) c.res.headers.set(name, value);
  if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store');
};

const limitBody = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: (c) => errorResponse(c, refuse('too_large', `the body is larger than ${MAX_BODY_BYTES} bytes`)),
});

/** Stands before every route: nothing is reachable that is not decided here. */
function guard(deps: DashboardDeps, port: () => number, pages: Map<string, Page>): MiddlewareHandler {
  const openPaths = new Set(['/healthz', ...pages.keys()]);
  openPaths.delete('/index.html');
  return async (c, next) => {
    // The one way in without a cookie: the printed link. The redirect takes the token out of the address bar.
    const opensLink = c.req.path === '/' && sameSecret(c.req.query('token') ?? '', deps.token);
    const access = decideAccess(
      {
        method: c.req.method,
        path: c.req.path,
        host: c.req.header('host'),
        origin: c.req.header('origin'),
        fetchSite: c.req.header('sec-fetch-site'),
        authorization: opensLink ? `Bearer ${deps.token}` : c.req.header('authorization'),
        cookie: getCookie(c, SESSION_COOKIE),
      },
      { port: port(), token: deps.token, openPaths },
    );
    if (access.kind === 'allowed') return opensLink ? logIn(c, deps.token) : next();
    if (access.kind === 'forbidden') return errorResponse(c, refuse(access.code, access.message));
    return askForToken(c, pages);
  };
}

function logIn(c: Context, token: string): Response {
  setCookie(c, SESSION_COOKIE, sessionValue(token), {
    httpOnly: true,
    sameSite: 'Strict',
    path: '/',
    maxAge: COOKIE_SECONDS,
  });
  return c.redirect('/', 303);
}

function askForToken(c: Context, pages: Map<string, Page>): Response {
  const login = pages.get('/login.html');
  const wantsPage = c.req.method === 'GET' && !c.req.path.startsWith('/api') && c.req.path !== '/metrics';
  if (wantsPage && login) return c.html(login.body, 401);
  c.header('www-authenticate', 'Bearer');
  const hint = 'send `Authorization: Bearer <token>`; the token is in data/dashboard-token';
  return errorResponse(c, refuse('unauthorized', 'the token is missing or wrong', hint));
}

interface Page {
  body: string;
  type: string;
}

const contentTypes: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The files beside this one, in src/ and in dist/ alike, by their path. Read once: what is served is what was started. */
function loadPages(): Map<string, Page> {
  const folder = new URL('./pages/', import.meta.url);
  const pages = new Map<string, Page>();
  for (const name of readdirSync(fileURLToPath(folder))) {
    const type = contentTypes[extname(name)];
    if (type) pages.set(`/${name}`, { type, body: readFileSync(new URL(name, folder), 'utf8') });
  }
  return pages;
}

function addPages(app: Hono, deps: DashboardDeps, pages: Map<string, Page>): void {
  const send = (c: Context, page: Page) => c.body(page.body, 200, { 'content-type': page.type });
  for (const [path, page] of pages) app.get(path, (c) => send(c, page));
  const index = pages.get('/index.html');
  if (index) app.get('/', (c) => send(c, index));
  else deps.log.warn('the chat page is missing from this build; run `npm run build`');
}
