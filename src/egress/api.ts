// The JSON API about egress (design §8).
import type { Hono } from 'hono';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { type Config, egressMode } from '../core/config.js';
import { checked, readBody, refuse } from '../core/http.js';
import { modelName } from '../model/group-models.js';
import type { Rule } from './rows.js';
import { addRules, presetNames, ruleInput } from './rules.js';
import type { Store } from './store.js';

/** `group`: its folder; none for every group. */
const ruleBody = ruleInput.extend({ group: z.string().optional() });
/** `egress`: null for the mode of the settings. `taint`: whether what nobody vouched for counts. */
const groupBody = z.strictObject({
  egress: egressMode.nullable().optional(),
  taint: z.enum(['on', 'off']).optional(),
  /** Null: that of the settings. */
  model: modelName.nullable().optional(),
});

export const egressApi = (deps: { store: Store; config: Pick<Config, 'egressMode'>; clock: Clock }) => (app: Hono) => {
  const { groups, egress, taints, groupModels } = deps.store;
  const groupId = (name: string, key: 'id' | 'folder' = 'folder'): number => {
    const group = groups.all().find((one) => `${one[key]}` === name);
    if (!group) throw refuse(404, 'not_found', `there is no group "${name}"`, 'GET /api/groups lists them');
    return group.id;
  };
  const view = ({ groupId: id, ...rule }: Rule) => ({ ...rule, group: id === null ? null : groups.get(id)?.folder });
  app.get('/api/egress', (c) => {
    const modes = Object.fromEntries(groups.all().map(({ id, folder }) => [folder, egress.mode(id, deps.config)]));
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
  app.patch('/api/groups/:id', async (c) => {
    const name = c.req.param('id');
    // A folder of digits only is reached by its row id.
    const id = groupId(name, /^\d+$/.test(name) ? 'id' : 'folder');
    const body = await readBody(c, groupBody);
    if (body.egress !== undefined) egress.setMode(id, body.egress);
    if (body.taint) taints.setOn(id, body.taint === 'on');
    if (body.model !== undefined) groupModels.set(id, body.model);
    const taint = taints.isOn(id) ? 'on' : 'off';
    const model = groupModels.of(id) ?? null;
    return c.json({ group: { ...groups.get(id), egress: egress.mode(id, deps.config), taint, model } });
  });
};
