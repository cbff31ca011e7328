// Browsers that are signed in. Each has a token of its own, made from the printed link: short-lived, so that what a browser's disk
// or a backup of it gives away is soon worth nothing, and ended one by one or all at once. Not a cookie: the page keeps its token
// where only its own origin reads it, while a browser sends a cookie to every port of this machine.
import { createHmac, randomBytes } from 'node:crypto';
import type { Hono } from 'hono';
import { refuse } from '../core/http.js';
import { sameSecret } from '../core/secrets.js';
import { bearerOf } from './auth.js';
import type { PageDeps } from './deps.js';

const LIFE_MS = 7 * 86_400_000;
/** A session in use is extended when it has been used up by this much: not one write for each request. */
const EXTEND_AFTER_MS = 3_600_000;
/** The longest unused one makes room for the next. */
const MAX_SESSIONS = 32;

export type Sessions = ReturnType<typeof createSessions>;

export function createSessions({ store, clock, token }: PageDeps) {
  const { pageSessions } = store;
  // Under the token of the file: a new file ends every session that came from the old one.
  const hashOf = (session: string) => createHmac('sha256', token).update(session).digest('base64url');
  const isOpen = (session: string): boolean => {
    const hash = hashOf(session);
    const left = (pageSessions.expiresAt(hash) ?? 0) - clock.now();
    if (left > 0 && left < LIFE_MS - EXTEND_AFTER_MS) pageSessions.extend(hash, clock.now() + LIFE_MS);
    return left > 0;
  };
  /** Open streams look again whether they may go on. */
  const ended = (count: number): number => {
    store.signal('session');
    return count;
  };
  return {
    isFileToken: (bearer: string): boolean => sameSecret(bearer, token),
    /** Whether this bearer opens the API: the token of the file, or an open session, which is extended by that. */
    knows: (bearer: string): boolean => sameSecret(bearer, token) || isOpen(bearer),
    open(): { token: string; expiresAt: number } {
      const session = { token: randomBytes(32).toString('base64url'), expiresAt: clock.now() + LIFE_MS };
      store.transaction(() => {
        pageSessions.add(hashOf(session.token), clock.now(), session.expiresAt);
        pageSessions.trim(clock.now(), MAX_SESSIONS);
      });
      return session;
    },
    /** Both return how many they ended. */
    end: (session: string): number => ended(pageSessions.end(hashOf(session))),
    endAll: (): number => ended(pageSessions.endAll()),
  };
}

export function addSessions(app: Hono, sessions: Sessions): void {
  app.post('/api/session', (c) => {
    // A session makes no sessions: who got hold of one does not outlive its end.
    if (!sessions.isFileToken(bearerOf(c.req))) throw refuse(403, 'forbidden', 'only the token of the link signs in');
    return c.json(sessions.open(), 201);
  });
  app.delete('/api/session', (c) => c.json({ ended: sessions.end(bearerOf(c.req)) }));
  app.delete('/api/sessions', (c) => c.json({ ended: sessions.endAll() }));
}
