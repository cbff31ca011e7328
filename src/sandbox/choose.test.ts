// PINCH_RUNTIME picks one of the runtimes this checkout has; what it has not is refused by name.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../core/clock.js';
import { loadConfig } from '../core/config.js';
import { createSandbox } from './module.js';
import * as runtimes from './runtimes.js';

const repository = mkdtempSync(join(tmpdir(), 'pinch-choose-'));
afterAll(() => rmSync(repository, { recursive: true }));

const deps = { clock: systemClock, log: pino({ enabled: false }) };
const choose = (env: Record<string, string>) => createSandbox(loadConfig(env, repository), deps);

test('a runtime that is not there is refused, with those that are', () => {
  expect(() => choose({ PINCH_RUNTIME: 'podman' })).toThrow(/PINCH_RUNTIME: use .*docker or /);
});

test('the default is Docker, which needs the image of this checkout', () => {
  expect(() => choose({})).toThrow('the agent image of this checkout was never built');
});

test('another one is taken by its name', async () => {
  expect(await choose({ PINCH_RUNTIME: 'process', PINCH_UNSAFE: '1' }).reap()).toBe(0);
});

test('each has a name of its own that the settings accept', () => {
  const names = Object.values(runtimes).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names)
    expect(loadConfig({ PINCH_RUNTIME: name, PINCH_UNSAFE: '1' }, repository)).toMatchObject({ runtime: name });
});
