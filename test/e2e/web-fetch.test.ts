// Pages as an agent reads them in a real container, and the wait for the owner when nobody named their host.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { makePdf } from '../../container/agent-runner/src/testing/sites.js';
import { type Site, startSite } from '../../src/egress/testing/sites.js';
import { HANG_MS } from '../limits.js';
import { type Scene, say, startScene, waitForRun } from './talk.js';

let scene: Scene;
let site: Site;
beforeAll(async () => {
  const serve = async (
    _seen: Site['seen'],
    request: { url?: string | undefined },
    response: import('node:http').ServerResponse,
  ) => {
    if (request.url === '/a.pdf') return void response.end(makePdf('Hello from a page'));
    const type = { 'content-type': 'text/html' };
    if (request.url === '/deep') return void response.writeHead(200, type).end(`${'<div>'.repeat(100_000)}core`);
    response.writeHead(200, type).end('<title>Tea</title><h2>How</h2><p>Hot <a href="/more">water</a>.');
  };
  [scene, site] = await Promise.all([startScene(), startSite(serve)]);
  await scene.daemon.api('POST', '/api/egress', { host: 'site.example', ports: [site.port], address: '127.0.0.1' });
});
afterAll(async () => {
  await scene.close();
  site.close();
});

const toolResult = z.object({ type: z.literal('tool_result'), content: z.unknown() });
const openApprovals = z.object({
  body: z.object({ approvals: z.array(z.object({ id: z.number(), subject: z.string() })) }),
});

/** Has the model fetch these in one reply; what it is told of each. `meanwhile` is awaited before the end of the run. */
async function fetched(urls: string[], meanwhile: () => Promise<unknown> = async () => undefined): Promise<string[]> {
  const content = urls.map((url) => ({ type: 'tool_use' as const, name: 'web_fetch', input: { url } }));
  scene.model.push({ content }, { text: 'done' });
  const runId = await say(scene.daemon, 'go');
  await meanwhile();
  await waitForRun(scene.daemon, runId, ['done'], 3 * HANG_MS);
  const last = scene.model.requests.at(-1)?.body?.messages.findLast(({ role }) => role === 'user')?.content;
  const blocks = z.array(z.unknown()).parse(last);
  return blocks.flatMap((block) => toolResult.safeParse(block).data ?? []).map((result) => String(result.content));
}

test(
  'a page, a PDF and a page made to break the reader are read',
  async () => {
    const at = (path: string) => `http://site.example:${site.port}${path}`;
    const [page, pdf, deep] = await fetched([at('/'), at('/a.pdf'), at('/deep')]);
    expect(page).toContain(`title="Tea"`);
    expect(page).toContain(`## How\n\nHot [water](${at('/more')}).`);
    expect(pdf).toContain('Hello from a page');
    expect(deep).toContain('only its text is here');
    expect(deep).toContain('core');
  },
  4 * HANG_MS,
);

test(
  'a fetch waits for the owner, and goes on after the yes',
  async () => {
    const [told] = await fetched(['https://asked.invalid/'], async () => {
      const find = async () =>
        openApprovals
          .parse(await scene.daemon.api('GET', '/api/approvals?state=open'))
          .body.approvals.find(({ subject }) => subject.includes('asked.invalid'));
      await expect.poll(find).toBeDefined();
      await scene.daemon.api('POST', `/api/approvals/${(await find())?.id}`, { decision: 'allow' });
    });
    expect(told).toBe('asked.invalid:443 cannot be reached: there is no such host');
  },
  4 * HANG_MS,
);
