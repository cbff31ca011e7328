// Approvals and sites on the page in a real browser (Chromium), with real approvals, rules and delivery behind them.
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { web } from '../../src/channels/web.js';
import { PinchError } from '../../src/core/errors.js';
import { startDelivery } from '../../src/delivery/delivery.js';
import { createOutboxFiles } from '../../src/delivery/files.js';
import { markdownToSafeHtml } from '../../src/markdown/format.js';
import { createChannelHost } from '../fakes/channel-host.js';
import { HANG_MS } from '../limits.js';
import { executablePath, flags } from './browser.js';
import { type PageFixture, startPageFixture } from './page-fixture.js';

const HOSTILE = [
  '<img src="x" onerror="alert(1)"><script>alert(2)</script>',
  '```',
  '[Yes](javascript:alert(3)) <button id="approve">Yes</button>',
  '\u202e olleh \u2066 \u200b',
  '</code></pre></article><style>* { display: none }</style>',
].join('\n');

describe.skipIf(!executablePath)('approvals and sites on the page', () => {
  let browser: Browser;
  let context: BrowserContext;
  let home: PageFixture;
  let page: Page;
  let faults: string[];
  let stopDelivery: () => Promise<void>;
  let askToShout: (what: string) => number;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: flags });
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    faults = [];
    home = await startPageFixture({ markdownToSafeHtml });
    stopDelivery = deliver().stop;
    const ask = home.approvals.kind({
      ...{ name: 'shout', input: z.object({ what: z.string() }), maxOpen: 20 },
      carryOut({ what }) {
        if (what === 'impossible') throw new PinchError('gone', 'nobody is there');
        return `Shouted ${what}.`;
      },
    });
    askToShout = (what) => ask({ groupId: null, subject: `shout ${what}`, always: 'for `ever`', input: { what } }).id;
    context = await browser.newContext();
    context.setDefaultTimeout(HANG_MS);
    page = await context.newPage();
    page.on('pageerror', (error) => faults.push(`page error: ${error.message}`));
    page.on('dialog', (dialog) => {
      faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    home.intake.receiveFromPage('hello');
    await page.goto(`${home.url}/#token=${home.token}`);
    await page.locator('#conversation:not([aria-busy])').waitFor({ state: 'attached' });
  });
  afterEach(async () => {
    await context.close();
    await stopDelivery();
    await home.close();
    expect(faults).toEqual([]);
  });

  /** Sends to whatever channel a chat is on. */
  function deliver() {
    const { store, dataDir } = home;
    const channel = web.create({}, createChannelHost().deps);
    return startDelivery({
      ...{ store, clock: home.deps.clock, log: home.deps.log, config: { assistantName: 'Pinch' } },
      ...{ outboxFiles: createOutboxFiles(dataDir), notifyOwner: () => undefined, channel: () => channel },
      ...{ isBlocked: () => false, states: () => [], ownerChat: home.webChat },
    });
  }

  /** As the agent of the web chat asks to write to the family. Returns the family's chat. */
  function askToSend(text: string): number {
    const { store } = home;
    const [run] = store.runs.list('ready', 1);
    const seen = {
      channel: 'telegram',
      address: '-5',
      kind: 'group' as const,
      title: '<b>Family</b> \u202e*x*',
      now: 1,
    };
    const chat = store.groups.seenChat(seen);
    store.groups.assignChat(chat.id, store.groups.ensure('family', false, 1).id);
    if (!run) throw new Error('there is no run');
    const link = { groupId: run.groupId, startedAt: 0, onWork: () => undefined };
    const message = { chat: store.groups.chat(chat.id) ?? chat, name: `${chat.id}`, text };
    home.approvals.askToSend(link, run, message);
    return chat.id;
  }

  const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true });
  const openPanel = () => button(/^Approvals/).click();
  const cards = () => page.locator('.approval');
  const count = () => page.locator('#approvals-count');
  const decided = () => page.locator('#approvals-decided li');
  const state = (id: number) => home.store.approvals.get(id)?.state;

  test('one appears without a reload, is answered by a click, and the message goes out', async () => {
    const chatId = askToSend('See you at eight.');
    await expect.poll(() => count().textContent()).toBe('1');
    await openPanel();
    await cards().getByText('See you at eight.').waitFor();
    expect(home.store.messages.latest(chatId, 5)).toEqual([]);
    expect(await button('Always, approval 1').count()).toBe(0);
    await button('Yes, approval 1').click();
    await cards().getByText('Yes, and it is done. The message goes to').waitFor();
    await decided().getByText('by the owner, on the page').waitFor();
    await expect.poll(() => count().textContent()).toBe('');
    await expect
      .poll(() => home.store.messages.latest(chatId, 5).map(({ text }) => text))
      .toEqual(['See you at eight.']);
  });

  test('what is answered, asked for or over elsewhere moves nothing in the open panel', async () => {
    const ids = ['one', 'two', 'three'].map(askToShout);
    await openPanel();
    await expect.poll(() => cards().count()).toBe(3);
    const order = () => cards().locator('h3').allInnerTexts();
    home.approvals.decide(ids[0] ?? 0, { decision: 'deny', by: 'the owner, in Telegram' });
    // No message comes with it: only the signal of the approval tells the page.
    await cards().nth(0).getByText('no.', { exact: true }).waitFor();
    askToShout('four');
    await cards().nth(3).getByText('shout four').waitFor();
    expect(await order()).toEqual(['1: shout one', '2: shout two', '3: shout three', '4: shout four']);
    expect(await cards().nth(0).getByRole('button').count()).toBe(0);
    await button('Close').click();
    await openPanel();
    await expect.poll(() => cards().count()).toBe(3);
  });

  test('a card in the chat loses its buttons when it is answered elsewhere', async () => {
    const ids = ['one', 'two'].map(askToShout);
    const buttons = page.locator('.message .buttons');
    await expect.poll(() => buttons.count()).toBe(2);
    home.approvals.decide(ids[0] ?? 0, { decision: 'deny', by: 'the owner, in Telegram' });
    await expect.poll(() => buttons.count()).toBe(1);
    await page.reload();
    await page.locator('#conversation:not([aria-busy])').waitFor({ state: 'attached' });
    expect(await buttons.count()).toBe(1);
    home.approvals.decide(ids[1] ?? 0, { decision: 'allow', by: 'the owner, in Telegram' });
    await expect.poll(() => buttons.count()).toBe(0);
  });

  test('it works by keyboard: Always, then Escape; a second Enter answers nothing else', async () => {
    const [first = 0, second = 0] = ['one', 'two'].map(askToShout);
    await button(/^Approvals/).focus();
    await page.keyboard.press('Enter');
    await button(`Always, approval ${first}`).focus();
    await page.keyboard.press('Enter');
    await cards().nth(0).getByText('Shouted one.').waitFor();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.ariaLabel')).toBe(`Yes, approval ${second}`);
    await page.keyboard.press('Escape');
    expect(await page.locator('#approvals').isVisible()).toBe(false);
    expect([state(first), state(second)]).toEqual(['done', 'open']);
  });

  test('what cannot be done says why, and what to do', async () => {
    const [first = 0, second = 0] = ['impossible', 'later'].map(askToShout);
    await openPanel();
    await button(`Yes, approval ${first}`).click();
    await cards().nth(0).getByText('but it failed. nobody is there').waitFor();
    home.state.status.stopped = true;
    await button(`Yes, approval ${second}`).click();
    await cards().nth(1).getByText('everything is stopped: `resume` ends that').waitFor();
    expect(await button(`Yes, approval ${second}`).isEnabled()).toBe(true);
    await page.route('**/api/approvals/*', (route) => route.abort());
    await button(`No, approval ${second}`).click();
    await cards().nth(1).getByText('Pinch does not answer.').waitFor();
    expect(state(second)).toBe('open');
  });

  test('a strange text does nothing, hides nothing and looks like no part of the card, on a phone too', async () => {
    await page.setViewportSize({ width: 320, height: 640 });
    askToSend(`${HOSTILE}\n${'w'.repeat(3_000)}\n${'line\n'.repeat(500)}the end`);
    await openPanel();
    await cards().getByText('the end').waitFor();
    expect(await cards().locator(':is(img, script, style, iframe, a, b)').count()).toBe(0);
    expect(await cards().getByRole('button').count()).toBe(2);
    const text = await cards().locator('pre').innerText();
    for (const part of ['<script>alert(2)</script>', '\\u202e olleh \\u2066 \\u200b', '</article>'])
      expect(text).toContain(part);
    expect(await cards().innerText()).not.toMatch(/[\u202e\u2066\u200b]/);
    const sideways =
      '[...document.querySelectorAll(".approval, .approval pre, body, #approvals, header")].filter((e) => e.scrollWidth > e.clientWidth + 1).length';
    expect(await page.evaluate(sideways)).toBe(0);
  });

  test('sites: the mode of a group, rules for one and for all, removed again; errors are shown', async () => {
    home.store.groups.ensure('family', false, 1);
    await page.locator('#session summary').click();
    await button('Sites').click();
    await page.getByLabel('What family reaches', { exact: true }).selectOption('listed');
    await button('Set what family reaches').click();
    await page.getByText('Done.').waitFor();
    expect((await home.api('GET', '/api/groups')).body).toMatchObject({
      groups: [
        { folder: 'main', egressMode: null },
        { folder: 'family', egressMode: 'listed' },
      ],
    });
    await page.locator('#allow-host').fill('https://example.com/x?y');
    await page.locator('#allow-group').selectOption('family');
    await page.locator('#allow').getByRole('button').press('Enter');
    await button('Remove example.com').waitFor();
    await page.locator('#allow-host').fill('pypi');
    await page.locator('#allow-group').selectOption('every group');
    await page.locator('#allow-host').press('Enter');
    await button('Remove files.pythonhosted.org').waitFor();
    expect(home.store.egress.all().map(({ host }) => host)).toEqual([
      'example.com',
      'pypi.org',
      'files.pythonhosted.org',
    ]);
    await page.locator('#allow-host').fill('169.254.169.254');
    await page.locator('#allow-host').press('Enter');
    await page.getByText('is a private or special address').waitFor();
    await button('Remove pypi.org').click();
    await button('Remove pypi.org').waitFor({ state: 'detached' });
    expect(home.store.egress.all()).toHaveLength(2);
  });
});
