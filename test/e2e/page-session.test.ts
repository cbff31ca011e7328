// Signing in and out on the page in a real browser (Chromium): who gets the session, and who does not.
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { markdownToSafeHtml } from '../../src/markdown/format.js';
import { executablePath, flags } from './browser.js';
import { type PageFixture, startPageFixture } from './page-fixture.js';

describe.skipIf(!executablePath)('signing in on the page', () => {
  let browser: Browser;
  let home: PageFixture;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: flags });
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    home = await startPageFixture({ markdownToSafeHtml });
    context = await browser.newContext();
    page = await context.newPage();
  });
  afterEach(async () => {
    for (const one of browser.contexts()) await one.close();
    await home.close();
  });

  const follow = (tab: Page) => tab.goto(`${home.url}/#token=${home.token}`);
  const isIn = (tab: Page) => tab.locator('#conversation:not([aria-busy])').waitFor({ state: 'attached' });
  const isOut = (tab: Page) => tab.getByRole('heading', { name: 'This page needs its link' }).waitFor();
  const click = async (tab: Page, name: string) => {
    await tab.locator('#session summary').click();
    await tab.getByRole('button', { name, exact: true }).click();
  };
  const kept = (tab: Page): Promise<string> => tab.evaluate('JSON.stringify(localStorage)');

  test('the link signs in once: the token is neither in the address, nor kept, nor sent where a log would hold it', async () => {
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await follow(page);
    await isIn(page);
    expect(page.url()).toBe(`${home.url}/`);
    await page.reload();
    await isIn(page);
    expect(await context.cookies()).toEqual([]);
    expect(await kept(page)).not.toContain(home.token);
    // Playwright names the part behind the # as well; no server gets it.
    for (const url of asked) expect(url.split('#')[0]).not.toContain(home.token);
  });

  test('the link works in a tab that shows the page already, and a wrong one signs nobody out', async () => {
    await follow(page);
    await isIn(page);
    await page.evaluate('localStorage.removeItem("pinch.session")');
    await follow(page);
    await expect.poll(() => kept(page), { timeout: 10_000 }).toContain('pinch.session');
    await isIn(page);
    await page.goto(`${home.url}/#token=wrong`);
    await expect.poll(() => page.url(), { timeout: 10_000 }).toBe(`${home.url}/`);
    await page.reload();
    await isIn(page);
  });

  test('another port of this machine gets no credential, and reaches nothing with the browser that visits it', async () => {
    await follow(page);
    await isIn(page);
    const got: IncomingMessage[] = [];
    const other = createServer((request, response) => {
      got.push(request);
      response.setHeader('content-type', 'text/html');
      response.end('<title>other</title>');
    }).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? address?.port : 0;
    try {
      const tab = await context.newPage();
      await tab.goto(`http://127.0.0.1:${port}/`);
      expect(await kept(tab)).toBe('{}');
      const reach = `fetch('${home.url}/api/status', {credentials: 'include'}).then(() => 'read', () => 'refused')`;
      expect(await tab.evaluate(reach)).toBe('refused');
      expect(got.length).toBeGreaterThan(0);
      for (const { headers, url } of got) {
        expect([headers.cookie, headers.authorization]).toEqual([undefined, undefined]);
        expect(url).not.toContain('token');
      }
    } finally {
      other.closeAllConnections();
      other.close();
    }
  });

  test('Log out ends this browser at once, in every tab, and leaves nothing typed behind', async () => {
    await follow(page);
    await isIn(page);
    const tab = await context.newPage();
    await tab.goto(home.url);
    await isIn(tab);
    await page.getByLabel('Message', { exact: true }).fill('half a thought');
    const session = await page.evaluate<string>('localStorage.getItem("pinch.session")');
    await click(page, 'Log out');
    await isOut(page);
    await isOut(tab);
    expect(await kept(page)).toBe('{}');
    const headers = { authorization: `Bearer ${session}` };
    expect((await fetch(`${home.url}/api/status`, { headers })).status).toBe(401);
    await page.goto(home.url);
    await isOut(page);
    await follow(page);
    await isIn(page);
  });

  test('Log out everywhere ends a second browser too, while it shows the page', async () => {
    await follow(page);
    await isIn(page);
    const second = await (await browser.newContext()).newPage();
    await follow(second);
    await isIn(second);
    await click(page, 'Log out everywhere');
    await isOut(page);
    await isOut(second);
    await second.goto(home.url);
    await isOut(second);
  });

  test('the text of a message may hold any line separator', async () => {
    await follow(page);
    await isIn(page);
    home.intake.receiveFromPage('go');
    home.reply('one\u2028two\r\n\r\ndata: {"id": 1}\u0085three');
    await page.getByText('three').waitFor();
    expect(await page.locator('.message').count()).toBe(2);
  });
});
