// browser_*: a Chromium in the container that the agent sees as text. One for all sessions, one page for each; it goes when nobody has
// used it for five minutes. Added by the skill add-browser.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { resolvePath } from '@anthropic-ai/sdk/tools/agent-toolset/node';
import * as z from 'zod';
import { systemClock } from '../../../../src/core/clock.js';
import { describeError } from '../../../../src/core/errors.js';
import type { RunContext, Tool } from '../context.js';
import { attributes } from '../prompt.js';
import { cleanOutput, escapeXml, head } from '../text.js';
import { openPage, type Page, type PageView } from './browser-page.js';
import { type Browser, findProgram, networkFlags, startBrowser } from './browser-process.js';

const IDLE_MS = 5 * 60_000;
const MAX_CHARS = 20_000;
const NO_NETWORK =
  'files of the workspace and servers inside the container can be opened, other sites only where the owner allowed the host (`curl -sSI <url>` shows the refusal)';

interface Shared {
  browser: Browser;
  /** By session. */
  pages: Map<string, Page>;
  idle: { cancel(): void };
}

/** A run ends, the browser stays: it belongs to what starts the runner's processes, of which there is one. */
const started = new WeakMap<RunContext['processes'], Shared>();

function start({ processes, client }: RunContext): Shared {
  const program = findProgram();
  if (program === undefined)
    throw new Error('there is no Chromium here: the image was built before add-browser was applied');
  const pages = new Map<string, Page>();
  const browser = startBrowser(program, networkFlags(new URL(client.baseURL).port), (event) => {
    for (const page of pages.values()) page.on(event);
  });
  const shared: Shared = { browser, pages, idle: { cancel: () => undefined } };
  started.set(processes, shared);
  void browser.ended.then(() => {
    shared.idle.cancel();
    if (started.get(processes) === shared) started.delete(processes);
  });
  return shared;
}

/** The session's page, which `browser_open` makes when there is none. */
async function pageOf(context: RunContext, mayOpen: boolean): Promise<Page> {
  const { processes, run } = context;
  const found = started.get(processes);
  if (!mayOpen && !found?.pages.has(run.session)) throw new Error('no page is open: use browser_open');
  const shared = found ?? start(context);
  shared.idle.cancel();
  shared.idle = systemClock.at(systemClock.now() + IDLE_MS, () => void shared.browser.close());
  const page = shared.pages.get(run.session) ?? (await openPage(shared.browser));
  shared.pages.set(run.session, page);
  return page;
}

/** Web addresses as they are; everything else is a file. */
function addressOf(workspace: string, url: string): string {
  if (/^https?:\/\//i.test(url)) return url;
  if (/^[a-z][a-z0-9+.-]*:/i.test(url) && !/^file:\/\/\//i.test(url))
    throw new Error('only http, https and files of the workspace can be opened');
  return /^file:/i.test(url) ? url : pathToFileURL(path.resolve(workspace, url)).href;
}

/** The page as data: it came from outside. */
function shown({ title, url, text, notes }: PageView, offset = 0): string {
  const whole = cleanOutput(text);
  const part = head(whole.slice(offset), MAX_CHARS);
  const end = offset + part.length;
  const more = end < whole.length ? [`[${whole.length} characters; go on with browser_read, offset ${end}]`] : [];
  const body = `${escapeXml(title)}\n\n${escapeXml(part)}`;
  const safeNotes = notes.map((note) => escapeXml(head(cleanOutput(note), 500)));
  return [`<untrusted${attributes({ source: url })}>\n${body}\n</untrusted>`, ...safeNotes, ...more].join('\n');
}

/** browser_open, browser_read, browser_click, browser_type and browser_save of one run. */
export function browserTools(context: RunContext): Tool[] {
  const { workspace } = context.paths;
  const ref = z.int().min(1).describe('The number in brackets, from the page as you saw it last.');
  return [
    betaZodTool({
      name: 'browser_open',
      description: `Open a page in a browser and read it as text, scripts run; what can be used has a number: [3 link], [4 field "Name" = ""]. url: http(s), or a path in the workspace. Note that ${NO_NETWORK}. One page at a time, kept for five minutes.`,
      inputSchema: z.object({ url: z.string().min(1).max(4_000) }),
      run: async ({ url }) => {
        const address = addressOf(workspace, url);
        const page = await pageOf(context, true);
        try {
          return shown(await page.open(address));
        } catch (error) {
          const why = describeError(error);
          throw new Error(/^http/i.test(address) && why.includes('net::') ? `${why}; ${NO_NETWORK}` : why);
        }
      },
    }),
    betaZodTool({
      name: 'browser_read',
      description: 'The open page as it is now; `offset` goes on where a long one was cut.',
      inputSchema: z.object({ offset: z.int().min(0).default(0) }),
      run: async ({ offset }) => shown(await (await pageOf(context, false)).look(), offset),
    }),
    betaZodTool({
      name: 'browser_click',
      description: 'Click on something of the open page and read what it then is.',
      inputSchema: z.object({ ref }),
      run: async (input) => shown(await (await pageOf(context, false)).click(input.ref)),
    }),
    betaZodTool({
      name: 'browser_type',
      description: 'Put a text into a field (replacing what is there) or choose it in a list; submit: press Enter.',
      inputSchema: z.object({ ref, text: z.string().max(20_000), submit: z.boolean().default(false) }),
      run: async (input) => shown(await (await pageOf(context, false)).type(input.ref, input.text, input.submit)),
    }),
    betaZodTool({
      name: 'browser_save',
      description:
        'Save the open page to a file of the workspace: .png a picture of all of it, .pdf printed on A4. With send_file people get it.',
      inputSchema: z.object({ path: z.string().regex(/\.(png|pdf)$/, 'the name must end in .png or .pdf') }),
      run: async (input) => {
        const file = await resolvePath({ workdir: workspace, allowedRoots: [os.tmpdir()] }, input.path);
        const page = await pageOf(context, false);
        const bytes = await (file.endsWith('.png') ? page.picture() : page.pdf());
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file, bytes);
        return `Wrote ${file} (${bytes.length} bytes).`;
      },
    }),
  ];
}
