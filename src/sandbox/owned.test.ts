// Whose the files are that a container writes, on the engine that DOCKER_HOST names or that is found: rootless ones are tried with it too
// (docs/engines.md).
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorld, programMount, type World } from '../../test/sandbox/world.js';
import { systemClock } from '../core/clock.js';
import { askKind, describeKind } from './engine-kind.js';
import { containerUser } from './home.js';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const own = containerUser();

test('what is written inside is its user’s outside, and the other way round', async () => {
  console.info(describeKind(await askKind({ engine: world.engine, clock: systemClock })));
  const source = join(world.folder, "a b ü'%$");
  mkdirSync(source);
  writeFileSync(join(source, 'ours'), 'from outside');
  for (const path of [source, join(source, 'ours')]) if (process.getuid?.() === 0) chownSync(path, own.uid, own.gid);
  chmodSync(source, 0o700);
  const script = `
    const fs = require('node:fs');
    fs.mkdirSync('/w/d', { mode: 0o700 });
    fs.writeFileSync('/w/d/theirs', 'from inside', { mode: 0o600 });
    fs.appendFileSync('/w/ours', ', and inside');
    return { ours: fs.readFileSync('/w/ours', 'utf8'), map: fs.readFileSync('/proc/self/uid_map', 'utf8'), uid: process.getuid() };`;
  const mounts = [programMount(world.program), { source, target: '/w', readOnly: false }];
  const { instance, result } = await world.run(script, undefined, { mounts });
  expect(await result).toMatchObject({ ours: 'from outside, and inside' });
  expect(readFileSync(join(source, 'd/theirs'), 'utf8')).toBe('from inside');
  for (const path of ['d', 'd/theirs', 'ours']) expect(statSync(join(source, path)).uid, path).toBe(own.uid);
  // Never root of the machine.
  const { map, uid } = JSON.parse(JSON.stringify(await result));
  expect(uid > 0 || !/^\s*0\s+0\s/.test(map)).toBe(true);
  rmSync(join(source, 'd'), { recursive: true });
  await instance.stop(1_000);
});
