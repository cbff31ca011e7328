// The control room in a real browser (Chromium), on a real server and store in which something of everything happened: every page on a desktop
// and a phone, light and dark, looked at by axe. One server and one browser for all of it. PINCH_TEST_SCREENSHOTS=<folder> keeps pictures.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { markdownToSafeHtml } from '../../src/markdown/format.js';
import { HANG_MS } from '../limits.js';
import { executablePath, flags } from './browser.js';
import { type PageFixture, startPageFixture } from './page-fixture.js';
import { type Seeded, seedControlRoom } from './page-seed.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pictures = process.env.PINCH_TEST_SCREENSHOTS;
const violations = z.object({
  violations: z.array(
    z.object({ id: z.string(), nodes: z.array(z.object({ html: z.string(), failureSummary: z.string().optional() })) }),
  ),
});

const looks = [
  { name: 'desktop', viewport: { width: 1280, height: 800 }, colorScheme: 'light' as const },
  { name: 'desktop-dark', viewport: { width: 1280, height: 800 }, colorScheme: 'dark' as const },
  { name: 'phone', viewport: { width: 390, height: 844 }, colorScheme: 'light' as const, hasTouch: true },
  { name: 'phone-dark', viewport: { width: 390, height: 844 }, colorScheme: 'dark' as const, hasTouch: true },
];

describe.skipIf(!executablePath)('the control room', () => {
  let browser: Browser;
  let home: PageFixture;
  let seeded: Seeded;
  const faults: string[] = [];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: flags });
    home = await startPageFixture({ markdownToSafeHtml });
    seeded = seedControlRoom(home);
  });
  afterAll(async () => {
    await browser?.close();
    await home?.close();
  });
  afterEach(() => expect(faults.splice(0)).toEqual([]));

  async function open(look: (typeof looks)[number] | undefined, path = '/settings'): Promise<Page> {
    const { name: _, ...options } = look ?? looks[0] ?? { name: '' };
    const context = await browser.newContext({ ...options, bypassCSP: true });
    context.setDefaultTimeout(HANG_MS);
    const page = await context.newPage();
    page.on('pageerror', (error) => faults.push(`page error: ${error.message}`));
    page.on('dialog', (dialog) => void dialog.accept());
    page.on('response', (answer) => answer.status() >= 400 && faults.push(`${answer.status()} ${answer.url()}`));
    await page.goto(`${home.url}${path}#token=${home.token}`);
    await isShown(page);
    return page;
  }
  const isShown = (page: Page) =>
    page.locator(':is(#main, #conversation):not([aria-busy])').waitFor({ state: 'attached' });
  const go = async (page: Page, path: string) => {
    await page.goto(home.url + path);
    await isShown(page);
  };
  const close = (page: Page) => page.context().close();

  async function wrongOf(page: Page): Promise<string[]> {
    await page.evaluate(axe);
    const found = violations.parse(await page.evaluate('axe.run()'));
    return found.violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary = '' }) => `${id}: ${html.slice(0, 200)} ${failureSummary.slice(0, 300)}`),
    );
  }
  const sideways = 'document.documentElement.scrollWidth > document.documentElement.clientWidth';

  const places = () => [
    ...[
      '/',
      '/runs',
      `/runs/${seeded.done}`,
      `/runs/${seeded.dead}`,
      `/runs/${seeded.working}`,
      '/approvals',
      '/tasks',
    ],
    ...[`/tasks/${seeded.brief}`, `/tasks/${seeded.often}`, '/costs', '/memory', '/groups', '/health', '/settings'],
  ];

  test.each(looks)('every page on $name: axe finds nothing, nothing sticks out at the side', async (look) => {
    const page = await open(look);
    const wrong: string[] = [];
    for (const path of places()) {
      await go(page, path);
      await page.evaluate("for (const one of document.querySelectorAll('#main details')) one.open = true");
      wrong.push(...(await wrongOf(page)).map((text) => `${path} ${text}`));
      if (await page.evaluate(sideways)) wrong.push(`${path} is wider than the screen`);
      if (!pictures) continue;
      await page.evaluate("for (const one of document.querySelectorAll('#main details')) one.open = false");
      const name = `${look.name}${path.replaceAll('/', '-')}.png`;
      await page.screenshot({ path: join(pictures, name), fullPage: path !== '/' });
    }
    await close(page);
    expect(wrong).toEqual([]);
  });
});
