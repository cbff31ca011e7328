// What `pinch` prints of other people's text.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type PageFixture, startPageFixture } from '../test/e2e/page-fixture.js';
import { runCli } from './cli.js';

let home: PageFixture;
beforeEach(async () => {
  home = await startPageFixture();
  mkdirSync(join(home.dataDir, 'data'));
  writeFileSync(join(home.dataDir, 'data', 'dashboard-token'), home.token);
  vi.stubEnv('PINCH_HOME', home.dataDir);
  vi.stubEnv('PINCH_PORT', String(home.port));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await home.close();
});

async function printed(...args: string[]): Promise<string> {
  let text = '';
  const keep = (piece: string | Uint8Array): boolean => {
    text += String(piece);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(keep);
  vi.spyOn(process.stderr, 'write').mockImplementation(keep);
  await runCli(args);
  vi.restoreAllMocks();
  return text;
}

const evil = 'kind\u001b]0;owned\u0007\u009b2K\u202Eevil\u200B\u{E0041}';

test('what steers a terminal or hides is written out, for people and in JSON', async () => {
  home.state.status.text = evil;
  home.intake.receiveFromPage(evil);
  home.tasks.add({ prompt: evil, title: evil, every: '1h' }, home.webChat());
  const run = home.store.runs.list('ready', 1)[0]?.id ?? 0;
  for (const args of [['status'], ['status', '--json'], ['tasks'], ['task', '1'], ['run', String(run)], [evil]]) {
    const text = await printed(...args);
    expect(text, args[0]).not.toMatch(/[^\P{C}\n]|\p{Default_Ignorable_Code_Point}/u);
  }
  expect(JSON.parse(await printed('status', '--json'))).toMatchObject({ text: evil });
});

test('logout signs every browser out', async () => {
  const headers = { authorization: `Bearer ${home.token}` };
  await fetch(`${home.url}/api/session`, { method: 'POST', headers });
  expect(await printed('logout')).toContain('Every browser is signed out');
  expect(home.store.pageSessions.endAll()).toBe(0);
});
