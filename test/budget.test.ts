// The promise that one person can read all of it, measured (design: line budget). Blank and comment lines and tests do not count.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(
      (name) => /\.(ts|js|css|html)$/.test(name) && !name.includes('.test.') && !name.split('/').includes('testing'),
    )
    .map((name) => join(folder, name));
}

/** Lines that are neither blank nor comment. */
function codeLines(text: string): number {
  let inBlock = false;
  return text.split('\n').filter((line) => {
    const trimmed = line.trim();
    if (inBlock) {
      inBlock = !trimmed.includes('*/');
      return false;
    }
    if (trimmed.startsWith('/*')) {
      inBlock = !trimmed.includes('*/');
      return false;
    }
    return trimmed !== '' && !trimmed.startsWith('//');
  }).length;
}

const countOf = (files: string[]) =>
  files.reduce((sum, file) => sum + codeLines(readFileSync(join(root, file), 'utf8')), 0);

test('the code stays within its line budget', () => {
  const all = sources('src');
  const core = all.filter((file) => !/^src\/(channels|dashboard)\//.test(file));
  const runner = sources('container/agent-runner/src');
  const figures = { core: countOf(core), src: countOf(all), runner: countOf(runner) };
  console.log(
    `lines of code: src without channels and dashboard ${figures.core}/4000, src ${figures.src}/5500, runner ${figures.runner}/1200`,
  );
  expect(figures.core).toBeLessThanOrEqual(4_000);
  expect(figures.src).toBeLessThanOrEqual(5_500);
  expect(figures.runner).toBeLessThanOrEqual(1_200);
});

test('no file is longer than 300 lines of code', () => {
  const long = [...sources('src'), ...sources('container/agent-runner/src')].filter((file) => countOf([file]) > 300);
  expect(long).toEqual([]);
});

test('no function is longer than 60 lines', () => {
  const long = [...sources('src'), ...sources('container/agent-runner/src')]
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => longFunctions(readFileSync(join(root, file), 'utf8')).map((name) => `${file} ${name}`));
  expect(long).toEqual([]);
});

/** Top-level functions and methods, by the formatter's indentation: from their first line to the closing brace at the same depth. */
function longFunctions(text: string): string[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const match = /^(\s*)(?:export )?(?:async )?function\*? (\w+)/.exec(line);
    if (!match) return [];
    const end = lines.findIndex((other, at) => at > index && other.startsWith(`${match[1]}}`));
    const size = codeLines(lines.slice(index, end + 1).join('\n'));
    return size > 60 ? [`${match[2]} (${size})`] : [];
  });
}
