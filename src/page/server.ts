// The page: an HTTP server on 127.0.0.1 for the chat page and the JSON API. Here are the checks that stand before every
// route, the page's files, and how the server starts and ends. The chat is in chat.ts; the other routes are their modules'.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { getRequestListener, HttpBindings } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { secureHeaders } from 'hono/secure-headers';
import { unwatched } from '../core/begun.js';
import { describeError, PinchError } from '../core/errors.js';
import { refuse } from '../core/http.js';
import { addApprovals } from './approvals.js';
import { decideAccess, loadPageToken, pageLink } from './auth.js';
import { addChat } from './chat.js';
import { ChatPage, LoginPage } from './chat-page.js';
import { addControl, isFrame } from './control.js';
import type { PageDeps } from './deps.js';
import { addFiles, UPLOAD_PATH } from './files.js';
import { addLive, tellChanges } from './live.js';
import { addSessions, createSessions, type Sessions } from './sessions.js';
import { texts } from './texts.js';

export type { PageDeps } from './deps.js';

const MAX_BODY_BYTES = 1024 * 1024;
/** No foreign code, no framing. */
const CONTENT_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; " +
  "media-src blob:; manifest-src 'self'; " +
  "base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/** Texts as scripts of the browser. */
const SCRIPT_TEXTS = { '/texts.js': texts.scripts, '/sitetexts.js': texts.sites };

/** Every request has to be there in this time, also a file from a phone far away, so that slow or silent ones do not pile up; looked at this often. */
const LIMITS = { requestMs: 120_000, checkMs: 2_000 };
/** What a request begins with comes sooner. */
const HEADERS_MS = 20_000;
/** Each may hold a body in memory. */
const MAX_CONNECTIONS = 256;

/** Listens on 127.0.0.1. Throws PinchError `port_taken` or `dashboard_failed`. `close` ends open streams too; a second call is harmless. */
export async function startPage(
  deps: PageDeps,
  { requestMs, checkMs } = LIMITS,
): Promise<{ url: string; close(): Promise<void> }> {
  const timing = {
    requestTimeout: requestMs,
    headersTimeout: Math.min(HEADERS_MS, requestMs),
    connectionsCheckingInterval: checkMs,
  };
  const app = createApp(deps);
  // It loads Node's whole `fetch`. A daemon whose page nobody opens goes without.
  let listener: Promise<ReturnType<typeof getRequestListener>> | undefined;
  const server = createServer(timing, async (incoming, outgoing) => {
    listener ??= import('@hono/node-server').then((node) => node.getRequestListener(app.fetch));
    await (await listener)(incoming, outgoing);
  }).listen(deps.port, '127.0.0.1');
  server.maxConnections = MAX_CONNECTIONS;
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    const taken = error.code === 'EADDRINUSE';
    const why = taken ? 'another program uses it' : error.message;
    throw new PinchError(taken ? 'port_taken' : 'dashboard_failed', `cannot listen on 127.0.0.1:${deps.port}: ${why}`, {
      hint: 'set PINCH_PORT to another port above 1023 (0 turns the page off)',
      cause: error,
    });
  });
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : deps.port;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // Browsers keep idle connections open for minutes.
        server.closeAllConnections();
      }),
  };
}

/** As the settings say: undefined where they turn it off. `link` signs a browser in. */
export async function openPage(deps: Omit<PageDeps, 'port' | 'token'>) {
  const { port, dataDir } = deps.config;
  if (port === 0) return undefined;
  const token = loadPageToken(dataDir);
  const { url, close } = await startPage({ ...deps, port, token });
  return { link: pageLink(url, token), close };
}

function createApp(deps: PageDeps): Hono {
  const pages = fileURLToPath(new URL('pages', import.meta.url));
  const app = new Hono();
  const sessions = createSessions(deps);
  const tooLarge = () => refuse(413, 'too_large', `the body is larger than ${MAX_BODY_BYTES} bytes`).getResponse();
  // Whether other programs under a proxy's name speak https is not ours to say.
  app.use(secureHeaders({ strictTransportSecurity: false }), async (c, next) => {
    await next();
    c.res.headers.set('content-security-policy', CONTENT_POLICY);
    // No data stays behind.
    c.res.headers.set('cache-control', 'no-store');
  });
  app.use(guard(sessions, deps.config.pageHosts));
  // Hooks stand outside of /api and have a limit of their own.
  const limit = bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge });
  app.use('/api/*', (c, next) => (c.req.path === UPLOAD_PATH ? next() : limit(c, next)));
  app.use('/api/*', refusePoison(deps));
  app.use('/api/*', tellChanges(deps));
  app.get('/healthz', (c) =>
    deps.ready() ? c.json({ status: 'ok', build: deps.build }) : c.json({ status: 'starting' }, 503),
  );
  addSessions(app, sessions);
  addChat(app, deps, sessions);
  addFiles(app, deps);
  addApprovals(app, deps);
  addLive(app, deps, sessions);
  addControl(app, deps);
  app.get('/', (c) => c.html(ChatPage()));
  app.get('/login.html', (c) => c.html(LoginPage()));
  for (const [path, words] of Object.entries(SCRIPT_TEXTS)) {
    const script = `export default ${JSON.stringify(words)};\n`;
    app.get(path, (c) => c.body(script, 200, { 'content-type': 'text/javascript; charset=utf-8' }));
  }
  for (const add of deps.api) add(app);
  app.use(serveStatic({ root: pages }));
  app.notFound((c) => refuse(404, 'not_found', `there is no ${c.req.method} ${c.req.path}`).getResponse());
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse();
    deps.log.error({ path: c.req.path, error: describeError(error) }, 'page request failed');
    return refuse(500, 'internal', 'something went wrong here', 'the log of Pinch says what').getResponse();
  });
  return app;
}

const MAX_NAME_CHARS = 200;

/** A page asks again and again by itself, also for what ends Pinch. The chat's own routes do that for each message (chat.ts). */
function refusePoison({ begun = unwatched }: PageDeps): MiddlewareHandler {
  return async (c, next) => {
    const name = `request ${c.req.url.replace(/^https?:\/\/[^/]*/, '').slice(0, MAX_NAME_CHARS)}`;
    if (c.req.method !== 'GET' || c.req.path.startsWith('/api/chat/')) return next();
    if (begun.isSetAside(name))
      throw refuse(503, 'set_aside', 'I ended twice while I answered this', 'the log of Pinch says why');
    await begun.attempt(name, next);
  };
}

/** Stands before every route: nothing is reachable that is not decided here. */
function guard(sessions: Sessions, hosts: string[]): MiddlewareHandler {
  return async (c, next) => {
    const { incoming }: HttpBindings = c.env;
    const port = incoming.socket.localPort ?? 0;
    const access = decideAccess(c.req, { port, hosts, isFrame, knows: sessions.knows });
    if (access === 'allowed') return next();
    if (access !== 'unauthorized') throw refuse(403, access, 'requests of other pages and to other names are refused');
    const hint = 'send `Authorization: Bearer <token>`; the token is in data/dashboard-token';
    throw refuse(401, 'unauthorized', 'the token is missing or wrong', hint);
  };
}
