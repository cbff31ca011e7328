// kill -9 of the host process: the container of a server must end by itself, because nobody is left to end it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { whenBusy } from '../../test/limits.js';
import { agentImage } from '../../test/sandbox/world.js';
import { createScene, type McpScene } from './testing/scene.js';

let scene: McpScene;
beforeAll(async () => {
  scene = await createScene();
});
afterAll(() => scene.close());

test('its container, with a program that ignores every sign, is gone within 10 seconds', async () => {
  const { world, config } = scene;
  const outfile = join(world.folder, 'host.cjs');
  const entryPoints = [join(import.meta.dirname, 'testing', 'killed-host.ts')];
  await build({ entryPoints, bundle: true, platform: 'node', format: 'cjs', packages: 'external', outfile });
  const folder = await scene.installServer({ name: 'killed', packages: [] });
  const args = [outfile, config.dataDir, world.homeId, agentImage(), folder];
  const host = spawn(process.execPath, args, {
    env: { ...process.env, NODE_PATH: join(import.meta.dirname, '../../node_modules') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(host.stdout, 'data');
  expect(await world.containers()).toHaveLength(1);
  host.kill('SIGKILL');
  await once(host, 'exit');
  await expect.poll(() => world.containers(), { timeout: whenBusy(10_000) }).toEqual([]);
});
