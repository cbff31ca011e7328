// A long step of the set-up is never silent, and what it tells can be read in a log file.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const progress = join(import.meta.dirname, '../scripts/lib/progress.mjs');

/** What a person sees of a program that works for a while. */
function told(script: string, options = ''): string[] {
  const body = `import { runQuietly } from ${JSON.stringify(progress)};
    await runQuietly('sh', ['-c', ${JSON.stringify(script)}], { failure: 'It failed.', everyMs: 100, ${options} });`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', body], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return stderr.trimEnd().split('\n');
}

test('a program that works for long is told with the last line it printed, without control codes', () => {
  const lines = told(`printf 'one\\n\\033[1mtwo\\033[0m\\r\\033[2Kthree of \\033[32mfive\\033[0m\\n'; sleep 1`);
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) expect(line).toMatch(/^● {3}\d+ s: (three of five|sh is at work)$/);
  expect(lines.at(-1)).toContain('three of five');
});

test('who knows better how far it is tells that instead', () => {
  expect(told('echo noise; sleep 1', "doing: () => '7 of 9 packages are there'").at(-1)).toMatch(/7 of 9 packages/);
});

test('a program that is quick is told nothing of', () => {
  expect(told('echo done', 'everyMs: 60_000')).toEqual(['']);
});
