// The chat page in a real browser (Chromium), on a real server, store and intake. The test plays the assistant.
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { qrForPage } from '../../src/core/qr.js';
import { markdownToSafeHtml } from '../../src/markdown/format.js';
import { executablePath, flags } from './browser.js';
import { type PageFixture, startPageFixture } from './page-fixture.js';

describe.skipIf(!executablePath)('the chat page', () => {
  let browser: Browser;
  let context: BrowserContext;
  let home: PageFixture;
  let page: Page;
  /** What must never happen: code of a message ran, or the page itself broke. */
  let faults: string[];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: flags });
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    faults = [];
    home = await startPageFixture({ markdownToSafeHtml });
    context = await browser.newContext();
    context.setDefaultTimeout(10_000);
    page = await newPage();
  });
  afterEach(async () => {
    await context.close();
    await home.close();
    expect(faults).toEqual([]);
  });

  async function newPage(): Promise<Page> {
    const made = await context.newPage();
    made.on('pageerror', (error) => faults.push(`page error: ${error.message}`));
    made.on('dialog', (dialog) => {
      faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    return made;
  }

  async function logIn(): Promise<void> {
    await page.goto(`${home.url}/#token=${home.token}`);
    await page.locator('#conversation:not([aria-busy])').waitFor({ state: 'attached' });
  }

  const bubbles = () => page.locator('.message .text');
  const texts = () => bubbles().allInnerTexts();
  const input = () => page.getByLabel('Message', { exact: true });
  async function write(text: string): Promise<void> {
    await input().fill(text);
    await input().press('Enter');
  }
  const shows = (...expected: string[]) => expect.poll(texts).toEqual(expected);
  const stored = () => home.store.messages.latest(home.webChat().id, 100).map((message) => message.text);

  test('the printed link signs in, leaves the address bar and is not needed again', async () => {
    await logIn();
    expect(page.url()).toBe(`${home.url}/`);
    await expect.poll(() => page.title()).toBe('Pinch');
    expect(await page.evaluate('document.cookie')).toBe('');
    await page.goto(home.url);
    await page.locator('#conversation:not([aria-busy])').waitFor({ state: 'attached' });
  });

  test.each([
    '/',
    '/#token=wrong',
    '/?token=wrong',
  ])('without the right token (%s) it says where the link is', async (path) => {
    await page.goto(home.url + path);
    await page.getByRole('heading', { name: 'This page needs its link' }).waitFor();
    expect(await page.getByText('npm run -s pinch -- status').count()).toBe(1);
    expect(await input().count()).toBe(0);
  });

  test('a message is shown once, its reply arrives by itself, and a reload keeps both', async () => {
    await logIn();
    await write('What is the time?');
    await shows('What is the time?');
    expect(await input().inputValue()).toBe('');
    await expect.poll(() => page.locator('#pending .message').count()).toBe(0);
    home.reply('It is **noon**.');
    await shows('What is the time?', 'It is noon.');
    await page.reload();
    await shows('What is the time?', 'It is noon.');
    expect(await page.locator('.message.out strong').textContent()).toBe('noon');
    expect(stored()).toEqual(['What is the time?', 'It is **noon**.']);
  });

  test('buttons answer when pressed, once, on every open page, and stay used after a reload', async () => {
    await logIn();
    await write('what is there?');
    await shows('what is there?');
    const other = await newPage();
    await other.goto(home.url);
    const labels = ['Tea', '<img src=x onerror=alert(1)>'];
    home.reply(
      'Which?',
      labels.map((label, index) => ({ label, value: `choice:${index + 1}` })),
    );
    const buttons = page.getByRole('group', { name: 'Answers' }).getByRole('button');
    await expect.poll(() => buttons.allInnerTexts()).toEqual(labels);
    await other.getByRole('button', { name: 'Tea' }).waitFor();
    // The answer is lost: the button can be pressed again, and what was stored counts once.
    await page.route('**/api/chat/press', async (route) => {
      await route.fetch();
      await route.abort();
      await page.unroute('**/api/chat/press');
    });
    await buttons.first().dblclick();
    await shows('what is there?', 'Which?', 'Tea');
    await expect.poll(() => buttons.count()).toBe(0);
    await expect.poll(() => other.getByRole('button', { name: 'Tea' }).count()).toBe(0);
    expect(stored()).toEqual(['what is there?', 'Which?', 'Tea']);
    await page.reload();
    await shows('what is there?', 'Which?', 'Tea');
    expect(await buttons.count()).toBe(0);
  });

  test('two open pages show the same conversation', async () => {
    await logIn();
    const other = await context.newPage();
    await other.goto(home.url);
    await other.locator('#conversation:not([aria-busy])').waitFor({ state: 'attached' });
    await write('hello from the first');
    await expect.poll(() => other.locator('.message .text').allInnerTexts()).toEqual(['hello from the first']);
    await shows('hello from the first');
  });

  test('Shift+Enter starts a line; the text is sent as it was typed', async () => {
    await logIn();
    await input().pressSequentially('one');
    await input().press('Shift+Enter');
    await input().pressSequentially('<b>two</b>');
    await input().press('Enter');
    await expect.poll(() => home.store.groups.chatByAddress('web', 'owner')).toBeDefined();
    await expect.poll(stored).toEqual(['one\n<b>two</b>']);
    await shows('one\n<b>two</b>');
    expect(await page.locator('.message.in b').count()).toBe(0);
  });

  test('an empty page offers examples, and one click sends one', async () => {
    await logIn();
    expect(await page.locator('#examples button').allInnerTexts()).toEqual([
      'Remember that my favourite tea is Assam',
      'What do you remember?',
      'Run: ls -la',
      'help',
    ]);
    await page.getByRole('button', { name: 'What do you remember?' }).click();
    await shows('What do you remember?');
    expect(await page.locator('#empty').isVisible()).toBe(false);
    await expect.poll(stored).toEqual(['What do you remember?']);
  });

  test('while a run works it says so, and Stop asks to end it', async () => {
    await logIn();
    await write('sleep a while');
    await page.getByText('Waiting to start…').waitFor();
    const { run } = home.work();
    await page.getByText('Pinch is working…').waitFor();
    const aborted = new Promise((resolve) => home.signals.once('run:stopped', resolve));
    await page.getByRole('button', { name: 'Stop' }).click();
    expect(await aborted).toBe(run.id);
  });

  test('the line disappears when the run has ended, also for a page that was reloaded meanwhile', async () => {
    await logIn();
    await write('work');
    await page.getByText('Waiting to start…').waitFor();
    const { end } = home.work();
    await page.reload();
    await page.getByText('Pinch is working…').waitFor();
    end('done');
    await page.locator('#working').waitFor({ state: 'hidden' });
  });

  test('nothing typed is lost while the connection is: the draft stays, messages are sent once it is back, missed ones appear', async () => {
    await logIn();
    await write('before');
    await expect.poll(() => page.locator('#pending .message').count()).toBe(0);
    await home.down();
    await page.getByText('Connection lost.').waitFor();
    await write('typed offline 1');
    await write('typed offline 2');
    await input().fill('half a thou');
    await shows('before', 'typed offline 1', 'typed offline 2');
    const missed = home.reply('said meanwhile');
    await home.up();
    await shows('before', 'said meanwhile', 'typed offline 1', 'typed offline 2');
    await page.getByText('Connection lost.').waitFor({ state: 'hidden' });
    await expect.poll(() => page.locator('#pending .message').count()).toBe(0);
    expect(stored()).toEqual(['before', 'said meanwhile', 'typed offline 1', 'typed offline 2']);
    expect(home.store.messages.get(missed)?.text).toBe('said meanwhile');
    await page.reload();
    await shows('before', 'said meanwhile', 'typed offline 1', 'typed offline 2');
    expect(await input().inputValue()).toBe('half a thou');
  });

  test('when the token was replaced it becomes the page that tells how to sign in', async () => {
    await logIn();
    await home.down();
    home.deps.token = 'another-token-of-the-owner';
    await home.up();
    await page.getByRole('heading', { name: 'This page needs its link' }).waitFor();
  });

  test('a message the server could not store is tried again until it can', async () => {
    await logIn();
    let tries = 0;
    await page.route('**/api/chat', (route) => {
      tries += 1;
      return tries < 3 ? route.fulfill({ status: 500, json: {} }) : route.continue();
    });
    await write('the disk was full');
    await expect.poll(() => page.locator('#pending .message').count()).toBe(0);
    await shows('the disk was full');
    expect(stored()).toEqual(['the disk was full']);
  });

  test('what changes is shown at once, without anybody asking', async () => {
    await logIn();
    await page.locator('#channels li.open', { hasText: 'telegram' }).waitFor();
    home.state.status.channels = [{ name: 'telegram', state: 'blocked', detail: 'the token is wrong' }];
    home.signals.emit('channel', 'telegram');
    await page.getByText('telegram: the token is wrong').waitFor();
    home.state.status.channels = [{ name: 'telegram', state: 'open', detail: '@pinch_bot' }];
    home.signals.emit('channel', 'telegram');
    await page.getByText('telegram: the token is wrong').waitFor({ state: 'hidden' });
  });

  test('after a backup was restored the page shows what the restored history holds', async () => {
    await logIn();
    await write('younger than the backup');
    await expect.poll(() => page.locator('#pending .message').count()).toBe(0);
    await input().fill('half a thou');
    await home.down();
    await page.getByText('Connection lost.').waitFor();
    const restored = await startPageFixture({ markdownToSafeHtml });
    try {
      restored.intake.receiveFromPage('older than the backup');
      // Another process on the same port and token, as a restart is; its store knows less.
      restored.deps.token = home.token;
      restored.deps.status = () => ({ ...restored.state.status, startedAt: home.state.status.startedAt + 60_000 });
      await restored.down();
      await restored.up(home.port);
      // Its list of sessions is as old as the rest of it.
      await page.getByRole('heading', { name: 'This page needs its link' }).waitFor();
      await logIn();
      await shows('older than the backup');
      expect(await input().inputValue()).toBe('half a thou');
    } finally {
      await restored.close();
    }
  });

  test('a message whose answer was lost on the way is stored once, also after closing the page', async () => {
    await logIn();
    // It reaches the server; the browser never learns of it.
    let reached = 0;
    await page.route('**/api/chat', async (route) => {
      await route.fetch();
      reached += 1;
      await route.abort();
    });
    await write('only once');
    await expect.poll(() => reached).toBe(1);
    await page.close();
    page = await newPage();
    await page.goto(home.url);
    await shows('only once');
    await expect
      .poll(() => page.evaluate('Object.keys(localStorage).filter((k) => k.includes("unsent")).length'))
      .toBe(0);
    expect(stored()).toEqual(['only once']);
  });

  test('a message that is refused can be edited, and is not lost by a reload', async () => {
    await logIn();
    const long = 'x'.repeat(100_001);
    await write(long);
    await page.getByText('Not sent:').waitFor();
    await page.reload();
    await page.getByText('Not sent:').waitFor();
    await page.getByRole('button', { name: 'Edit' }).click();
    expect(await input().inputValue()).toBe(long);
    await write('shorter');
    await shows('shorter');
    await page.reload();
    await shows('shorter');
  });

  test('new messages are followed only by a reader who is at the end', async () => {
    await logIn();
    await write('go');
    await expect.poll(stored).toEqual(['go']);
    const atEnd = () => page.evaluate('scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 5');
    for (let n = 0; n < 40; n += 1) home.reply(`${'line '.repeat(200)}${'!'.repeat(n)}`);
    await expect.poll(() => bubbles().count()).toBe(41);
    await expect.poll(atEnd).toBe(true);
    await page.locator('#scroller').evaluate((element) => element.scrollTo(0, 0));
    home.reply('the newest');
    await page.getByRole('button', { name: 'New messages' }).click();
    await expect.poll(atEnd).toBe(true);
    expect(await page.getByRole('button', { name: 'New messages' }).isVisible()).toBe(false);
  });

  test('what keeps messages from being answered is said, and the emergency stop can be ended here', async () => {
    home.state.status.stopped = true;
    home.state.status.engine = { state: 'down', detail: 'cannot connect to /var/run/docker.sock' };
    home.state.status.backend = 'demo';
    home.state.status.channels = [{ name: 'telegram', state: 'blocked', detail: 'the token is wrong' }];
    await logIn();
    const banners = page.locator('#banners');
    await banners.getByText('Emergency stop').waitFor();
    const text = await banners.innerText();
    for (const part of ['Docker is not available', 'Demo model', 'the token is wrong']) expect(text).toContain(part);
    expect(await page.locator('#model').textContent()).toBe('demo model');
    await page.getByRole('button', { name: 'Resume' }).click();
    await banners.getByText('Emergency stop').waitFor({ state: 'hidden' });
    expect(home.state.status.stopped).toBe(false);
  });

  test('a channel that waits for a phone shows what to scan, until it is linked', async () => {
    const qr = '2@abc,def,ghi,jkl';
    const waiting = { name: 'whatsapp', state: 'linking' as const, detail: 'scan the QR code with the phone' };
    home.state.status.channels = [{ ...waiting, link: { qr }, qrImage: qrForPage(qr) }];
    await logIn();
    const code = page.getByRole('img', { name: 'QR code for whatsapp' });
    await code.waitFor();
    const { width = 0, height = 0 } = (await code.boundingBox()) ?? {};
    expect(Math.min(width, height)).toBeGreaterThan(150);
    expect(await page.locator('#linking').innerText()).toContain('scan the QR code with the phone');
    home.state.status.channels = [{ name: 'whatsapp', state: 'open', detail: '+491700000000' }];
    home.signals.emit('channel', 'telegram');
    await code.waitFor({ state: 'detached' });
  });

  const hostile = [
    '<img src="x" onerror="alert(1)">',
    '<script>alert(2)</script>',
    '<a href="javascript:alert(3)">plain link</a>',
    '[Markdown link](javascript:alert(4))',
    '<svg onload="alert(5)"></svg><iframe srcdoc="<script>alert(6)</script>"></iframe>',
    '<form action="https://evil.example"><button>press</button></form>',
    '<style>body { display: none }</style><base href="https://evil.example/">',
    '<details open ontoggle="alert(7)">x</details>',
  ].join('\n\n');

  /** Clicks whatever a reply offers; a link opens a tab, which must not run code either. */
  async function poke(): Promise<void> {
    context.on('page', (tab) => tab.on('dialog', (dialog) => faults.push(`dialog in a new tab: ${dialog.message()}`)));
    for (const target of await page.locator('.message.out a, .message.out form button').all()) {
      await target.click({ noWaitAfter: true });
    }
    await page.evaluate('new Promise((done) => setTimeout(done, 300))');
  }

  test('a hostile reply is shown as text: nothing of it runs, and no link leads to code', async () => {
    await logIn();
    await write('show me');
    await shows('show me');
    home.reply(hostile);
    await expect.poll(() => page.locator('.message.out').count()).toBe(1);
    await poke();
    const text = await page.locator('.message.out').textContent();
    for (const part of ['<img src="x"', '<script>', 'Markdown link']) expect(text).toContain(part);
    const planted = '.message.out :is(img, script, svg, iframe, form, style, base, details, a)';
    expect(await page.locator(planted).count()).toBe(0);
  });

  test('even a reply that came through unescaped runs nothing and sends nothing out', async () => {
    await home.close();
    home = await startPageFixture({ markdownToSafeHtml: (text) => text });
    await logIn();
    await write('show me');
    await shows('show me');
    home.reply(hostile);
    await expect.poll(() => page.locator('.message.out').count()).toBe(1);
    await poke();
    expect(page.url()).toBe(`${home.url}/`);
    expect(await page.locator('body').isVisible()).toBe(true);
  });
});
