// The JSON API about egress (design §8).
import type { Hono } from 'hono';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { checked, readBody, refuse } from '../core/http.js';
import { egressMode, type Rule } from './rows.js';
import { addRules, presetNames, ruleInput } from './rules.js';
import type { Store } from './store.js';

/** `group`: its folder; none for every group. */
const ruleBody = ruleInput.extend({ group: z.string().optional() });
const modeBody = z.strictObject({ group: z.string(), mode: egressMode });

export const egressApi = (deps: { store: Store; clock: Clock }) => (app: Hono) => {
  const { groups, egress } = deps.store;
  const groupId = (folder: string): number => {
    const group = groups.all().find((one) => one.folder === folder);
    if (!group) throw refuse(404, 'not_found', `there is no group "${folder}"`, 'GET /api/groups lists them');
    return group.id;
  };
  const view = ({ groupId: id, ...rule }: Rule) => ({ ...rule, group: id === null ? null : groups.get(id)?.folder });
  app.get('/api/egress', (c) => {
    const modes = Object.fromEntries(groups.all().map(({ id, folder }) => [folder, egress.mode(id)]));
    return c.json({ rules: egress.all().map(view), modes, presets: presetNames });
  });
  app.on('POST', ['/api/egress', '/api/egress/rules'], async (c) => {
    const { group, ...rule } = await readBody(c, ruleBody);
    const added = checked(() => addRules(deps, group === undefined ? null : groupId(group), rule));
    return c.json({ rules: added.map(view) }, 201);
  });
  app.on('DELETE', ['/api/egress/:id', '/api/egress/rules/:id'], (c) => {
    const id = c.req.param('id');
    if (!egress.remove(Number(id))) throw refuse(404, 'not_found', `there is no rule ${id}`);
    return c.json({});
  });
  app.put('/api/egress/mode', async (c) => {
    const { group, mode } = await readBody(c, modeBody);
    egress.setMode(groupId(group), mode);
    return c.json({ group, mode });
  });
};
