// What the real npm does to package.json and package-lock.json when a skill with packages comes and goes.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { channelSkill, cleanEnvironment, createSmallRepository, type Repository } from './skills/repository.js';

let registry: ChildProcess;
let repository: Repository;
let environment: Record<string, string>;

beforeEach(async () => {
  registry = spawn(process.execPath, [join(import.meta.dirname, 'skills', 'registry.mjs')], {
    stdio: ['pipe', 'pipe', 2],
  });
  const [port] = registry.stdout ? await once(registry.stdout, 'data') : [''];
  repository = createSmallRepository({
    ...channelSkill('slack', { dependencies: { bolt: '5.1.0' } }),
    'package.json': `${JSON.stringify({ name: 'small', private: true, dependencies: { stay: '1.0.0' } }, null, 2)}\n`,
  });
  environment = {
    npm_config_registry: `http://127.0.0.1:${String(port).trim()}/`,
    npm_config_cache: join(repository.root, '..', 'cache'),
    npm_config_fetch_retries: '0',
  };
  const options = { cwd: repository.root, env: cleanEnvironment(environment), encoding: 'utf8' as const };
  expect(spawnSync('npm', ['install', '--no-audit', '--no-fund'], options)).toMatchObject({ status: 0 });
  repository.commit();
});

afterEach(async () => {
  const ended = once(registry, 'exit');
  registry.stdin?.end();
  await ended;
  repository.close();
});

const skill = (...args: string[]) => repository.skill(args, environment);
const installed = (name: string) => existsSync(join(repository.root, 'node_modules', name));

test('the packages are there afterwards, and package-lock.json is byte for byte the old one when they are gone', () => {
  expect(skill('apply', 'add-slack', '--yes')).toMatchObject({ code: 0 });
  expect(installed('bolt')).toBe(true);
  expect(repository.status()).toContain('package-lock.json');
  repository.commit();
  expect(skill('apply', 'add-slack', '--yes').stderr).toContain('Nothing to add');
  expect(repository.status()).toBe('');
  expect(skill('remove', 'add-slack', '--yes')).toMatchObject({ code: 0 });
  expect(installed('bolt')).toBe(false);
  expect(repository.git('diff', '--stat', 'HEAD~1')).toBe('');
});

test('when npm cannot install, nothing was changed and the same command works later', () => {
  const offline = { ...environment, npm_config_registry: 'http://127.0.0.1:9/' };
  const answer = repository.skill(['apply', 'add-slack', '--yes'], offline);
  expect(answer).toMatchObject({ code: 1, stderr: expect.stringContaining('`npm install` failed') });
  expect(repository.status()).toBe('');
  expect(skill('apply', 'add-slack', '--yes')).toMatchObject({ code: 0 });
  expect(installed('bolt')).toBe(true);
});

test('killed before npm was through, it is finished by the same command', () => {
  skill('apply', 'add-slack', '--yes', '--no-install');
  expect(installed('bolt')).toBe(false);
  expect(skill('apply', 'add-slack', '--yes')).toMatchObject({ code: 0 });
  expect(installed('bolt')).toBe(true);
  expect(skill('remove', 'add-slack', '--yes')).toMatchObject({ code: 0 });
  expect(repository.status()).toBe('');
});

test('a start installs what runs, the tests add theirs, and neither takes the other away or changes the lock file', () => {
  const { root } = repository;
  const options = { cwd: root, env: cleanEnvironment(environment), encoding: 'utf8' as const };
  const install = (extent: string) => {
    const script = `(await import('./scripts/lib/install.mjs')).ensureInstalled('${extent}')`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], options);
    expect(status, stderr).toBe(0);
    return stderr;
  };
  const wanted = { dependencies: { stay: '1.0.0' }, devDependencies: { shared: '1.2.0' } };
  repository.write('package.json', `${JSON.stringify({ name: 'small', private: true, ...wanted }, null, 2)}\n`);
  spawnSync('npm', ['install', '--package-lock-only'], options);
  repository.commit();
  rmSync(join(root, 'node_modules'), { recursive: true });
  expect(install('run')).toContain('Installing 2 packages');
  expect([installed('stay'), installed('shared')]).toEqual([true, false]);
  expect(install('run')).toBe('');
  expect(skill('apply', 'add-slack', '--yes')).toMatchObject({ code: 0 });
  expect(repository.git('diff', 'package-lock.json')).toContain('bolt');
  // `bolt` needs it at run time now.
  expect([installed('bolt'), installed('shared')]).toEqual([true, true]);
  expect(skill('remove', 'add-slack', '--yes')).toMatchObject({ code: 0 });
  expect(installed('shared')).toBe(false);
  expect(install('all')).toContain('Installing');
  expect(install('run')).toBe('');
  expect(installed('shared')).toBe(true);
  // Somebody ended it in the middle.
  rmSync(join(root, 'node_modules', '.pinch-install'));
  rmSync(join(root, 'node_modules', '.package-lock.json'));
  rmSync(join(root, 'node_modules', 'stay'), { recursive: true });
  expect(install('run')).toContain('Installing');
  expect(installed('stay')).toBe(true);
  expect(repository.git('status', '--porcelain')).toBe('');
});
