// Further folders as their owner meets them: listed at the terminal, named to the agent, gone when they are taken back, told when they are refused.
import { execFile } from 'node:child_process';
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
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from './harness.js';
import { bash, chatTexts, type Scene, say, startScene, waitForRun } from './talk.js';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'pinch-e2e-mounts-')));
const photos = join(root, 'Photos');
const settings = join(root, 'settings');
let scene: Scene;
beforeAll(async () => {
  mkdirSync(photos);
  writeFileSync(join(photos, 'cat.txt'), 'a cat');
  for (const place of [root, photos]) chmodSync(place, 0o777);
  scene = await startScene({ daemon: { env: { XDG_CONFIG_HOME: settings } } });
});
afterAll(() => scene.close());

async function pinch(...args: string[]): Promise<string> {
  const program = `import('./dist/cli.js').then(async ({ runCli }) => { process.exitCode = await runCli(process.argv.slice(1)) })`;
  const env = { ...process.env, PINCH_HOME: scene.daemon.home, XDG_CONFIG_HOME: settings };
  const cwd = join(import.meta.dirname, '../..');
  const ran = promisify(execFile)('node', ['-e', program, 'mounts', ...args], { cwd, env });
  return ran.then(({ stdout }) => stdout).catch(({ stderr }: { stderr: string }) => stderr);
}

async function shell(command: string): Promise<string> {
  scene.model.push(bash(`{ ${command}\n} >/workspace/out.txt 2>&1`), { text: 'done' });
  await waitForRun(scene.daemon, await say(scene.daemon, 'go'), ['done']);
  return readFileSync(join(scene.daemon.home, 'groups/main/out.txt'), 'utf8');
}
const prompt = (): string => JSON.stringify(scene.model.requests.at(-1)?.body);

test('a folder is given at the next start, read-only, and taken back', async () => {
  expect(await shell('ls -d /mnt/*')).toContain('No such file');
  expect(prompt()).not.toContain('machine are here too');
  expect(await pinch('add', photos)).toContain(`${photos} is /mnt/photos for main, read-only`);
  expect(await pinch()).toContain('✓');
  expect(await shell('cat /mnt/photos/cat.txt; touch /mnt/photos/x')).toMatch(/^a cat.*Read-only file system/s);
  expect(prompt()).toContain('machine are here too: /mnt/photos (read-only).');
  expect(await pinch('remove', 'photos')).toContain('do not have photos');
  expect(await shell('ls -d /mnt/*')).toContain('No such file');
});

test('written is only where the owner said so, and by whom it was listed for', async () => {
  expect(await pinch('add', photos, 'album', '--rw', '--group', 'main,family')).toContain('for main, family, to read');
  expect(await shell('echo dog >/mnt/album/dog.txt; ls /mnt')).toBe('album\n');
  expect(readFileSync(join(photos, 'dog.txt'), 'utf8')).toBe('dog\n');
  expect(await pinch('remove', 'album')).toContain('do not have album');
});

test.each(['/', '/etc', '/var/run', 'photos'])('the terminal refuses %s and says what to do', async (place) => {
  expect(await pinch('add', place)).toMatch(/^✗ .+ \(.+\)\n$/);
});

test('a folder that is refused stops nobody: the owner is told once', async () => {
  await pinch('add', photos);
  renameSync(photos, `${photos}-2`);
  symlinkSync('/etc', photos);
  expect(await shell('ls -d /mnt/*; echo well')).toMatch(/No such file.*\nwell\n$/);
  const told = async () =>
    (await chatTexts(scene.daemon, 'out')).filter((text) => text.includes('do not get the folder'));
  expect(await eventually(async () => (await told())[0], 'a notice')).toContain('over a link');
  expect(await pinch()).toContain('✗ photos: ');
  await pinch('add', `${photos}-2`, 'other');
  expect(await shell('ls /mnt')).toBe('other\n');
  expect(await told()).toHaveLength(2);
});

test('an agent asks for a folder: one card, and after the yes the next container has it', async () => {
  const music = join(root, 'My Music');
  mkdirSync(music);
  chmodSync(music, 0o755);
  writeFileSync(join(music, 'song.txt'), 'la la');
  expect(await shell('pinch mount /etc; pinch mount /nowhere')).toMatch(/belongs to the system.*\n.*cannot be given/);
  expect(await shell(`pinch mount '${music}'`)).toMatch(
    /^Approval 1 \(give the folder My Music to the group main, read-only\)/,
  );
  scene.model.push({ text: 'thanks' });
  const { body } = await scene.daemon.api('POST', '/api/approvals/1', { decision: 'allow' });
  expect(JSON.stringify(body)).toContain('it is being done');
  const out = () => chatTexts(scene.daemon, 'out');
  await eventually(
    async () => (await out()).some((text) => text.includes('It is `/mnt/my-music` from the next')),
    'told',
  );
  await eventually(async () => (await out()).includes('thanks'), 'the agent is told');
  expect(await pinch()).toContain(`✓ ${music} is /mnt/my-music for main, read-only`);
  expect(await shell(`cat /mnt/my-music/song.txt; pinch mount '${music}'`)).toBe('la laIt is /mnt/my-music already.\n');
});
