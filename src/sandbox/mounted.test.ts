// Further folders of the machine in real containers: what is seen there, and that an exchange while a container starts opens nothing.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { agentImage, createWorld, programMount, startScene, type World } from '../../test/sandbox/world.js';
import { systemClock } from '../core/clock.js';
import { loadConfig } from '../core/config.js';
import { checkFolder } from '../mounts/check.js';
import { createDockerSandbox } from './docker.js';
import { askKind } from './engine-kind.js';
import { containerUser } from './home.js';
import type { Mount } from './sandbox.js';

let world: World;
let root: string;
let photos: string;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'pinch-mounted-')));
  photos = folder('disk/photos', 'cat');
  folder('secrets', 'key');
});

/** With a file `name` in it; for everybody, as tests may run as root and containers do not. */
function folder(path: string, name: string): string {
  const place = join(root, path);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, name), name);
  for (const open of [root, join(place, '..'), place]) chmodSync(open, 0o777);
  return place;
}

async function mount(source: string, name: string, readOnly = true): Promise<Mount> {
  const config = loadConfig({ PINCH_HOME: join(root, 'home'), HOME: join(root, 'user') }, join(root, 'repo'));
  return { source, target: `/mnt/${name}`, readOnly, identity: await checkFolder(source, config) };
}

const LOOK = `
  const fs = require('node:fs');
  const attempt = (what) => { try { return what() ?? 'done'; } catch (error) { return error.code; } };
  const names = fs.existsSync('/mnt') ? fs.readdirSync('/mnt') : [];
  return {
    told: process.env.PINCH_MOUNTS ?? 'nothing', names, seen: names.map((name) => fs.readdirSync('/mnt/' + name).join()),
    written: names.map((name) => attempt(() => fs.writeFileSync('/mnt/' + name + '/new', ''))),
  };`;

async function look(mounts: Mount[], sandbox = world.sandbox): Promise<unknown> {
  const spec = { folder: 'main', mounts: [programMount(world.program), ...mounts] };
  const { instance, result } = await startScene(sandbox, spec, LOOK);
  const seen = await result;
  await instance.stop(0);
  return seen;
}

test('a folder is there to read, and to write only where the owner said so', async () => {
  expect(await look([await mount(photos, 'photos'), await mount(folder('notes', 'list'), 'notes', false)])).toEqual({
    told: '/mnt/photos:ro /mnt/notes:rw',
    names: ['notes', 'photos'],
    seen: ['list', 'cat'],
    written: ['done', 'EROFS'],
  });
  expect(readFileSync(join(root, 'notes/new'), 'utf8')).toBe('');
});

test('under gVisor a container has its link and its folders all the same', async () => {
  const { Runtimes } = z.object({ Runtimes: z.record(z.string(), z.unknown()) }).parse(await world.engine.info());
  const { name } = await askKind({ engine: world.engine, clock: systemClock });
  if (name === 'Podman' || !Object.hasOwn(Runtimes, 'runsc'))
    return console.info('this engine has no runtime runsc: gVisor is not tried');
  const { engine, homeId } = world;
  const deps = { engine, image: agentImage(), homeId, user: containerUser(), clock: systemClock };
  const sandbox = createDockerSandbox({ ...deps, log: pino({ enabled: false }), ociRuntime: 'runsc' });
  await sandbox.ping();
  const mounts = [await mount(photos, 'photos'), await mount(folder('notes', 'list'), 'notes', false)];
  expect(await look(mounts, sandbox)).toMatchObject({ seen: ['list', 'cat'], written: ['done', 'EROFS'] });
  return undefined;
});

test('an OCI runtime that the engine does not have starts nothing, and says what there is', async () => {
  const { engine, homeId } = world;
  const deps = { engine, image: agentImage(), homeId, user: containerUser(), clock: systemClock };
  const sandbox = createDockerSandbox({ ...deps, log: pino({ enabled: false }), ociRuntime: 'nope' });
  const isPodman = (await askKind({ engine, clock: systemClock })).name === 'Podman';
  const missing = {
    code: 'no_oci_runtime',
    message: expect.stringContaining(isPodman ? 'Podman' : 'nope'),
    hint: expect.stringContaining(isPodman ? 'containers.conf' : 'daemon.json'),
  };
  await expect(sandbox.ping()).rejects.toMatchObject(missing);
  await expect(sandbox.reap()).rejects.toMatchObject(missing);
  await expect(look([], sandbox)).rejects.toMatchObject(missing);
});

const NOTHING = { told: 'nothing', names: [], seen: [], written: [] };
/** In the place of `path` there is a link to the secrets afterwards; what was there is kept aside. */
function exchange(path: string): void {
  renameSync(path, `${path}-aside`);
  symlinkSync(join(root, 'secrets'), path);
}

test('a link that took the place of a folder, or of one on the way, after it was looked at: the container starts without it', async () => {
  folder('secrets/photos-aside', 'key');
  for (const path of [photos, join(root, 'disk')]) {
    const looked = await mount(path === photos ? photos : join(root, 'disk/photos-aside'), 'photos');
    exchange(path);
    world.lines.length = 0;
    expect(await look([looked])).toEqual(NOTHING);
    expect(world.lines).toContainEqual(expect.objectContaining({ mount: '/mnt/photos', level: 40 }));
  }
  expect(await world.containers()).toEqual([]);
});

test('a folder that is gone by then is left out', async () => {
  const looked = await mount(photos, 'photos');
  renameSync(photos, `${photos}-aside`);
  expect(await look([looked])).toEqual(NOTHING);
});

test('another folder in its place is no link, and no better', async () => {
  const looked = await mount(photos, 'photos');
  renameSync(photos, `${photos}-aside`);
  renameSync(join(root, 'secrets'), photos);
  expect(await look([looked])).toEqual(NOTHING);
});

test('an exchange that is taken back as soon as the engine has mounted is found all the same', async () => {
  if (process.platform !== 'linux') return console.info('not Linux: containers run in a machine of their own');
  const { CgroupDriver } = z.object({ CgroupDriver: z.string() }).parse(await world.engine.info());
  const { rootless } = await askKind({ engine: world.engine, clock: systemClock });
  if (rootless && CgroupDriver !== 'systemd')
    return console.info('a rootless engine without cgroup v2: which process is the container’s cannot be seen');
  const looked = await mount(photos, 'photos');
  let exchanged = 0;
  // Between us and the engine: the link is there only while a container starts.
  const relay = createServer({ allowHalfOpen: true }, (socket) => {
    const engine = connect({ path: socketOf(world.engine), allowHalfOpen: true });
    engine.on('error', () => socket.destroy());
    socket.on('error', () => engine.destroy());
    socket.on('data', (bytes) => {
      if (!/^POST \S+\/start /.test(bytes.toString())) return;
      exchange(photos);
      exchanged += 1;
      engine.once('data', () => {
        renameSync(photos, `${photos}-link`);
        renameSync(`${photos}-aside`, photos);
      });
    });
    socket.pipe(engine).pipe(socket);
  });
  const socketPath = join(root, 'relay.sock');
  await new Promise<void>((resolve) => relay.listen(socketPath, resolve));
  const { homeId } = world;
  const log = pino({ enabled: false });
  const engine = new Docker({ socketPath });
  const deps = { engine, image: agentImage(), homeId, user: containerUser(), clock: systemClock, log };
  expect(await look([looked], createDockerSandbox(deps))).toEqual(NOTHING);
  // The second start is the one without the folder.
  expect(exchanged).toBe(2);
  relay.close();
  return undefined;
});

const socketOf = ({ modem }: Docker): string => z.object({ socketPath: z.string() }).parse(modem).socketPath;
