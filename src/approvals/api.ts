// The JSON API about approvals (design §8).
import type { Hono } from 'hono';
import { z } from 'zod';
import { checked, listLimit, parse, readBody } from '../core/http.js';
import type { Approvals } from './approvals.js';
import type { Approval } from './rows.js';
import type { Store } from './store.js';

const query = z.object({ state: z.string().max(20).optional(), limit: listLimit });
const decision = z.strictObject({ decision: z.enum(['allow', 'deny']), scope: z.enum(['once', 'always']).optional() });

export const approvalApi =
  ({ store, approvals }: { store: Store; approvals: Approvals }) =>
  (app: Hono) => {
    const view = ({ groupId, chatId, input: _, cardChatId: __, ...rest }: Approval) => ({
      ...rest,
      group: groupId === null ? null : (store.groups.get(groupId)?.folder ?? null),
      chat: chatId === null ? null : (store.groups.chat(chatId)?.title ?? null),
    });
    app.get('/api/approvals', (c) => {
      const { state, limit } = parse(query, c.req.query());
      return c.json({ approvals: store.approvals.list(state ?? null, limit).map(view) });
    });
    app.post('/api/approvals/:id', async (c) => {
      const body = await readBody(c, decision);
      const id = Number(c.req.param('id'));
      const text = checked(() => approvals.decide(id, { ...body, by: 'the owner, on the page or in a terminal' }));
      const approval = store.approvals.get(id);
      return c.json({ text, approval: approval && view(approval) });
    });
  };
