import { chmodSync, cpSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort, newHome, spawnDaemon, startDaemon } from './harness.js';
import { chatTexts, nthReply, say } from './talk.js';

async function refused(options: Parameters<typeof spawnDaemon>[0]): Promise<string> {
  const daemon = await spawnDaemon(options);
  const { code } = await daemon.exited;
  expect(code).toBe(1);
  return daemon.stderr();
}

describe('settings that cannot be used are refused by name, with the fix', () => {
  test.each([
    [{ PINCH_PORT: '99999' }, /PINCH_PORT: use a whole number from 0 to 65535/],
    [{ PINCH_RUNTIME: 'podman' }, /PINCH_RUNTIME: use .*docker/],
    [{ PINCH_RUNTIME: 'process' }, /PINCH_RUNTIME: .*PINCH_UNSAFE=1/],
    [{ PINCH_UNSAFE: 'yes' }, /PINCH_UNSAFE: use 1 or true, 0 or false/],
    [{ ANTHROPIC_BASE_URL: 'localhost:1' }, /ANTHROPIC_BASE_URL: use a URL/],
    [{ PINCH_OWNER: '12345' }, /PINCH_OWNER: use <channel>:<id>/],
    [{ TELEGRAM_BOT_TOKEN: 'abc' }, /TELEGRAM_BOT_TOKEN: .*BotFather/],
    [{ PINCH_BUDGET_USD_DAY: '-1' }, /PINCH_BUDGET_USD_DAY: use an amount/],
    [{ TZ: 'Mars/Olympus' }, /TZ: use a zone name/],
    [{ ASSISTANT_NAME: 'two words' }, /ASSISTANT_NAME: use one word/],
  ])('%j', async (env, message) => {
    expect(await refused({ env })).toMatch(message);
  });

  test('all wrong variables are named at once, also from .env', async () => {
    const home = newHome();
    writeFileSync(join(home, '.env'), 'PINCH_MAX_CONTAINERS=many\nPINCH_IDLE_MS=soon\n');
    const text = await refused({ home });
    expect(text).toMatch(/PINCH_MAX_CONTAINERS/);
    expect(text).toMatch(/PINCH_IDLE_MS/);
  });
});

describe('a start that must not succeed', () => {
  test('the port is taken: says so and names PINCH_PORT', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    expect(await refused({ env: { PINCH_PORT: String(port) } })).toMatch(new RegExp(`${port}[\\s\\S]*PINCH_PORT`));
    other.close();
  });

  test('a second instance on the same home is refused, the first goes on', async () => {
    const first = await startDaemon();
    expect(await refused({ home: first.home })).toMatch(/another Pinch is running/);
    await say(first, 'help');
    expect(await nthReply(first, 1)).toContain('demo model');
    await first.kill('SIGTERM');
  });

  test('a corrupt database: refused with the last backup named; restored by hand as told, it starts', async () => {
    const first = await startDaemon();
    await say(first, 'help');
    await nthReply(first, 1);
    await first.waitForLog((line) => line.msg === 'database backed up');
    await first.kill('SIGTERM');
    const data = join(first.home, 'data');
    const file = join(data, 'pinch.db');
    const { size } = statSync(file);
    for (const name of readdirSync(data))
      if (name.startsWith('pinch.db')) writeFileSync(join(data, name), Buffer.alloc(size, 'x'));
    const text = await refused({ home: first.home });
    const backup = /newest backup is (\S+\.db)/.exec(text)?.[1];
    expect(text).toContain('cannot be opened');
    for (const name of readdirSync(data)) if (name.startsWith('pinch.db-')) writeFileSync(join(data, name), '');
    cpSync(backup ?? '', file);
    const again = await startDaemon({ home: first.home });
    await again.kill('SIGTERM');
  });

  test('a home that cannot be written is refused with the folders named', async () => {
    const home = newHome();
    writeFileSync(join(home, 'groups'), 'a file where the folder should be');
    expect(await refused({ home })).toMatch(/cannot write below[\s\S]*groups/);
    if (process.getuid?.() === 0) return;
    const locked = newHome();
    mkdirSync(join(locked, 'groups'));
    chmodSync(join(locked, 'groups'), 0o500);
    expect(await refused({ home: locked })).toMatch(/cannot write below/);
  });
});

test('the container engine is down at the start: the page is up, the message waits and is not lost', async () => {
  const daemon = await startDaemon({ env: { DOCKER_HOST: 'unix:///nonexistent/docker.sock' } });
  const runId = await say(daemon, 'Run: echo hi');
  expect(await chatTexts(daemon, 'in')).toEqual(['Run: echo hi']);
  const { body } = await daemon.api('GET', '/api/status');
  expect(body).toMatchObject({ engine: { state: 'down' }, runs: { ready: 1 } });
  await daemon.kill('SIGTERM');
  const again = await startDaemon({ home: daemon.home });
  expect(await nthReply(again, 1)).toContain('hi');
  expect(runId).toBe(1);
  await again.kill('SIGTERM');
});
