// One page of the browser: opens addresses, reads, clicks, types, saves, and waits until what that started has ended. Knows nothing about
// the model. What a page shows comes from outside: its text is returned as data.
import * as z from 'zod';
import { systemClock } from '../../../../src/core/clock.js';
import type { Browser, BrowserEvent } from './browser-process.js';
import { PAGE_SCRIPT } from './browser-script.js';

const LOAD_LIMIT_MS = 20_000;
/** Time for scripts to begin what a click asks for, and to finish what a load left to them. */
const SETTLE_MS = 300;
const SIZE = { width: 1280, height: 900, deviceScaleFactor: 1, mobile: false };
const MAX_PICTURE_HEIGHT = 8_000;

const none = z.unknown();
const targetEvent = z.object({ targetInfo: z.object({ targetId: z.string(), openerId: z.string().optional() }) });
const frameEvent = z.object({ frameId: z.string() });
const dialogEvent = z.object({ message: z.string() });
const windowEvent = z.object({ url: z.string() });
const evaluated = z.object({
  result: z.object({ value: z.unknown().optional() }),
  exceptionDetails: z.object({ exception: z.object({ description: z.string() }).optional() }).optional(),
});
const view = z.object({ title: z.string(), url: z.string(), text: z.string() });
const base64 = z.object({ data: z.string() });

/** `notes`: what happened beside it since the last look, such as a dialog. */
export type PageView = z.infer<typeof view> & { notes: string[] };
export type Page = Awaited<ReturnType<typeof openPage>>;

/** A page with cookies of its own. Its events come through `on`. */
export async function openPage(browser: Browser) {
  const context = z.object({ browserContextId: z.string() });
  const { browserContextId } = await browser.call('Target.createBrowserContext', { disposeOnDetach: true }, context);
  await browser.call('Browser.setDownloadBehavior', { behavior: 'deny', browserContextId }, none);
  const target = { url: 'about:blank', browserContextId };
  const { targetId } = await browser.call('Target.createTarget', target, z.object({ targetId: z.string() }));
  const attach = { targetId, flatten: true };
  const { sessionId } = await browser.call('Target.attachToTarget', attach, z.object({ sessionId: z.string() }));
  const call = <T>(method: string, params: object, result: z.ZodType<T>) =>
    browser.call(method, params, result, sessionId);
  await call('Page.enable', {}, none);
  await call('Emulation.setDeviceMetricsOverride', SIZE, none);
  const { frameTree } = await call(
    'Page.getFrameTree',
    {},
    z.object({ frameTree: z.object({ frame: z.object({ id: z.string() }) }) }),
  );
  // Chromium keeps the main frame's id for as long as the page lives.
  const frameId = frameTree.frame.id;
  const notes: string[] = [];
  let isLoading = false;

  function on({ method, params, sessionId: from }: BrowserEvent): void {
    if (method === 'Target.targetCreated') {
      const { targetInfo } = targetEvent.parse(params);
      // Nobody looks at a second window; it is named instead.
      if (targetInfo.openerId === targetId)
        void browser.call('Target.closeTarget', { targetId: targetInfo.targetId }, none).catch(() => undefined);
    }
    if (from !== sessionId) return;
    if (method === 'Page.frameStartedLoading' || method === 'Page.frameStoppedLoading') {
      if (frameEvent.parse(params).frameId === frameId) isLoading = method === 'Page.frameStartedLoading';
    } else if (method === 'Page.windowOpen') {
      notes.push(`It wanted to open ${windowEvent.parse(params).url} in a new window: use browser_open for that.`);
    } else if (method === 'Page.javascriptDialogOpening') {
      notes.push(`It showed the dialog "${dialogEvent.parse(params).message}", which was dismissed.`);
      void call('Page.handleJavaScriptDialog', { accept: false }, none).catch(() => undefined);
    }
  }

  async function settle(): Promise<void> {
    const end = systemClock.now() + LOAD_LIMIT_MS;
    do await systemClock.sleep(SETTLE_MS);
    while (isLoading && systemClock.now() < end);
    if (isLoading) notes.push('It is still loading.');
  }

  /** Calls a function of the page script. Throws what it throws. */
  async function ask<T>(expression: string, result: z.ZodType<T>): Promise<T> {
    const world = { frameId, worldName: 'pinch' };
    const id = z.object({ executionContextId: z.number() });
    const { executionContextId: contextId } = await call('Page.createIsolatedWorld', world, id);
    const what = { expression: `${PAGE_SCRIPT}.${expression}`, contextId, returnByValue: true };
    const { result: answer, exceptionDetails } = await call('Runtime.evaluate', what, evaluated);
    if (!exceptionDetails) return result.parse(answer.value);
    const [why = 'the page failed'] = exceptionDetails.exception?.description.split('\n') ?? [];
    throw new Error(why.replace(/^Error: /, ''));
  }

  async function look(): Promise<PageView> {
    const seen = await ask('read()', view);
    return { ...seen, notes: notes.splice(0) };
  }

  /** A page behind another one (of another session, or a window it opened) draws nothing and takes no clicks. */
  const bringToFront = () => call('Page.bringToFront', {}, none);

  async function mouse(at: { x: number; y: number }): Promise<void> {
    for (const type of ['mouseMoved', 'mousePressed', 'mouseReleased'])
      await call('Input.dispatchMouseEvent', { type, ...at, button: 'left', clickCount: 1 }, none);
  }

  async function key(name: string, code: number, text = ''): Promise<void> {
    const common = { key: name, code: name, windowsVirtualKeyCode: code };
    await call('Input.dispatchKeyEvent', { ...common, type: 'keyDown', text }, none);
    await call('Input.dispatchKeyEvent', { ...common, type: 'keyUp' }, none);
  }

  return {
    on,
    look,
    /** Throws Chromium's reason (`net::ERR_…`) when the address cannot be had. */
    async open(url: string): Promise<PageView> {
      notes.length = 0;
      const { errorText } = await call('Page.navigate', { url }, z.object({ errorText: z.string().optional() }));
      if (errorText) throw new Error(errorText);
      await settle();
      return look();
    },
    async click(ref: number): Promise<PageView> {
      await bringToFront();
      const at = await ask(`point(${ref})`, z.object({ x: z.number(), y: z.number() }).nullable());
      if (at) await mouse(at);
      await settle();
      return look();
    },
    /** Replaces what is in the field; in a list chooses. */
    async type(ref: number, text: string, submit: boolean): Promise<PageView> {
      await bringToFront();
      if (!(await ask(`choose(${ref}, ${JSON.stringify(text)})`, z.boolean()))) {
        await ask(`focus(${ref})`, none);
        if (text === '') await key('Delete', 46);
        else await call('Input.insertText', { text }, none);
        if (submit) await key('Enter', 13, '\r');
      }
      await settle();
      return look();
    },
    /** The whole page as PNG, as far as 8,000 pixels down. */
    async picture(): Promise<Buffer> {
      await bringToFront();
      const size = z.object({ cssContentSize: z.object({ width: z.number(), height: z.number() }) });
      const { cssContentSize } = await call('Page.getLayoutMetrics', {}, size);
      const height = Math.min(Math.max(cssContentSize.height, SIZE.height), MAX_PICTURE_HEIGHT);
      const clip = { x: 0, y: 0, width: SIZE.width, height, scale: 1 };
      const what = { format: 'png', captureBeyondViewport: true, clip };
      return Buffer.from((await call('Page.captureScreenshot', what, base64)).data, 'base64');
    },
    /** On A4, with colours; a page's own @page size wins. */
    async pdf(): Promise<Buffer> {
      const what = { printBackground: true, preferCSSPageSize: true, paperWidth: 8.27, paperHeight: 11.69 };
      return Buffer.from((await call('Page.printToPDF', what, base64)).data, 'base64');
    },
  };
}
