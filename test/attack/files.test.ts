// What a container leaves in its folders for the host to stumble over: links, set-user-id programs, folders that change while they are read.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inFolder, listFolder } from '../../src/core/files.js';
import { eventually, startDaemon } from '../e2e/harness.js';
import { bash, type Scene, say, startScene, waitForRun } from '../e2e/talk.js';
import { createWorld, programMount } from '../sandbox/world.js';

let scene: Scene;
let home: string;

beforeAll(async () => {
  scene = await startScene();
  home = scene.daemon.home;
  // The temporary folder is closed to others; a home usually is not.
  chmodSync(home, 0o755);
});
afterAll(() => scene.close());

async function inside(script: string): Promise<void> {
  scene.model.push(bash(script), { text: 'done' });
  await waitForRun(scene.daemon, await say(scene.daemon, 'go'), ['done']);
}

async function restart(): Promise<void> {
  await scene.daemon.kill('SIGTERM');
  scene.daemon = await startDaemon({ home, env: scene.env });
}

test('a dangling link in the place of a memory file makes the next start neither write its target nor stop everything', async () => {
  const target = join(home, 'written-by-the-host');
  await inside(
    `rm -f /workspace/CLAUDE.md /global/CLAUDE.md && ln -s '${target}' /workspace/CLAUDE.md && ln -s ../../data/stop.json /global/CLAUDE.md`,
  );
  await restart();
  expect(existsSync(target)).toBe(false);
  expect(existsSync(join(home, 'data/stop.json'))).toBe(false);
  expect((await scene.daemon.api('GET', '/api/status')).body).toMatchObject({ stopped: false });
  for (const name of ['main', 'global'])
    expect(lstatSync(join(home, 'groups', name, 'CLAUDE.md')).isSymbolicLink()).toBe(true);
  await inside('rm /workspace/CLAUDE.md /global/CLAUDE.md');
});

test('pipes, endless links and odd names in the places that runner and host read hold up neither the next run nor the next start', async () => {
  await inside(
    `rm -f CLAUDE.md /global/CLAUDE.md; mkfifo CLAUDE.md; ln -s /dev/zero /global/CLAUDE.md; ln -s / link
    mkdir -p skills/ok $'skills/a\\nb' skills/..x; mkfifo skills/ok/SKILL.md; mkfifo skills/pipe; ln -s /etc skills/etc
    node -e "for (let n = 0; n < 500; n++) { fs.mkdirSync('deep'); process.chdir('deep') }"`,
  );
  await restart();
  await inside('rm -rf CLAUDE.md /global/CLAUDE.md skills deep link; echo Ann > CLAUDE.md');
  expect(readFileSync(join(home, 'groups/main/CLAUDE.md'), 'utf8')).toBe('Ann\n');
  expect((await scene.daemon.api('GET', '/healthz')).status).toBe(200);
});

test('a set-user-id program made inside cannot be reached by another user of the machine', async () => {
  await inside('cp /usr/bin/id as-me && chmod 6755 as-me && cp as-me /sessions/ && chmod 6755 /sessions/as-me');
  const programs = ['groups/main/as-me', 'data/sessions/main/as-me'].map((path) => join(home, path));
  for (const program of programs) {
    expect(statSync(program).mode & 0o7000).toBe(0o6000);
    // Only root can become somebody else; for others the modes have to say it.
    if (process.getuid?.() !== 0) console.info('not root: the program is not tried as another user');
    else expect(spawnSync(program, { uid: 65_534, gid: 65_534 }).error).toMatchObject({ code: 'EACCES' });
  }
  for (const name of ['groups', 'data']) expect(statSync(join(home, name)).mode & 0o777).toBe(0o700);
});

test('a home that others could read is theirs no longer after a start; what the agent made keeps its modes', async () => {
  await inside('echo hi > note.txt && chmod 644 note.txt && mkdir -p open && chmod 755 open');
  await scene.daemon.kill('SIGTERM');
  const data = join(home, 'data');
  mkdirSync(join(data, 'logs'), { recursive: true });
  for (const name of ['stop.json.old', 'logs/pinch.log', 'logs/start.log', 'pinch.db-wal', 'lock.db'])
    writeFileSync(join(data, name), '', { flag: 'a' });
  for (const path of ['', ...ownFiles(data)]) chmodSync(join(data, path), 0o755);
  chmodSync(join(data, 'pinch.db'), 0o644);
  chmodSync(join(home, 'groups'), 0o755);
  writeFileSync(join(home, '.env'), 'TZ=UTC\n');
  chmodSync(join(home, '.env'), 0o644);
  scene.daemon = await startDaemon({ home, env: scene.env });
  for (const path of ['', ...ownFiles(data)])
    expect([path, (statSync(join(data, path)).mode & 0o077).toString(8)]).toEqual([path, '0']);
  expect(ownFiles(data).filter((path) => /^pinch\.db-wal$|^backups\/pinch-.*\.db$/.test(path))).toHaveLength(2);
  expect(statSync(join(home, 'groups')).mode & 0o777).toBe(0o700);
  expect(statSync(join(home, 'groups/main/note.txt')).mode & 0o777).toBe(0o644);
  expect(statSync(join(home, 'groups/main/open')).mode & 0o777).toBe(0o755);
  expect(JSON.stringify(scene.daemon.logs.find(({ msg }) => `${msg}`.startsWith('files of this home')))).toContain(
    '.env',
  );
  await inside('cat note.txt > copy.txt; cat /global/CLAUDE.md >> copy.txt; echo more >> note.txt');
  expect(readFileSync(join(home, 'groups/main/copy.txt'), 'utf8')).toMatch(/^hi\n./);
});

test('a folder that the container exchanges with a link all the time shows its own files or none', async () => {
  await scene.daemon.kill('SIGTERM');
  const other = join(home, 'groups/other/secrets');
  mkdirSync(other, { recursive: true });
  writeFileSync(join(other, 'secret'), '');
  const mount = { source: join(home, 'groups/main'), target: '/workspace', readOnly: false };
  const world = await createWorld();
  const { instance } = await world.run(
    `const fs = require('node:fs'); process.chdir('/workspace');
    fs.mkdirSync('here'); fs.writeFileSync('here/own', ''); fs.symlinkSync('${other}', 'link');
    fs.writeFileSync('started', '');
    for (;;) { fs.renameSync('here', 'away'); fs.renameSync('link', 'here'); fs.renameSync('here', 'link'); fs.renameSync('away', 'here'); }`,
    undefined,
    { mounts: [mount, programMount(world.program)] },
  );
  await eventually(() => existsSync(join(mount.source, 'started')), 'it exchanges');
  const seen = new Map<string, number>();
  const until = Date.now() + 3_000;
  while (Date.now() < until) {
    const found = look(mount.source);
    seen.set(found, (seen.get(found) ?? 0) + 1);
  }
  await instance.stop(0);
  await world.close();
  scene.daemon = await startDaemon({ home, env: scene.env });
  console.info(Object.fromEntries(seen));
  // Both were met: the folder, and something else in its place.
  expect([...seen.keys()].filter((found) => found !== 'own').length).toBeGreaterThan(0);
  expect(seen.get('own')).toBeGreaterThan(0);
  expect([...seen.keys()].filter((found) => found.includes('secret'))).toEqual([]);
});

test('a container that exchanges its memory files with links all the time, while the host brings them back, reaches nothing outside', async () => {
  const outside = ['groups/other/CLAUDE.md', 'data/stop.json', 'data/sessions/other/x.jsonl'].map((path) =>
    join(home, path),
  );
  for (const path of outside) mkdirSync(join(path, '..'), { recursive: true });
  for (const path of [outside[0] ?? '', outside[2] ?? '']) writeFileSync(path, 'theirs');
  await inside(`mkdir -p memory && echo 'the notes' > memory/a.md && echo 'the memory' > CLAUDE.md`);
  const versionOf = async (path: string) => {
    const { body } = await scene.daemon.api('GET', '/api/memory?group=main');
    const files: { path: string; versions: { id: number }[] }[] = Object(body).files;
    return files.find((one) => one.path === path)?.versions[0]?.id;
  };
  const notes = await eventually(() => versionOf('memory/a.md'), 'the journal has the notes');
  const memory = (await versionOf('CLAUDE.md')) ?? 0;
  const swap = `const fs = require('node:fs'); const to = ['/sessions', '../other', '${home}/data', '/global', '/'];
    const attempt = (work) => { try { work() } catch {} };
    for (let n = 0; !fs.existsSync('enough'); n += 1) {
      attempt(() => fs.renameSync('memory', 'memory.own')); attempt(() => fs.symlinkSync(to[n % to.length], 'memory'));
      attempt(() => fs.rmSync('CLAUDE.md')); attempt(() => fs.symlinkSync('${home}/data/stop.json', 'CLAUDE.md'));
      attempt(() => fs.unlinkSync('memory')); attempt(() => fs.renameSync('memory.own', 'memory'));
    }`;
  await inside(
    `cat > swap.cjs <<'END'\n${swap}\nEND\n(setsid node swap.cjs; echo over > swapped) > /dev/null 2>&1 & sleep 0.2`,
  );
  const said = new Set<number>();
  for (let n = 0; n < 16; n += 1)
    said.add((await scene.daemon.api('POST', `/api/memory/${n % 2 ? notes : memory}/restore`, {})).status);
  expect([...said].filter((status) => status !== 200 && status !== 409)).toEqual([]);
  await inside('touch enough; while [ ! -e swapped ]; do sleep 0.05; done');
  for (const path of [outside[0] ?? '', outside[2] ?? '']) expect(readFileSync(path, 'utf8')).toBe('theirs');
  expect(readdirSync(join(home, 'data')).filter((name) => /a\.md|CLAUDE|stop\.json$/.test(name))).toEqual([]);
  expect(readdirSync(join(home, 'groups/other')).filter((name) => name.includes('a.md'))).toEqual([]);
  expect((await scene.daemon.api('GET', '/healthz')).status).toBe(200);
  await inside('rm -rf memory memory.own CLAUDE.md');
  for (const [id, path] of [[notes, 'memory/a.md'] as const, [memory, 'CLAUDE.md'] as const]) {
    expect(await scene.daemon.api('POST', `/api/memory/${id}/restore`, {})).toMatchObject({ status: 200 });
    expect(readFileSync(join(home, 'groups/main', path), 'utf8')).toMatch(/^the (notes|memory)\n$/);
  }
});

/** Names in the folder, or why there are none. */
function look(root: string): string {
  try {
    const entries = inFolder(root, 'here', (folder) => listFolder(folder, 10));
    return entries.map(({ name }) => name).join();
  } catch (error) {
    return error instanceof Error ? error.message.replace(/\d+/g, 'N') : '';
  }
}

/** What the host keeps in data/: not what the agent writes below sessions/<group>. */
const ownFiles = (data: string) =>
  readdirSync(data, { recursive: true, encoding: 'utf8' }).filter((path) => !/^sessions\/./.test(path));
