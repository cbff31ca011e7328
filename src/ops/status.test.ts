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

test('the skills a group wrote for itself are counted and named, the first fifty of them', () => {
  const config = loadConfig({ PINCH_HOME: mkdtempSync(join(tmpdir(), 'pinch-status-')) }, process.cwd());
  prepareHome(config);
  const store = openStore(join(config.dataDir, 'pinch.db'));
  const clock = createFakeClock();
  for (const folder of ['main', 'family']) store.groups.ensure(folder, folder === 'main', clock.now());
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
    });
  expect(status().text).not.toContain('skills');
  const write = (name: string) => mkdirSync(join(config.groupsDir, 'family', 'skills', name), { recursive: true });
  for (const name of ['bread', 'allotment']) write(name);
  expect(status().text).toContain('\n- skills family wrote for itself (2): allotment, bread\n');
  expect(status().groups).toMatchObject([{ ownSkills: [] }, { folder: 'family', ownSkills: ['allotment', 'bread'] }]);
  for (let at = 10; at < 90; at += 1) write(`s-${at}`);
  expect(status().text).toContain('(50): allotment, bread, s-10,');
  expect(status().text).toContain('s-57\n');
});
