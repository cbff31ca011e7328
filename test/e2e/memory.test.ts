// Memory that can be taken back, with a real container: what a run wrote is shown and undone while the container works and when there is none.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { eventually, startDaemon } from './harness.js';
import { bash, chatTexts, nthReply, type Scene, say, startScene } from './talk.js';

let scene: Scene;
let replies = 0;
beforeAll(async () => {
  scene = await startScene();
});
afterAll(() => scene.close());

const file = (name: string) => join(scene.daemon.home, 'groups/main', name);
const textOf = (name: string) => (existsSync(file(name)) ? readFileSync(file(name), 'utf8') : undefined);

async function work(script: string): Promise<void> {
  scene.model.push(bash(script), { text: 'done' });
  await say(scene.daemon, 'go');
  replies += 1;
  await nthReply(scene.daemon, replies);
}

async function command(text: string): Promise<string> {
  await scene.daemon.api('POST', '/api/chat', { text });
  replies += 1;
  return nthReply(scene.daemon, replies);
}

const version = z.object({ id: z.number(), run: z.number().nullable(), by: z.string(), deleted: z.boolean() });
const listed = z.object({ files: z.array(z.object({ path: z.string(), versions: z.array(version) })) });
async function versions(path: string) {
  const { body } = await scene.daemon.api('GET', '/api/memory?group=main');
  return listed.parse(body).files.find((one) => one.path === path)?.versions ?? [];
}
const authors = async (path: string) => (await versions(path)).map(({ by }) => by);
/** Beside the answer, so a moment after it. */
async function whenHandedOver(path: string, by: string[]): Promise<void> {
  const isThere = async () => (await authors(path)).join() === by.join();
  await eventually(isThere, `${path} by ${by}`, 5_000).catch(() => undefined);
  expect(await authors(path)).toEqual(by);
}

test('what a run wrote is shown and taken back while its container works', async () => {
  const before = textOf('CLAUDE.md') ?? '';
  await work(`echo '- Ann is a vegetarian.' >> CLAUDE.md; mkdir -p memory; echo '# Trip to Rome' > memory/trip.md`);
  await whenHandedOver('CLAUDE.md', ['run', 'outside']);
  await whenHandedOver('memory/trip.md', ['run']);
  const shown = await command('/undo');
  for (const part of ['+- Ann is a vegetarian.', '+# Trip to Rome', '`memory/trip.md` (new)', '/undo yes'])
    expect(shown).toContain(part);
  expect(textOf('memory/trip.md')).toBe('# Trip to Rome\n');
  expect(await command('/undo yes')).toContain('I take back');
  replies += 1;
  expect(await nthReply(scene.daemon, replies)).toMatch(/^Done: `CLAUDE\.md`, `memory\/trip\.md` are as before/);
  expect([textOf('CLAUDE.md'), textOf('memory/trip.md')]).toEqual([before, undefined]);
  expect(await command('/undo')).toContain('No change of a run is left');
});

test('a deletion is taken back by a container that is started for it; what somebody edits by hand is known as that', async () => {
  await work(`mkdir -p memory; printf 'one\\ntwo\\n' > memory/list.md`);
  await whenHandedOver('memory/list.md', ['run']);
  await work('rm memory/list.md');
  await whenHandedOver('memory/list.md', ['run', 'run']);
  await scene.daemon.kill('SIGTERM');
  scene.daemon = await startDaemon({ home: scene.daemon.home, env: scene.env });
  const [gone, was] = await versions('memory/list.md');
  expect([gone?.deleted, was?.deleted]).toEqual([true, false]);
  const restored = await scene.daemon.api('POST', `/api/memory/${was?.id}/restore`, {});
  expect(restored).toMatchObject({ status: 200, body: { state: 'done' } });
  expect(textOf('memory/list.md')).toBe('one\ntwo\n');
  const detail = await scene.daemon.api('GET', `/api/memory/${gone?.id}`);
  expect(detail.body).toMatchObject({ path: 'memory/list.md', content: null, previous: was?.id });
  expect(detail.body).toMatchObject({ diff: '@@ -1 +1 @@\n-one\n-two' });
  mkdirSync(file('memory'), { recursive: true });
  writeFileSync(file('memory/list.md'), 'one\nthree\n');
  await work('true');
  await whenHandedOver('memory/list.md', ['outside', 'restore', 'run', 'run']);
  const texts = await chatTexts(scene.daemon, 'out');
  expect(texts.filter((text) => text.includes('Done:'))).toHaveLength(1);
});

test('undo brings folders back that became files and the other way round, and leaves what a person wrote since', async () => {
  await work(
    `mkdir -p memory/people; echo ann > memory/people/ann.md; echo plan > memory/plan; echo both > memory/both.md`,
  );
  await whenHandedOver('memory/both.md', ['run']);
  await work(
    `rm -r memory/people memory/plan; echo flat > memory/people; mkdir -p memory/plan; echo a > memory/plan/a.md; echo bad > memory/both.md`,
  );
  await whenHandedOver('memory/both.md', ['run', 'run']);
  // Nobody but this person knows of it yet.
  writeFileSync(file('memory/both.md'), 'by hand\n');
  await command('/undo');
  await command('/undo yes');
  replies += 1;
  expect(await nthReply(scene.daemon, replies)).toMatch(/^That could not be .*memory\/both\.md: it was changed since/);
  expect(await authors('memory/both.md')).toEqual(['outside', 'run', 'run']);
  const now = ['memory/people/ann.md', 'memory/plan', 'memory/both.md'].map(textOf);
  expect(now).toEqual(['ann\n', 'plan\n', 'by hand\n']);
});
