// Whose turn it is, seen from outside: one container, tasks that never end, two conversations of one group that never rest, and another group.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { RecordedRequest } from '../fakes/anthropic.js';
import { whenBusy } from '../limits.js';
import { type Family, registerFamily, startFamily } from './family.js';
import { eventually } from './harness.js';
import { bash, chatTexts, type Scene, say, startScene } from './talk.js';

const lastWords = ({ body }: RecordedRequest) => JSON.stringify(body?.messages.at(-1));

let family: Family;
let scene: Scene;

beforeAll(async () => {
  family = await startFamily();
  const env = { ...family.env, PINCH_RUNTIME: 'process', PINCH_UNSAFE: '1', PINCH_MAX_CONTAINERS: '1' };
  const responder = (request: RecordedRequest) => {
    const words = lastWords(request);
    if (words.includes('ENDLESS')) return bash('sleep 900', { timeout_ms: 600_000 });
    return { text: words.includes('BUSY') ? 'busy' : 'my turn', waitMs: words.includes('BUSY') ? 6_000 : 0 };
  };
  scene = await startScene({ model: { responder }, daemon: { env } });
  await registerFamily(family);
});
afterAll(async () => {
  await scene.close();
  await family.tg.close();
});

const turnsOf = (chatId: number, text: string) =>
  family.tg.sent.filter((sent) => sent.chat_id === chatId && sent.plain === text).length;

const turnsOnPage = async (text: string) =>
  (await chatTexts(scene.daemon, 'out')).filter((said) => said === text).length;

test('a group that never rests lets another one have its turn', async () => {
  const { tg, olga, direct, family: chat } = family;
  let isOver = false;
  let asked = 0;
  const neverRest = async (ask: () => Promise<unknown> | unknown, answers: () => Promise<number> | number) => {
    for (let n = 1; !isOver; n++) {
      await ask();
      asked += 1;
      await eventually(async () => isOver || (await answers()) >= n, 'an answer');
    }
  };
  const onPage = neverRest(
    () => say(scene.daemon, 'BUSY'),
    () => turnsOnPage('busy'),
  );
  await eventually(() => asked > 0, 'the first one is asked');
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const onTelegram = neverRest(
    () => void tg.userSends(direct, olga, 'BUSY'),
    () => turnsOf(direct.id, 'busy'),
  );
  await eventually(() => turnsOf(direct.id, 'busy') > 0, 'both conversations are under way');
  const began = Date.now();
  tg.userSends(chat, olga, '@Pinch and we?');
  await eventually(() => turnsOf(chat.id, 'my turn') > 0, 'the other group has its turn');
  console.info(`a group that never rests gave way after ${Date.now() - began} ms`);
  expect(Date.now() - began).toBeLessThan(whenBusy(30_000));
  isOver = true;
  await Promise.all([onPage, onTelegram]);
});

test('three tasks that never end: the owner is answered at once', async () => {
  for (let n = 0; n < 3; n++) {
    const task = { every: '60m', prompt: `ENDLESS ${n}`, chat: `telegram:${family.direct.id}` };
    const { body } = await scene.daemon.api('POST', '/api/tasks', task);
    const { id } = z.object({ task: z.object({ id: z.number() }) }).parse(body).task;
    await scene.daemon.api('POST', `/api/tasks/${id}/run`);
  }
  const isEndless = () => scene.model.requests.filter((request) => lastWords(request).includes('ENDLESS')).length;
  await eventually(() => isEndless() === 2, 'two of them work');
  const began = Date.now();
  await say(scene.daemon, 'hello');
  await eventually(async () => (await turnsOnPage('my turn')) > 0, 'an answer');
  expect(Date.now() - began).toBeLessThan(whenBusy(5_000));
  expect(isEndless()).toBe(2);
});
