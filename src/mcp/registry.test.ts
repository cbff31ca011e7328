import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lockfileProblem, npmProblem, registryOf } from './registry.js';

const registry = new URL('https://npm.example/api/');
const HOME = mkdtempSync(join(tmpdir(), 'pinch-npmrc-'));

describe('the registry of this machine', () => {
  test('is that of the environment, then of ~/.npmrc, then the public one', () => {
    expect(registryOf({ HOME }).href).toBe('https://registry.npmjs.org/');
    writeFileSync(
      join(HOME, '.npmrc'),
      'fund=false\nregistry = https://npm.example/api\n@a:registry=https://b.example/\n',
    );
    expect(registryOf({ HOME }).href).toBe('https://npm.example/api/');
    expect(registryOf({ HOME, npm_config_registry: 'http://10.0.0.2:4873' }).href).toBe('http://10.0.0.2:4873/');
  });

  test.each([
    'ftp://npm.example/',
    'https://me:secret@npm.example/',
    'npm.example',
    'https://npm.example/?a=1',
  ])('%s is refused', (text) =>
    expect(() => registryOf({ HOME, npm_config_registry: text })).toThrow('is no plain URL'));
});

describe('a lockfile', () => {
  const good = { version: '1.0.0', resolved: 'https://npm.example/api/a/-/a-1.0.0.tgz', integrity: 'sha512-x' };
  const problem = (packages: object, wanted = ['a@1.0.0']) =>
    lockfileProblem(JSON.stringify({ packages }), wanted, registry);
  test.each<[string, object, string | undefined]>([
    ['with all of it from the registry', { '': {}, 'node_modules/a': good }, undefined],
    [
      'with the public address, which stands for any registry',
      { 'node_modules/a': { ...good, resolved: 'https://registry.npmjs.org/a' } },
      undefined,
    ],
    [
      'with a package in the file of another',
      { 'node_modules/a': good, 'node_modules/a/node_modules/b': { inBundle: true } },
      undefined,
    ],
    ['of another version', { 'node_modules/a': { ...good, version: '1.0.1' } }, 'a is there as 1.0.1, not 1.0.0'],
    ['without what was wanted', {}, 'a is there as nothing, not 1.0.0'],
    [
      'from elsewhere',
      { 'node_modules/a': { ...good, resolved: 'https://npm.example.evil/api/a' } },
      'is not from npm.example',
    ],
    [
      'from git',
      { 'node_modules/a': good, 'node_modules/b': { resolved: 'git+ssh://git@github.com/x/y.git#1' } },
      'is not from npm.example',
    ],
    ['with a link', { 'node_modules/a': { ...good, link: true } }, 'is not from npm.example'],
    ['without a checksum', { 'node_modules/a': { ...good, integrity: undefined } }, 'node_modules/a has no checksum'],
  ])('%s', (_what, packages, expected) => {
    if (expected === undefined) expect(problem(packages)).toBeUndefined();
    else expect(problem(packages)).toContain(expected);
  });

  test('that is none', () => {
    for (const text of [undefined, '', '[', '{"packages": 1}'])
      expect(lockfileProblem(text, [], registry)).toBe('npm left no readable package-lock.json');
  });
});

test.each([
  ['npm error code ENOSPC\nnpm error nospc There appears to be insufficient space', false, 'there is no space left'],
  [
    'npm error code ETARGET\nnpm error notarget No matching version found for a@9.',
    false,
    'no such package or version: notarget No matching',
  ],
  [
    'npm error code SELF_SIGNED_CERT_IN_CHAIN\nnpm error request to https://npm.example failed',
    true,
    'the certificate of npm.example is not trusted',
  ],
  ['npm error code E502\nnpm error 502 x - GET', true, 'the registry npm.example cannot be reached: 502 x - GET'],
  ['npm error code EWHATEVER\nnpm error something', false, 'npm could not install its packages: something'],
])('%s', (printed, isUnreached, message) =>
  expect(npmProblem(printed, registry, isUnreached).message).toContain(message));
