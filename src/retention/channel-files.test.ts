// Files that channels keep go when they are old, those of today stay.
import { mkdirSync, mkdtempSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from '../store.js';
import { sweepChannelFiles } from './files.js';

test('old files of every channel go, new ones stay, and no folder at all is nothing to do', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'pinch-files-'));
  const deps = { store: openStore(':memory:'), config: { dataDir, groupsDir: dataDir } };
  expect(await sweepChannelFiles(deps, 1_000_000)).toBe(0);
  for (const channel of ['web', 'other']) {
    const folder = join(dataDir, 'files', channel);
    mkdirSync(folder, { recursive: true });
    for (const name of ['old', 'new']) writeFileSync(join(folder, name), 'x');
    utimesSync(join(folder, 'old'), 100, 100);
  }
  expect(await sweepChannelFiles(deps, 1_000_000)).toBe(2);
  expect(['web', 'other'].map((channel) => readdirSync(join(dataDir, 'files', channel)))).toEqual([['new'], ['new']]);
});
