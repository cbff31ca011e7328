// The approvals as the page shows them: what they say, rendered and safe. They are answered at POST /api/approvals/:id.
import type { Hono } from 'hono';
import { endOf } from '../approvals/approvals.js';
import type { PageDeps } from './deps.js';

/** More can be open; they come up when these are answered. */
const OPEN = 50;
const DECIDED = 10;

export function addApprovals(app: Hono, { store, markdownToSafeHtml }: PageDeps): void {
  app.get('/api/page/approvals', async (c) => {
    const { approvals } = store;
    const open = approvals.open(OPEN).map(async ({ id, subject, detail, always, expiresAt }) => ({
      ...{ id, subject, expiresAt },
      html: await markdownToSafeHtml(detail),
      always: always && (await markdownToSafeHtml(always)),
    }));
    const decided = approvals.decided(DECIDED).map(async ({ id, subject, state, result, decidedBy, decidedAt }) => ({
      ...{ id, subject, state, decidedBy, decidedAt },
      html: await markdownToSafeHtml(endOf({ state, result })),
    }));
    return c.json({ open: await Promise.all(open), decided: await Promise.all(decided) });
  });
}
