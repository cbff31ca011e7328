import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { measure } from './measure.js';

const MB = 1e6;
let root: string;
let workspace: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pinch-walk-'));
  workspace = join(root, 'workspace');
  mkdirSync(workspace);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const never = new AbortController().signal;
const roots = () => [{ name: '/workspace', path: workspace }];
const count = (most = { bytes: 1e15, files: 1e9 }) => measure(roots(), most, never);
const fill = (name: string, bytes: number) => writeFileSync(join(workspace, name), Buffer.alloc(bytes, 7));

test('files and folders at every depth count; the largest of the first level are named', async () => {
  for (const [name, bytes] of [
    ['a', 2 * MB],
    ['b/c', MB],
    ['b/d/e', 3 * MB],
    ['f', 1],
  ] as const) {
    mkdirSync(join(workspace, name, '..'), { recursive: true });
    fill(name, bytes);
  }
  const found = await count();
  expect(found).toMatchObject({ files: 6, isHidden: false, isCut: false });
  expect(found.bytes).toBeGreaterThan(6 * MB);
  expect(found.bytes).toBeLessThan(6.2 * MB);
  expect(found.largest.map(({ path }) => path)).toEqual(['/workspace/b', '/workspace/a', expect.any(String)]);
});

test('holes count nothing, a file with many names counts once, what is only linked to not at all', async () => {
  fill('real', MB);
  for (let n = 0; n < 5; n += 1) linkSync(join(workspace, 'real'), join(workspace, `name${n}`));
  fill('holes', 0);
  truncateSync(join(workspace, 'holes'), 1e12);
  mkdirSync(join(root, 'elsewhere'));
  writeFileSync(join(root, 'elsewhere', 'large'), Buffer.alloc(5 * MB, 7));
  symlinkSync(join(root, 'elsewhere'), join(workspace, 'out'));
  symlinkSync(join(root, 'elsewhere', 'large'), join(workspace, 'large'));
  symlinkSync('.', join(workspace, 'loop'));
  execFileSync('mkfifo', [join(workspace, 'pipe')]);
  const { bytes, files, isHidden } = await count();
  expect([files, isHidden]).toEqual([11, false]);
  expect(bytes).toBeGreaterThan(MB);
  expect(bytes).toBeLessThan(1.2 * MB);
});

test('names that are no UTF-8, or have a line break, count like others', async () => {
  for (const name of [Buffer.from([0xff, 0xfe, 0x41]), Buffer.from('two\nlines'), Buffer.from('日本')])
    writeFileSync(Buffer.concat([Buffer.from(`${workspace}/`), name]), Buffer.alloc(MB, 7));
  const folder = Buffer.concat([Buffer.from(`${workspace}/`), Buffer.from([0xc3, 0x28])]);
  mkdirSync(folder);
  writeFileSync(Buffer.concat([folder, Buffer.from('/x')]), Buffer.alloc(MB, 7));
  const { bytes, files } = await count();
  expect(files).toBe(5);
  expect(bytes).toBeGreaterThan(4 * MB);
});

test('what is nested too deep, beyond any path, is noticed', async () => {
  const deep = `for (let n = 0; n < 1500; n++) { fs.mkdirSync('deep'); process.chdir('deep'); }`;
  execFileSync(process.execPath, ['-e', deep], { cwd: workspace });
  expect(await count()).toMatchObject({ isHidden: true, files: 128 });
  execFileSync('rm', ['-rf', join(workspace, 'deep')]);
  expect(await count()).toMatchObject({ isHidden: false, files: 0 });
});

test('a folder that was closed hides nothing: that something cannot be counted is noticed', () => {
  mkdirSync(join(workspace, 'closed'));
  chmodSync(join(workspace, 'closed'), 0);
  const isRoot = process.getuid?.() === 0;
  const uid = isRoot ? 1000 : (process.getuid?.() ?? 0);
  if (isRoot) for (const path of [root, workspace, join(workspace, 'closed')]) chownSync(path, uid, uid);
  const order = JSON.stringify({ roots: roots(), maxBytes: 1e12, maxFiles: 1e9, maxMs: 60_000 });
  const walk = fileURLToPath(new URL('./walk.js', import.meta.url));
  // As the user whose folder it is: root opens everything.
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-', order], {
    uid,
    input: execFileSync('cat', [walk], { encoding: 'utf8' }).replace('process.argv[2]', 'process.argv.at(-1)'),
    encoding: 'utf8',
  });
  expect(JSON.parse(stdout)).toMatchObject({ files: 1, isHidden: true });
});

test('counting stops soon after it is too much: a million files do not hold anything up', async () => {
  for (let n = 0; n < 3_000; n += 1) closeSync(openSync(join(workspace, `f${n}`), 'w'));
  expect(await count({ bytes: 1e12, files: 500 })).toMatchObject({ files: 501 });
  fill('large', 3 * MB);
  fill('zlarge', 3 * MB);
  expect((await count({ bytes: MB, files: 1e9 })).bytes).toBeLessThan(4 * MB);
});

test('a group without folders has nothing; one in whose place a link lies is not followed', async () => {
  expect(await measure([{ name: '/x', path: join(root, 'none') }], { bytes: 1, files: 1 }, never)).toMatchObject({
    files: 0,
  });
  symlinkSync('/usr', join(root, 'link'));
  expect(await measure([{ name: '/x', path: join(root, 'link') }], { bytes: 1, files: 1 }, never)).toMatchObject({
    files: 0,
  });
});
