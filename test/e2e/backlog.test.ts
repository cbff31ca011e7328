// A group that talked for months without asking anything: the next question is answered, however much was said before, also when the process is
// killed between taking the messages and working on them.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from '../../src/store.js';
import { type Family, registerFamily, startFamily } from './family.js';
import { eventually, startDaemon } from './harness.js';
import { type Scene, startScene } from './talk.js';

let scene: Scene;
let all: Family;
beforeAll(async () => {
  all = await startFamily();
  scene = await startScene({ daemon: { env: all.env } });
  await registerFamily(all);
});
afterAll(async () => {
  await scene.close();
  await all.tg.close();
});

const env = () => ({ ...scene.env, ...all.env });
const runsIn = async (state: string) => (await scene.daemon.api('GET', `/api/runs?state=${state}`)).body;

/** As if Ben had written for months while Pinch was off. */
async function chatter(count: number, text: (n: number) => string): Promise<void> {
  await scene.daemon.kill('SIGTERM');
  const store = openStore(join(scene.daemon.home, 'data/pinch.db'));
  const chat = store.groups.chatByAddress('telegram', '-500');
  const said = {
    chatId: chat?.id ?? 0,
    direction: 'in' as const,
    senderId: null,
    senderName: 'Ben',
    sentAt: 1,
    now: 1,
  };
  store.transaction(() => {
    for (let n = 0; n < count; n += 1) store.messages.add({ ...said, platformId: `old-${n}-${count}`, text: text(n) });
  });
  // A search finds what is indexed, which an idle daemon has done long ago.
  for (let isLeft = true; isLeft; ) isLeft = store.searchIndex.step();
  store.close();
  scene.daemon = await startDaemon({ home: scene.daemon.home, env: env() });
}

const lastRequest = () => JSON.stringify(scene.model.requests.at(-1)?.body);

test('a backlog of 10,000 messages: the question is answered, with a request that says what it left out', async () => {
  await chatter(10_000, (n) => `Did you see number ${n} <today> & "again"? ${'la '.repeat(60)}`);
  await scene.daemon.api('POST', '/api/stop', {});
  all.tg.userSends(all.family, all.ben, '@Pinch what did we talk about?');
  // The run has its messages, and nobody works on it.
  await eventually(async () => JSON.stringify(await runsIn('ready')).includes('"kind":"message"'), 'a run waits');
  await scene.daemon.kill('SIGKILL');
  scene.daemon = await startDaemon({ home: scene.daemon.home, env: env() });
  scene.model.push({ text: 'about numbers' });
  await scene.daemon.api('POST', '/api/resume', {});
  await all.tg.waitForSent(({ plain }) => plain === 'about numbers');
  const request = lastRequest();
  const shown = request.match(/Did you see number/g)?.length ?? 0;
  const leftOut = Number(/<left-out>(\d+) older messages/.exec(request)?.[1]);
  console.log(`a request of ${Buffer.byteLength(request)} bytes with ${shown} messages, ${leftOut} left out`);
  expect(Buffer.byteLength(request)).toBeLessThan(100_000);
  expect([shown > 50, shown + leftOut]).toEqual([true, 10_000]);
  expect(request).toContain('are not shown here: search_history finds them');
  expect(request).toContain('what did we talk about?');
  expect(request).toContain('Did you see number 9999 ');
});

test('what was left out never comes later, and is found by a search', async () => {
  scene.model.push(
    { content: [{ type: 'tool_use', name: 'search_history', input: { query: '"number 17"' } }] },
    { text: 'found' },
  );
  all.tg.userSends(all.family, all.ben, '@Pinch and number 17?');
  await all.tg.waitForSent(({ plain }) => plain === 'found');
  const [asked, answered] = scene.model.requests.slice(-2).map(({ body }) => JSON.stringify(body?.messages.at(-1)));
  expect(asked).not.toContain('left-out');
  expect(answered).toContain('Did you see number 17 ');
});

test('questions of a weekend without the daemon are all there: what does not fit is in a file that is named', async () => {
  await chatter(1, () => 'hello');
  await scene.daemon.api('POST', '/api/stop', {});
  const questions = Array.from({ length: 30 }, (_, n) => `question ${n} ${'?'.repeat(3_900)}`);
  for (const text of questions) all.tg.userSends(all.direct, all.olga, text);
  await all.tg.waitForConfirmed();
  scene.model.push({ text: 'so many' });
  await scene.daemon.api('POST', '/api/resume', {});
  await all.tg.waitForSent(({ plain }) => plain === 'so many');
  expect(Buffer.byteLength(lastRequest())).toBeLessThan(100_000);
  expect(lastRequest()).toContain('question 29 ');
  expect(lastRequest()).toMatch(
    /messages that came before these do not fit here; all of it is in \/workspace\/inbox\/messages-/,
  );
});
