// The page in a real browser, with the real daemon and an agent in a container behind it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HANG_MS } from '../limits.js';
import { executablePath, flags } from './browser.js';
import { startDaemon } from './harness.js';
import { bash, type Scene, startScene } from './talk.js';

describe.skipIf(!executablePath)('the page and the agent', () => {
  let scene: Scene;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    scene = await startScene();
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: flags });
    page = await browser.newPage();
    page.setDefaultTimeout(HANG_MS);
    const token = readFileSync(join(scene.daemon.home, 'data/dashboard-token'), 'utf8').trim();
    await page.goto(`http://127.0.0.1:${scene.daemon.port}/#token=${token}`);
    await page.locator('#conversation:not([aria-busy])').waitFor({ state: 'attached' });
  });
  afterAll(async () => {
    await browser?.close();
    await scene?.close();
  });

  const shows = (text: string) => page.locator('.message.out .text').filter({ hasText: text }).first().waitFor();
  const buttons = () => page.getByRole('group', { name: 'Answers' }).getByRole('button');
  async function write(text: string): Promise<void> {
    const input = page.getByLabel('Message', { exact: true });
    await input.fill(text);
    await input.press('Enter');
  }
  const use = (name: string, input: Record<string, unknown>) => ({
    content: [{ type: 'tool_use' as const, name, input }],
  });

  test('a question has buttons, after a restart too; one that is pressed goes on with it, and is gone', async () => {
    scene.model.push(use('ask', { question: 'Which tea?', choices: ['Green', 'Black'] }), { text: 'I asked.' });
    await write('order tea');
    await shows('I asked.');
    await scene.daemon.kill('SIGKILL');
    const { home, port } = scene.daemon;
    scene.daemon = await startDaemon({ home, env: { ...scene.env, PINCH_PORT: String(port) } });
    await page.reload();
    await buttons().first().waitFor();
    expect(await buttons().allInnerTexts()).toEqual(['Green', 'Black']);
    scene.model.push({ text: 'Black it is.' });
    await page.getByRole('button', { name: 'Black' }).click();
    await shows('Black it is.');
    expect(await buttons().count()).toBe(0);
    expect(JSON.stringify(scene.model.requests.at(-1)?.body?.messages.at(-1))).toMatch(/Which tea.*Black/);
  });

  test('a file that the agent sends is named where it lies', async () => {
    scene.model.push(
      bash("printf '%%PDF-1.7' > report.pdf"),
      use('send_file', { path: 'report.pdf', caption: 'the **report**' }),
      {
        text: 'Sent.',
      },
    );
    await write('send me the report');
    await shows('Sent.');
    await shows('report.pdf');
    expect(await page.locator('.message.out strong', { hasText: 'report' }).count()).toBe(1);
    expect(readFileSync(join(scene.daemon.home, 'groups/main/report.pdf'), 'utf8')).toBe('%PDF-1.7');
  });
});
