// The JSON API about budgets and costs (design §8).
import type { Hono } from 'hono';
import { z } from 'zod';
import { checked, readBody, refuse } from '../core/http.js';
import type { Budgets } from './budgets.js';
import { type CostDeps, costsOf, costsText } from './costs.js';
import type { LoopGuard } from './guard.js';
import { capName } from './rows.js';

/** `group`: its folder, for the cap of a group. `usd`: null for what the settings say. */
const capBody = z.strictObject({
  name: capName,
  group: z.string().optional(),
  usd: z.number().nonnegative().max(1_000_000).nullable(),
  today: z.boolean().default(false),
});

export interface BudgetApiDeps extends CostDeps {
  budgets: Budgets;
  guard: LoopGuard;
}

export const budgetApi = (deps: BudgetApiDeps) => (app: Hono) => {
  const { store, budgets, guard, config } = deps;
  const { groups } = store;
  const view = () => {
    const all = groups.all();
    return {
      timeZone: config.timeZone,
      ...budgets.list(all),
      heldChats: store.budgets.heldChats(),
      text: budgets.text(all),
    };
  };
  app.get('/api/costs', (c) => {
    const costs = costsOf(deps, null);
    return c.json({ ...costs, text: costsText(costs) });
  });
  app.get('/api/budgets', (c) => c.json(view()));
  app.post('/api/budgets', async (c) => {
    const { name, group: folder = 'main', usd, today } = await readBody(c, capBody);
    const group = groups.all().find((one) => one.folder === folder);
    if (!group) throw refuse(404, 'not_found', `there is no group "${folder}"`, 'GET /api/groups lists them');
    const microUsd = usd === null ? null : Math.round(usd * 1e6);
    checked(() => budgets.set({ name, group, microUsd, once: today ? 'today' : undefined }));
    return c.json(view());
  });
  app.post('/api/chats/:id{.+}/continue', (c) => {
    const chat = groups.findChat(c.req.param('id'));
    if (!chat || !guard.release(chat.id))
      throw refuse(404, 'not_found', 'nothing is paused in this chat', 'GET /api/budgets lists those where it is');
    return c.json({});
  });
};
