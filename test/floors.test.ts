// Modules stand on floors, one domain one folder: a file imports from its own module and from the floors below, never up, never
// from beside. Types count as well. Reads every import of src/; what skills bring is checked like our own.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const src = join(root, 'src');

/** From the top; modules of one floor do not know each other. */
const floors = [
  ['main', 'cli'],
  ['ground'],
  ['store'],
  ['page'],
  ['ops', 'retention', 'recap'],
  ['chats', 'memory', 'backup', 'update'],
  ['tasks'],
  ['mcp'],
  ['egress', 'services'],
  ['approvals', 'oauth', 'quotas', 'progress'],
  ['runs'],
  ['budgets'],
  ['model', 'sandbox', 'delivery', 'taint'],
  ['gateway', 'channels'],
  ['secrets'],
  ['groups', 'markdown', 'mounts'],
  ['core'],
  ['wire'],
];

const height = new Map(floors.flatMap((modules, depth) => modules.map((name) => [name, floors.length - depth])));
/** The folder below src/, or the name of a file that lies in src/ itself. */
const moduleOf = (file: string): string =>
  relative(src, file)
    .split(/[/\\]/)[0]
    ?.replace(/\.tsx?$/, '') ?? '';

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(tsx?|mjs)$/.test(name) && !name.includes('.test.') && !name.split('/').includes('testing'))
    .map((name) => join(folder, name));
const files = filesOf(src);

function importsOf(file: string): string[] {
  const specifiers = readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g);
  return [...specifiers].map(([, specifier = '']) => {
    const target = resolve(dirname(file), specifier.replace(/\.js$/, '.ts'));
    return existsSync(`${target}x`) ? `${target}x` : target;
  });
}

test('every folder and file of src/ has its floor', () => {
  expect([...new Set(files.map(moduleOf))].filter((name) => !height.has(name))).toEqual([]);
});

test('no import goes up, or to a module beside', () => {
  const wrong = files.flatMap((file) => {
    const own = moduleOf(file);
    const isWrong = (target: string) =>
      moduleOf(target) !== own && (height.get(moduleOf(target)) ?? 99) >= (height.get(own) ?? 0);
    return importsOf(file)
      .filter(isWrong)
      .map((target) => `${relative(src, file)} → ${relative(src, target)}`);
  });
  expect(wrong).toEqual([]);
});

test('no file imports itself in a circle', () => {
  const all = ['src', 'container/agent-runner/src', 'scripts'].flatMap((folder) => filesOf(join(root, folder)));
  const state = new Map<string, 'open' | 'done'>();
  const circles: string[] = [];
  const visit = (file: string, path: string[]): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open')
      return void circles.push([...path.slice(path.indexOf(file)), file].map((at) => relative(root, at)).join(' → '));
    state.set(file, 'open');
    for (const target of importsOf(file).filter((name) => all.includes(name))) visit(target, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of all) visit(file, []);
  expect(circles).toEqual([]);
});
