// What `/status` says, on a real home and store.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { loadConfig } from '../core/config.js';
import { prepareHome } from '../sandbox/home.js';
import { openStore } from '../store.js';
import { statusSnapshot } from './status.js';

test('the skills a group wrote for itself are those that count: the owner has read them', () => {
  const config = loadConfig({ PINCH_HOME: mkdtempSync(join(tmpdir(), 'pinch-status-')) }, process.cwd());
  prepareHome(config);
  const store = openStore(join(config.dataDir, 'pinch.db'));
  const clock = createFakeClock();
  for (const folder of ['main', 'family']) store.groups.ensure(folder, folder === 'main', clock.now());
  let fallback: Parameters<typeof statusSnapshot>[0]['fallback'];
  const status = () =>
    statusSnapshot({
      config,
      store,
      clock,
      startedAt: clock.now(),
      lastEnd: null,
      stopped: false,
      engine: { state: 'up', detail: '' },
      channels: [],
      containers: [],
      servers: [],
      fallback,
    });
  expect(status().text).not.toContain('skills');
  // What lies in the folder and nobody read does not count.
  mkdirSync(join(config.groupsDir, 'family', 'skills', 'unread'), { recursive: true });
  const family = store.groups.ensure('family', false, clock.now()).id;
  for (const name of ['bread', 'allotment']) store.ownSkills.put(family, name, 'digest');
  expect(status().text).toContain('\n- skills family wrote for itself (2): allotment, bread\n');
  expect(status().groups).toMatchObject([{ ownSkills: [] }, { folder: 'family', ownSkills: ['allotment', 'bread'] }]);
  store.ownSkills.remove(family, 'bread');
  expect(status().text).toContain('(1): allotment\n');
  expect(status().text).not.toContain('overloaded');
  fallback = { model: 'claude-haiku-5-5', since: clock.now(), tryAt: clock.now() + 600_000 };
  expect(status().text).toMatch(
    /has been overloaded since \d\d:\d\d: claude-haiku-5-5 works in its place; next try at \d\d:\d\d/,
  );
});
