// The JSON API about memory files (design §8): their versions, what each changed, and bringing one back.
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { parse, readBody, refuse } from '../core/http.js';
import type { Restores } from './restore.js';
import type { Store } from './store.js';
import { itemsOf, undoOf } from './undo.js';
import { contentOf, diffOf, viewOf } from './view.js';

/** `group`: its folder; `path`: only this file, with all its versions. */
const listQuery = z.object({ group: z.string().default('main'), path: z.string().optional() });
/** `run`: the one that was shown. When it is another one by now, nothing is taken back. */
const undoBody = z.object({ group: z.string().default('main'), run: z.number().int() });
const LISTED_VERSIONS = 10;
const MOST_VERSIONS = 200;
const MAX_FILES = 200;
const RESTORE_MS = 45_000;

export const memoryApi =
  ({ store, restores }: { store: Store; restores: Pick<Restores, 'request' | 'ended'> }) =>
  (app: Hono) => {
    const { memory, groups } = store;
    const find = (c: Context) => {
      const id = c.req.param('version') ?? '';
      const version = /^\d{1,15}$/.test(id) ? memory.get(Number(id)) : undefined;
      if (!version) throw refuse(404, 'not_found', `there is no version ${id}`, 'GET /api/memory?group= lists them');
      return version;
    };
    const groupNamed = (folder: string) => {
      const group = groups.all().find((one) => one.folder === folder);
      if (!group) throw refuse(404, 'not_found', `there is no group "${folder}"`, 'GET /api/groups lists them');
      return group;
    };
    app.get('/api/memory', (c) => {
      const { group: folder, path } = parse(listQuery, c.req.query());
      const group = groupNamed(folder);
      const paths = path === undefined ? memory.allNewest(group.id).map((one) => one.path) : [path];
      const most = path === undefined ? LISTED_VERSIONS : MOST_VERSIONS;
      const versionsOf = (of: string) => memory.ofFile(group.id, of, most).map(viewOf);
      const files = paths.slice(0, MAX_FILES).map((of) => ({ path: of, versions: versionsOf(of) }));
      return c.json({
        group: folder,
        files: files.filter(({ versions }) => versions.length > 0),
        more: paths.length > MAX_FILES,
      });
    });
    app.get('/api/memory/undo', (c) => {
      const { group: folder } = parse(listQuery, c.req.query());
      const plan = undoOf(store, groupNamed(folder).id);
      const files = plan?.files.map(({ now, back }) => ({
        ...{ path: now.path, at: now.at, isNew: !back || back.state === 'deleted', isDeleted: now.state === 'deleted' },
        diff: diffOf(store, back, now),
      }));
      return c.json({ group: folder, run: plan?.runId ?? null, files: files ?? [] });
    });
    app.post('/api/memory/undo', async (c) => {
      const { group: folder, run } = await readBody(c, undoBody);
      const group = groupNamed(folder);
      const wish = store.transaction(() => {
        const plan = undoOf(store, group.id);
        if (plan?.runId !== run)
          throw refuse(409, 'conflict', `run ${run} is not the last that changed files there`, 'look again: `undo`');
        return restores.request(group.id, null, itemsOf(plan));
      });
      const { state, problem } = await restores.ended(wish, RESTORE_MS);
      if (state === 'failed') throw refuse(409, 'not_restored', problem ?? 'it could not be taken back');
      return c.json({ run, state }, state === 'done' ? 200 : 202);
    });
    app.get('/api/memory/:version', (c) => {
      const version = find(c);
      const previous = memory.before(version.groupId, version.path, version.id, null);
      return c.json({
        ...{ ...viewOf(version), path: version.path, group: groups.get(version.groupId)?.folder },
        content: version.state === 'kept' ? contentOf(store, version) : null,
        previous: previous?.id ?? null,
        diff: diffOf(store, previous, version),
      });
    });
    app.post('/api/memory/:version/restore', async (c) => {
      const { id, groupId, path } = find(c);
      const wish = store.transaction(() => restores.request(groupId, null, [{ path, version: id }]));
      const { state, problem } = await restores.ended(wish, RESTORE_MS);
      if (state === 'failed') throw refuse(409, 'not_restored', problem ?? 'it could not be brought back');
      return c.json({ path, state, version: memory.newest(groupId, path)?.id ?? null }, state === 'done' ? 200 : 202);
    });
  };
