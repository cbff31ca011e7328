// The JSON API about egress (design §8).
import type { Hono } from 'hono';
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import { readBody, refuse } from '../core/http.js';
import type { Group } from '../core/types.js';
import { egressMode, type Rule } from './rows.js';
import { newRule, presetNames, type Rules } from './rules.js';
import type { Store } from './store.js';

/** `group`: its folder; none for every group. */
const body = newRule.extend({ group: z.string().nullish() });
const modeBody = z.strictObject({ group: z.string(), mode: egressMode });

export const egressApi =
  ({ store, rules }: { store: Store; rules: Rules }) =>
  (app: Hono) => {
    const groupOf = (folder: string): Group => {
      const group = store.groups.all().find((one) => one.folder === folder);
      if (!group) throw refuse(404, 'not_found', `there is no group "${folder}"`, 'GET /api/groups lists them');
      return group;
    };
    const view = ({ groupId, ...rule }: Rule) => ({
      ...rule,
      group: groupId === null ? null : store.groups.get(groupId)?.folder,
    });
    app.get('/api/egress', (c) =>
      c.json({
        rules: store.egress.all().map(view),
        modes: Object.fromEntries(store.groups.all().map(({ id, folder }) => [folder, store.egress.mode(id)])),
        presets: presetNames,
      }),
    );
    app.on('POST', ['/api/egress', '/api/egress/rules'], async (c) => {
      const { group, ...rule } = await readBody(c, body);
      try {
        return c.json({ rules: rules.add(group ? groupOf(group).id : null, rule).map(view) }, 201);
      } catch (error) {
        if (error instanceof PinchError) throw refuse(400, error.code, error.message, error.hint);
        throw error;
      }
    });
    app.on('DELETE', ['/api/egress/:id', '/api/egress/rules/:id'], (c) => {
      const id = c.req.param('id');
      if (!store.egress.remove(Number(id))) throw refuse(404, 'not_found', `there is no rule ${id}`);
      return c.json({});
    });
    app.put('/api/egress/mode', async (c) => {
      const { group, mode } = await readBody(c, modeBody);
      store.egress.setMode(groupOf(group).id, mode);
      return c.json({ group, mode });
    });
  };
