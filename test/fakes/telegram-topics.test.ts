// Topics of the fake Telegram behave as those of the real one, as far as a bot notices.
import { Api } from 'grammy';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeTelegram, startFakeTelegram } from './telegram.js';

const FORUM = -1_000_000_000_123;
let fake: FakeTelegram;
let api: Api;
beforeEach(async () => {
  fake = await startFakeTelegram();
  api = new Api(fake.token, { apiRoot: fake.url });
});
afterEach(() => fake.close());

function home() {
  const ann = fake.user({ id: 11, first_name: 'Ann' });
  const chat = fake.group({ id: FORUM, title: 'Home', members: [ann], forum: true });
  return { ann, chat, garden: fake.topic(chat, ann, 'Garden') };
}
const failure = (call: Promise<unknown>) => call.then(String, (error: { description: string }) => error.description);
const updates = () => fake.pendingUpdates().map(({ message }) => message);

describe('what a bot hears', () => {
  test('a message in a topic formally replies to what opened the topic', () => {
    const { ann, chat, garden } = home();
    fake.userSends(chat, ann, { text: 'hi', topic: garden });
    const inTopic = { message_thread_id: garden, is_topic_message: true };
    expect(updates()).toMatchObject([
      { ...inTopic, message_id: garden, forum_topic_created: { name: 'Garden' }, chat: { is_forum: true } },
      { ...inTopic, text: 'hi', reply_to_message: { message_id: garden, forum_topic_created: { name: 'Garden' } } },
    ]);
  });

  test('an answer is in the topic of what it answers; in General and in ordinary groups it makes a thread that is no topic', () => {
    const { ann, chat, garden } = home();
    const first = fake.userSends(chat, ann, { text: 'in', topic: garden });
    fake.userSends(chat, ann, { text: 'in too', reply_to: first.message_id });
    const general = fake.userSends(chat, ann, 'out');
    fake.userSends(chat, ann, { text: 'out too', reply_to: general.message_id });
    const [, , inToo, out, outToo] = updates();
    expect(inToo).toMatchObject({ message_thread_id: garden, reply_to_message: { message_id: first.message_id } });
    expect(out).not.toHaveProperty('message_thread_id');
    expect(outToo).toMatchObject({ message_thread_id: general.message_id });
    expect(outToo).not.toHaveProperty('is_topic_message');
  });

  test('a bot is told of another name, of closing and opening, not of deleting', () => {
    const { ann, chat, garden } = home();
    fake.renameTopic(chat, ann, garden, 'Herbs');
    fake.closeTopic(chat, ann, garden);
    expect(() => fake.userSends(chat, ann, { text: 'x', topic: garden })).toThrow('closed');
    fake.reopenTopic(chat, ann, garden);
    fake.deleteTopic(chat, garden);
    const kinds = updates().map((message) => Object.keys(message ?? {}).find((key) => key.startsWith('forum_topic')));
    expect(kinds).toEqual(['created', 'edited', 'closed', 'reopened'].map((kind) => `forum_topic_${kind}`));
    expect(() => fake.userSends(chat, ann, { text: 'x', topic: garden })).toThrow('no topic');
  });

  test('a direct chat has topics only with a bot that has them', () => {
    const ann = fake.user({ id: 11, first_name: 'Ann' });
    expect(() => fake.topic(fake.privateChat(ann), ann, 'Mine')).toThrow('no topics');
  });
});

describe('what a bot sends', () => {
  test.each([
    ['a topic', (garden: number) => garden, 'ok'],
    ['no topic', () => 999_999, 'Bad Request: message thread not found'],
    ['General by its number', () => 1, 'Bad Request: message thread not found'],
    ['a message of a topic', (garden: number) => garden + 1, 'Bad Request: message thread not found'],
  ])('to %s', async (_name, threadOf, wanted) => {
    const { ann, chat, garden } = home();
    fake.userSends(chat, ann, { text: 'x', topic: garden });
    const message_thread_id = threadOf(garden);
    const said = await failure(api.sendMessage(FORUM, 'x', { message_thread_id }).then(() => 'ok'));
    expect(said).toBe(wanted);
    expect(fake.sent.map((sent) => sent.message_thread_id)).toEqual(wanted === 'ok' ? [garden] : []);
  });

  test.each([
    ['an ordinary group', -500],
    ['a supergroup without topics', FORUM - 1],
  ])('%s has none', async (_name, id) => {
    const ann = fake.user({ id: 11, first_name: 'Ann' });
    const chat = fake.group({ id, title: 'G', members: [ann] });
    const { message_id: message_thread_id } = fake.userSends(chat, ann, 'x');
    expect(await failure(api.sendMessage(id, 'x', { message_thread_id }))).toContain('message thread not found');
    expect(await failure(api.sendChatAction(id, 'typing', { message_thread_id: 1 }))).toContain('not found');
  });

  test('a closed topic and a deleted one are refused; typing may name General', async () => {
    const { ann, chat, garden } = home();
    const send = () => failure(api.sendMessage(FORUM, 'x', { message_thread_id: garden }));
    fake.closeTopic(chat, ann, garden);
    expect(await send()).toBe('Bad Request: TOPIC_CLOSED');
    fake.deleteTopic(chat, garden);
    expect(await send()).toBe('Bad Request: message thread not found');
    await api.sendChatAction(FORUM, 'typing', { message_thread_id: 1 });
    expect(fake.actions).toMatchObject([{ chat_id: FORUM, message_thread_id: 1 }]);
  });
});
