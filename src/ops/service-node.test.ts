// The path of Node in a unit, for the folders in which people's Nodes lie.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nodeNote, stableNode } from './service-node.js';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'pinch-node-')));
});
afterEach(() => rmSync(root, { recursive: true }));

const make = (path: string): string => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), '');
  return join(root, path);
};
const link = (path: string, target: string): string => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
  return join(root, path);
};

test.each([
  ['a keg-only formula', 'brew/Cellar/node@22/22.11.0/bin/node', 'brew/opt/node@22', '../Cellar/node@22/22.11.0'],
  ['another one', 'brew/Cellar/node@24/24.1.0_1/bin/node', 'brew/opt/node@24', '../Cellar/node@24/24.1.0_1'],
  ['the plain formula', 'brew/Cellar/node/25.2.0/bin/node', 'brew/opt/node', '../Cellar/node/25.2.0'],
  ['Linuxbrew', '.linuxbrew/Cellar/node@22/22.1.0/bin/node', '.linuxbrew/opt/node@22', '../Cellar/node@22/22.1.0'],
  ['mise', 'mise/installs/node/22.11.0/bin/node', 'mise/installs/node/22', './22.11.0'],
  [
    'fnm',
    'fnm/node-versions/v22.1.0/installation/bin/node',
    'fnm/aliases/default',
    '../node-versions/v22.1.0/installation',
  ],
  ['snap', 'snap/node/9123/bin/node', 'snap/node/current', '9123'],
  ['Nix', 'nix/store/abc-nodejs-22.11.0/bin/node', '.nix-profile', 'nix/store/abc-nodejs-22.11.0'],
])('%s: the link that stays', (_name, file, folder, target) => {
  const node = make(file);
  link(folder, target);
  const stable = join(root, folder, 'bin/node');
  expect(stableNode(node, root)).toBe(stable);
  expect(nodeNote(stable)).toBeUndefined();
});

test.each([
  ['nvm', '.nvm/versions/node/v22.11.0/bin/node'],
  ['Volta', '.volta/tools/image/node/22.11.0/bin/node'],
  ['asdf', '.asdf/installs/nodejs/22.11.0/bin/node'],
  ['nodenv', '.nodenv/versions/22.11.0/bin/node'],
  ['a keg whose link is gone', 'brew/Cellar/node@22/22.11.0/bin/node'],
])('%s has no link: its own path, and a word about it', (_name, file) => {
  const node = make(file);
  for (const shim of ['.volta/bin/node', '.asdf/shims/node', '.nodenv/shims/node']) make(shim);
  expect(stableNode(node, root)).toBe(node);
  expect(nodeNote(node)).toContain('`service install` again');
});

test('a link to another version is not taken', () => {
  const node = make('brew/Cellar/node@22/22.11.0/bin/node');
  make('brew/Cellar/node@22/22.12.0/bin/node');
  link('brew/opt/node@22', '../Cellar/node@22/22.12.0');
  expect(stableNode(node, root)).toBe(node);
  rmSync(join(root, 'brew/opt/node@22'));
  link('brew/opt/node@22', '../opt/node@22');
  expect(stableNode(node, root)).toBe(node);
});

test('a path of one terminal is not kept', () => {
  const node = make('opt/bin/node');
  const shell = link('run/fnm_multishells/123_456/bin/node', node);
  expect(stableNode(shell, root)).toBe(node);
  expect(nodeNote(node)).toBeUndefined();
});
