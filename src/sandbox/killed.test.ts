// kill -9 of the host process: its containers must end by themselves, because nobody is left to end them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { whenBusy } from '../../test/limits.js';
import { agentImage, bundle, createWorld, type World } from '../../test/sandbox/world.js';

let world: World;
let host: string;
beforeAll(async () => {
  world = await createWorld();
  host = join(world.folder, 'host.cjs');
  await bundle('killed-host.ts', host);
});
afterAll(() => world.close());

const READY = `await fetch(base + '/ready'); await new Promise(() => setInterval(() => undefined, 1000));`;
const DEAF = `process.removeAllListeners('SIGHUP'); process.on('SIGHUP', () => undefined); ${READY}`;
const modules = join(import.meta.dirname, '../../node_modules');

function startHost(script: string): ChildProcess {
  const args = [host, world.program, world.homeId, agentImage(), script];
  return spawn(process.execPath, args, {
    env: { ...process.env, NODE_PATH: modules },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function said(child: ChildProcess, word: string): Promise<void> {
  if (!child.stdout) throw new Error('no stdout');
  for await (const line of createInterface({ input: child.stdout })) if (line === word) return;
  throw new Error(`the host ended before it said ${word}`);
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

test('its container is gone within 10 seconds, by itself', async () => {
  const child = startHost(READY);
  await said(child, 'ready');
  expect(await world.containers()).toHaveLength(1);
  await kill(child);
  await expect.poll(() => world.containers(), { timeout: whenBusy(10_000) }).toEqual([]);
});

test('a runner that will not end is what the next start removes', async () => {
  const child = startHost(DEAF);
  await said(child, 'ready');
  await kill(child);
  expect(await world.sandbox.reap()).toBe(1);
  expect(await world.containers()).toEqual([]);
});

test('killed at any moment of a start: nothing runs on', async () => {
  for (let delayMs = 0; delayMs <= 330; delayMs += 30) {
    const child = startHost(READY);
    await said(child, 'starting');
    await sleep(delayMs);
    await kill(child);
  }
  // The promised time, in full: the engine may still be starting what it was told to start.
  await sleep(10_000);
  await expect.poll(() => world.running(), { timeout: whenBusy(10_000) - 10_000 }).toEqual([]);
  // Made and not yet started, it has no process that could end; the next start removes it.
  await world.sandbox.reap();
  expect(await world.containers()).toEqual([]);
});
