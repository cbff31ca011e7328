// A part of the tests waits for nothing that it does not use, and gets all that it does.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const program = join(import.meta.dirname, '../scripts/lib/test-needs.mjs');
const cases: [args: string[], needs: string][] = [
  [['src/markdown'], ''],
  [['./src/core/config.test.ts:12'], ''],
  [['src/tasks', 'src/budgets/'], ''],
  [['test/skills-command'], ''],
  // The names of their files are not all: what they import starts the daemon, or the engine.
  [['src/store.test.ts'], 'build'],
  [['src/sandbox/docker'], 'build image'],
  [['src/markdown', 'test/e2e/restart'], 'build image'],
  [['test/e2e/page-session'], 'browser'],
  [['test/e2e'], 'build image browser'],
  // Which files are meant is not clear.
  [[], 'build image browser'],
  [['-t', 'markdown'], 'build image browser'],
  [['--coverage', 'src/markdown'], 'build image browser'],
  [['no-such-file'], 'build image browser'],
  [['-t=lists', 'src/markdown'], ''],
];

test('each part needs what its test code names, whatever imports it', () => {
  const script = `const { needsOf } = await import(${JSON.stringify(program)});
    console.log(JSON.stringify(JSON.parse(process.argv[1]).map((args) => needsOf(args))));`;
  const args = ['--input-type=module', '-e', script, JSON.stringify(cases.map(([words]) => words))];
  const answer: Record<string, boolean>[] = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  const needs = answer.map((one) => Object.keys(one).filter((what) => one[what]));
  expect(needs.map((names) => names.join(' '))).toEqual(cases.map(([, wanted]) => wanted));
});
