import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { eventually } from './harness.js';
import { bash, chatTexts, KEY, nthReply, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
});
afterAll(() => scene.close());

const answer = { text: 'here I am' };
const overloaded = { fault: 529, type: 'overloaded_error' };

describe('whatever the model service does, there is one reply', () => {
  test.each<[string, Parameters<Scene['model']['push']>]>([
    ['429 with retry-after', [{ fault: 429, type: 'rate_limit_error', headers: { 'retry-after': '1' } }, answer]],
    ['500 once', [{ fault: 500, type: 'api_error' }, answer]],
    [
      'an error event in the stream',
      [{ text: 'half of', interrupt: { after: 3, by: 'error', type: 'overloaded_error' } }, answer],
    ],
    ['a cut stream', [{ text: 'half of', interrupt: { after: 3, by: 'cut' } }, answer]],
    ['a stream without an end', [{ text: 'half of', interrupt: { after: 3, by: 'end' } }, answer]],
    ['a fault between two tool calls', [bash('echo one'), { fault: 502, type: 'api_error' }, bash('echo two'), answer]],
    ['529 six times', [overloaded, overloaded, overloaded, overloaded, overloaded, overloaded, answer]],
  ])('%s', async (_name, steps) => {
    const before = (await chatTexts(scene.daemon, 'out')).length;
    scene.model.push(...steps);
    const runId = await say(scene.daemon, 'hello');
    await waitForRun(scene.daemon, runId, ['done']);
    await nthReply(scene.daemon, before + 1);
    expect((await chatTexts(scene.daemon, 'out')).slice(before)).toEqual(['here I am']);
    expect(scene.model.remaining()).toBe(0);
    expect(scene.model.rejections()).toEqual([]);
  });

  test('a long retry-after gives the run back instead of sleeping in it', async () => {
    scene.model.push({ fault: 429, type: 'rate_limit_error', headers: { 'retry-after': '3600' } });
    const runId = await say(scene.daemon, 'hello');
    const { run } = await waitForRun(scene.daemon, runId, ['ready']);
    expect(run.errorClass).toBe('rate_limit');
    await scene.daemon.api('POST', '/api/chat', { text: '/stop' });
    expect((await runOf(scene.daemon, runId)).run.state).toBe('cancelled');
  });
});

describe('a wrong key', () => {
  test('parks the group, tells the owner once, and everything goes on when the key is right', async () => {
    const out = async () => chatTexts(scene.daemon, 'out');
    await eventually(async () => ((await out()).at(-1) === 'Stopped.' ? true : undefined), 'the last test is over');
    const before = (await out()).length;
    scene.model.setKey('another key');
    const first = await say(scene.daemon, 'one');
    await eventually(async () => (await out())[before], 'the notice');
    expect((await out())[before]).toContain('ANTHROPIC_API_KEY');
    expect((await runOf(scene.daemon, first)).run).toMatchObject({ state: 'ready', attempt: 0, errorClass: 'auth' });
    // Asked for again it fails again, and says nothing more.
    await say(scene.daemon, 'two');
    const requests = scene.model.requests.length;
    const groups = z.object({ groups: z.array(z.object({ folder: z.string(), parked: z.string().nullable() })) });
    expect(groups.parse((await scene.daemon.api('GET', '/api/status')).body).groups).toContainEqual(
      expect.objectContaining({ folder: 'main', parked: 'auth' }),
    );
    scene.model.setKey(KEY);
    scene.model.push({ text: 'both' });
    await waitForRun(scene.daemon, first, ['done']);
    await eventually(async () => ((await out()).length >= before + 3 ? true : undefined), 'reply and all-clear');
    expect((await out()).slice(before + 1).sort()).toEqual(['The model answers again; group `main` goes on.', 'both']);
    expect(scene.model.requests.length).toBe(requests + 1);
  });
});

test('the key is in no log line', () => {
  expect(JSON.stringify(scene.daemon.logs)).not.toContain(KEY);
  expect(scene.daemon.stderr()).not.toContain(KEY);
  expect(readFileSync(`${scene.daemon.home}/data/pinch.db`).includes(KEY)).toBe(false);
});
