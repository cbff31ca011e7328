// `pinch doctor` with the real engine: a container looks at its own walls, and nothing is left of it.
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { newHome } from './harness.js';

const findings = z.array(z.object({ check: z.string(), state: z.string(), detail: z.string() }));

test('the walls that every engine can build stand on this machine', async () => {
  const program = `import('./dist/cli.js').then(({ runCli }) => runCli(['doctor', '--json']))`;
  const home = newHome();
  const env = { ...process.env, PINCH_HOME: home };
  const { stdout } = await promisify(execFile)('node', ['-e', program], {
    cwd: join(import.meta.dirname, '../..'),
    env,
  });
  const walls = findings.parse(JSON.parse(stdout)).filter(({ check }) => check === 'walls');
  console.info(walls);
  expect(walls.filter(({ state }) => state === 'failure')).toEqual([]);
  expect(walls[0]?.detail).toMatch(/no network, not root, read-only root, no capabilities, no new privileges/);
  const left = await new Docker().listContainers({ all: true, filters: { label: ['pinch.group=doctor'] } });
  expect(left).toEqual([]);
  // The home was never started, and doctor does not make it look as if.
  expect(readdirSync(home)).toEqual([]);
});
