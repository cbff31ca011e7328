// The web searched by an agent in a real container, through a service of the owner: what it finds, what it cannot see, what it opens.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type FakeSearch, startFakeSearch } from '../fakes/search.js';
import { HANG_MS } from '../limits.js';
import { newHome, startDaemon } from './harness.js';
import { KEY as MODEL_KEY, nthReply, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

const KEY = 'canary-search-0123456789';
let scene: Scene;
let engine: FakeSearch;

beforeAll(async () => {
  const home = newHome();
  engine = await startFakeSearch('tavily', KEY);
  engine.found = [{ title: 'Tea', url: 'https://found.invalid/tea', snippet: 'hot water', date: '2026-11-02' }];
  const service = { kind: 'http', url: engine.url, auth: { bearer: 'TAVILY_KEY' }, groups: ['main'], search: 'tavily' };
  writeFileSync(join(home, 'services.json'), JSON.stringify({ tavily: service }), { mode: 0o600 });
  writeFileSync(join(home, '.env'), `TAVILY_KEY=${KEY}\n`, { mode: 0o600 });
  scene = await startScene({ daemon: { home } });
});
afterAll(async () => {
  await scene.close();
  await engine.close();
});

const spent = z.object({ today: z.object({ costMicroUsd: z.number() }) });
const toolResult = z.object({ type: z.literal('tool_result'), content: z.unknown() });

/** Has the model call this tool; what it is told, and the run's timeline. */
async function called(name: string, input: Record<string, unknown>) {
  scene.model.push({ content: [{ type: 'tool_use', name, input }] }, { text: 'done' });
  const runId = await say(scene.daemon, 'please look');
  await waitForRun(scene.daemon, runId, ['done'], 3 * HANG_MS);
  const last = scene.model.requests.at(-1)?.body?.messages.findLast(({ role }) => role === 'user')?.content;
  const [result] = z.array(z.unknown()).parse(last);
  return { text: String(toolResult.parse(result).content), events: (await runOf(scene.daemon, runId)).events };
}

test(
  'a search goes through the service; a page it found still needs the owner',
  async () => {
    const { text, events } = await called('web_search', { query: 'how to make tea' });
    expect(text).toBe(
      '<untrusted source="tavily" query="how to make tea">\n1. Tea\n   https://found.invalid/tea\n   2026-11-02 · hot water\n</untrusted>',
    );
    expect(engine.queries).toEqual(['how to make tea']);
    const [call] = events.filter(({ kind }) => kind === 'service');
    expect(call?.detail).toMatchObject({ service: 'tavily', method: 'POST', path: '/search', verdict: 'allowed' });
    const bytes = scene.model.requests.map(({ raw }) => raw.toString()).join('\n');
    expect(bytes).not.toContain(KEY);
    expect(bytes).not.toContain('There is no web search');
    const shell = await called('bash', {
      command: 'curl -sS -o /dev/null https://found.invalid/tea; env; cat /proc/*/environ',
    });
    expect(shell.text).toContain('CONNECT tunnel failed, response 403');
    expect(shell.text).not.toContain(KEY);
  },
  6 * HANG_MS,
);

test(
  "the search of the model's provider, where the owner switched it on: what it found marks the conversation, and is paid for",
  async () => {
    const env = { ANTHROPIC_BASE_URL: scene.model.url, ANTHROPIC_API_KEY: MODEL_KEY, PINCH_WEB_SEARCH: 'model' };
    const daemon = await startDaemon({ env });
    try {
      const id = 'srvtoolu_1';
      const found = [{ url: 'https://found.invalid/tea', title: 'Tea' }];
      const search = { type: 'server_tool_use' as const, id, query: 'tea' };
      const result = { type: 'web_search_tool_result' as const, id, found };
      scene.model.push(
        { content: [search], stopReason: 'pause_turn' },
        { content: [result, { type: 'text', text: 'Hot.', cites: 'https://found.invalid/tea' }] },
      );
      const before = scene.model.requests.length;
      const runId = await say(daemon, 'how is tea?');
      await waitForRun(daemon, runId, ['done'], 3 * HANG_MS);
      expect(scene.model.rejections()).toEqual([]);
      const [first] = scene.model.requests.slice(before);
      expect(first?.body?.tools?.filter(({ name }) => name === 'web_search')).toMatchObject([{ max_uses: 5 }]);
      expect(await nthReply(daemon, 1)).toBe('Hot.\n\nSources:\n- <https://found.invalid/tea>');
      const { body: costs } = await daemon.api('GET', '/api/costs');
      expect(spent.parse(costs).today.costMicroUsd).toBeGreaterThan(10_000);
      await daemon.api('POST', '/api/chat', { text: '/taint' });
      expect(await nthReply(daemon, 2)).toContain('a web search of the model');
    } finally {
      await daemon.kill('SIGTERM');
    }
  },
  6 * HANG_MS,
);
