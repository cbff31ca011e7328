// `pinch` on the PATH, and what the shells offer after it.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commands } from '../cli.js';
import { completionScript, shells } from './completion.js';
import { linkCommand, unlinkCommand } from './link.js';

let home: string;
let repository: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pinch-link-'));
  repository = join(home, "a fork's (place)");
  mkdirSync(join(repository, 'scripts'), { recursive: true });
  writeFileSync(
    join(repository, 'scripts', 'pinch.mjs'),
    'console.log(JSON.stringify([process.env.PINCH_HOME ?? null, ...process.argv.slice(2)]))',
  );
});
afterEach(() => rmSync(home, { recursive: true }));

const bin = (...parts: string[]) => join(home, '.local', 'bin', ...parts);
function deps(PATH = `${bin()}:/usr/bin:/bin`, more: { home?: string; repository?: string } = {}) {
  return {
    config: { home: repository, repository, ...more },
    machine: { home, uid: 1000, env: { PATH }, node: process.execPath },
  };
}
const start = (file: string, ...args: string[]) => JSON.parse(execFileSync(file, args, { encoding: 'utf8' }));

test('it starts the commands of its checkout in every folder, twice is harmless, and unlink takes it away', () => {
  expect(linkCommand(deps())).toContain(bin('pinch'));
  linkCommand(deps());
  expect(statSync(bin('pinch')).mode & 0o777).toBe(0o755);
  expect(start(bin('pinch'), 'run', "it's 7")).toEqual([null, 'run', "it's 7"]);
  linkCommand(deps(undefined, { home: `${home}/$(x) 'home'` }));
  expect(start(bin('pinch'))).toEqual([`${home}/$(x) 'home'`]);
  expect(unlinkCommand(deps())).toContain('removed');
  expect(existsSync(bin('pinch'))).toBe(false);
  expect(unlinkCommand(deps())).toContain('no `pinch`');
});

test('a folder of the user that is on the PATH is taken; where there is none it says what to do', () => {
  mkdirSync(join(home, 'tools'));
  mkdirSync(join(home, '.nvm', 'v22'), { recursive: true });
  const path = [join(home, '.nvm', 'v22'), '/usr/bin', join(home, 'tools')].join(':');
  expect(linkCommand(deps(path))).toContain(join(home, 'tools', 'pinch'));
  expect(unlinkCommand(deps(path))).toContain(join(home, 'tools', 'pinch'));
  expect(linkCommand(deps('/usr/bin:/bin'))).toContain(`export PATH="${bin()}:$PATH"`);
  writeFileSync(join(home, 'tools', 'pinch'), 'another');
  expect(linkCommand(deps(`${join(home, 'tools')}:${bin()}`))).toContain('comes before it');
});

test.each([
  ['a program', (file: string) => writeFileSync(file, '#!/bin/sh\necho other\n')],
  ['a link', (file: string) => symlinkSync('/bin/true', file)],
  ['a link to nothing', (file: string) => symlinkSync('/nowhere', file)],
  ['a folder', (file: string) => mkdirSync(file)],
])('%s that is not ours stays', (_, make) => {
  mkdirSync(bin(), { recursive: true });
  make(bin('pinch'));
  expect(() => linkCommand(deps())).toThrow('is another program');
  expect(unlinkCommand(deps())).toContain('no `pinch`');
});

test('the launcher of another checkout stays as long as that is there', () => {
  const other = join(home, 'other');
  mkdirSync(other);
  linkCommand(deps(undefined, { home: other, repository: other }));
  expect(() => linkCommand(deps())).toThrow(`belongs to the Pinch in ${other}`);
  expect(spawnSync(bin('pinch')).stderr.toString()).toContain('this Pinch is gone');
  rmSync(other, { recursive: true });
  linkCommand(deps());
  expect(readFileSync(bin('pinch'), 'utf8')).toContain(repository);
});

const has = (shell: string) => {
  const isThere = spawnSync(shell, ['-c', 'true']).status === 0;
  if (!isThere) console.warn(`not tested: completion in ${shell}, because it is not installed here`);
  return isThere;
};

test('bash offers commands, their words and their options', () => {
  const offered = (...words: string[]) => {
    const line = words.map((word) => `'${word}'`).join(' ');
    const script = `${completionScript('bash', commands)}\nCOMP_WORDS=(pinch ${line}); COMP_CWORD=${words.length}; _pinch; echo "\${COMPREPLY[*]}"`;
    return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim();
  };
  expect(offered('app')).toBe('approvals approve');
  expect(offered('runs', 'd')).toBe('done dead');
  expect(offered('service', 'un')).toBe('uninstall');
  expect(offered('logs', '--f')).toBe('--follow');
  expect(offered('status', '--')).toBe('--json');
  expect(offered('completion', '')).toBe('bash zsh fish');
  expect(offered('', '')).not.toContain('--');
});

test.each(shells.filter(has))('%s takes its script without a word', (shell) => {
  const file = join(home, `pinch.${shell}`);
  writeFileSync(file, completionScript(shell, commands));
  const arguments_ =
    shell === 'fish' ? ['--no-config', '-c', `source '${file}'; complete -C 'pinch app'`] : ['-n', file];
  const { status, stdout, stderr } = spawnSync(shell, arguments_, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  if (shell === 'fish') expect(stdout).toMatch(/^approvals\twhat .*\napprove\tsay yes to it\n$/);
});

test('files are offered where one is meant, and words only in their place', () => {
  const script = completionScript('fish', commands).split('\n');
  const of = (name: string) => script.filter((line) => line.includes(`seen_subcommand_from ${name}`)).join('\n');
  for (const name of ['backup', 'restore', 'mounts']) expect(of(name), name).toMatch(/ -F$/m);
  expect(of('memory')).toMatch(/eq 2' -a 'list show diff restore'$/m);
  expect(of('memory')).not.toMatch(/ -F$/m);
  expect(completionScript('zsh', commands)).toContain('else _files');
});
