// What a server makes this process hold: a real program that does not read.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../core/clock.js';
import { createParser } from './parse.js';
import { startHostProcess } from './process.js';
import { createTransport, type ServerTransport } from './transport.js';

const MB = 1024 * 1024;
const parser = createParser(systemClock);
let dir: string;
let transport: ServerTransport;
let heard: unknown[];

async function run(script: string): Promise<void> {
  const process = startHostProcess({ command: ['node', '-e', script], env: {}, dir }, systemClock);
  transport = createTransport({ process, clock: systemClock, parser });
  transport.onmessage = (one) => heard.push(one);
  await transport.start();
}
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinch-mcp-'));
  heard = [];
});
afterEach(async () => {
  await transport.end('the test is over');
  rmSync(dir, { recursive: true, force: true });
});

test('one that does not read is told no more than a few megabytes, and ended when it wants answers all the same', async () => {
  await run('setInterval(() => undefined, 1_000)');
  const args = { text: 'x'.repeat(MB) };
  const send = (id: number) =>
    transport.send({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'a', arguments: args } });
  // They wait until it reads.
  for (let id = 1; id <= 4; id += 1) void send(id);
  await expect(send(5)).rejects.toMatchObject({ code: 'too_many' });
  expect(transport.whyClosed()).toBeUndefined();
  await expect(transport.send({ jsonrpc: '2.0', id: 'its own', result: {} })).rejects.toThrow('has not read yet');
  expect(transport.whyClosed()).toContain('it does not read what it is told');
});

test('a question of its own with an endless name is no message', async () => {
  await run(`
    for (const id of ['x'.repeat(1_000_000), 'short'])
      process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' }) + '\\n');
    process.stdin.resume();`);
  await expect.poll(() => heard).toMatchObject([{ id: 'short' }]);
});
