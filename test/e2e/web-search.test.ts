// The web searched by an agent in a real container, through a service of the owner: what it finds, what it cannot see, what it opens.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type FakeSearch, startFakeSearch } from '../fakes/search.js';
import { HANG_MS } from '../limits.js';
import { newHome } from './harness.js';
import { runOf, type Scene, say, startScene, waitForRun } from './talk.js';

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
