// Topics of Telegram: which messages are in one, what it is called, and that everything we send goes where it belongs.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Update } from 'grammy/types';
import { afterEach, describe, expect, test } from 'vitest';
import { type ChannelHost, createChannelHost, createStorage } from '../../test/fakes/channel-host.js';
import { type FakeTelegram, startFakeTelegram } from '../../test/fakes/telegram.js';
import type { Channel, ChannelStorage } from './channel.js';
import { telegram } from './telegram.js';
import { mapUpdate } from './telegram-inbound.js';
import { placeOf } from './telegram-topics.js';

const FORUM = -1_000_000_000_123;
const anna = { id: 11, is_bot: false, first_name: 'Anna' };
const forum = { id: FORUM, type: 'supergroup', title: 'Home', is_forum: true };
const plain = { id: FORUM, type: 'supergroup', title: 'Home' };
const direct = { id: 11, type: 'private', first_name: 'Anna' };
const root = { message_id: 45, date: 1, forum_topic_created: { name: 'Garden', icon_color: 1 } };

const update = (fields: Record<string, unknown>): Update => JSON.parse(JSON.stringify({ update_id: 1, ...fields }));
const mapped = (fields: Record<string, unknown>) => {
  const result = mapUpdate(update(fields), { id: 77, username: 'Pinch_Bot' });
  if (result.kind !== 'message') throw new Error(result.kind);
  return result;
};
const said = (fields: Record<string, unknown>, kind = 'message') =>
  mapped({ [kind]: { message_id: 50, date: 1, from: anna, text: 'hi', ...fields } });

describe('which chat a message is in', () => {
  const inTopic = { message_thread_id: 45, is_topic_message: true };
  test.each([
    ['a topic', { chat: forum, ...inTopic, reply_to_message: root }, `${FORUM}/45`],
    ['an answer in a topic', { chat: forum, ...inTopic, reply_to_message: { ...root, message_id: 46 } }, `${FORUM}/45`],
    ['a topic of a direct chat', { chat: direct, ...inTopic }, '11/45'],
    ['a topic of a direct chat that has number 1', { chat: direct, ...inTopic, message_thread_id: 1 }, '11/1'],
    ['General', { chat: forum }, `${FORUM}`],
    ['General by its number', { chat: forum, message_thread_id: 1, is_topic_message: true }, `${FORUM}`],
    ['an answer in General', { chat: forum, message_thread_id: 48, reply_to_message: { message_id: 48 } }, `${FORUM}`],
    ['an answer in an ordinary group', { chat: plain, message_thread_id: 48 }, `${FORUM}`],
    ['an answer in a direct chat', { chat: direct, message_thread_id: 48 }, '11'],
  ])('%s', (_name, fields, address) => {
    expect(said(fields).message.chat.address).toBe(address);
    expect(said(fields, 'edited_message').message.chat.address).toBe(address);
    const message = { message_id: 50, date: 1, ...fields };
    const pressed = mapped({ callback_query: { id: '4', from: anna, data: 'a:1', message } });
    expect(pressed.message.chat.address).toBe(address);
  });

  test.each([
    ['made', { forum_topic_created: { name: 'Garden' } }, '[topic opened: Garden]'],
    ['renamed', { forum_topic_edited: { name: 'Herbs' } }, '[topic renamed: Herbs]'],
    ['closed', { forum_topic_closed: {} }, '[topic closed]'],
    ['opened again', { forum_topic_reopened: {} }, '[topic opened again]'],
  ])('that a topic was %s is context and starts nothing', (_name, what, text) => {
    const { message } = said({ chat: forum, ...inTopic, text: undefined, reply_to_message: root, ...what });
    expect(message).toMatchObject({ text, contextOnly: true, addressesAssistant: false });
    expect(message.replyTo).toBeUndefined();
  });

  test.each([
    ['another icon', { ...inTopic, forum_topic_edited: { icon_custom_emoji_id: '5' } }],
    ['General that is hidden', { general_forum_topic_hidden: {} }],
  ])('%s is nothing', (_name, what) => {
    expect(() => said({ chat: forum, text: undefined, ...what })).toThrow('ignore');
  });
});

test.each([
  ['-100123', -100_123, undefined],
  ['-100123/45', -100_123, 45],
  ['-100123/1', -100_123, undefined],
  ['11', 11, undefined],
  ['11/1', 11, 1],
  ['nobody', Number.NaN, undefined],
])('%s: where calls lead', (address, chat, message_thread_id) => {
  expect(placeOf(address)).toEqual({ chat, inTopic: message_thread_id === undefined ? {} : { message_thread_id } });
});

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function connect(fake: FakeTelegram, storage?: ChannelStorage): Promise<{ channel: Channel; host: ChannelHost }> {
  const host = createChannelHost(storage);
  const env = telegram.env.parse({ TELEGRAM_BOT_TOKEN: fake.token, TELEGRAM_API_ROOT: fake.url });
  const channel = await telegram.create(env, host.deps);
  if (!channel) throw new Error('off');
  channel.start();
  closers.push(() => channel.stop());
  await fake.waitForPoll();
  return { channel, host };
}

async function atHome(storage?: ChannelStorage) {
  const fake = await startFakeTelegram({ topicsInDirectChats: true });
  closers.push(() => fake.close());
  const user = fake.user({ id: 11, first_name: 'Anna' });
  const home = fake.group({ id: FORUM, title: 'Home', members: [user], forum: true });
  return { fake, user, home, ...(await connect(fake, storage)) };
}

describe('names', () => {
  const titles = (host: ChannelHost) => host.messages.map(({ chat }) => chat.title);

  test('a topic is called what it was called last, also after a restart', async () => {
    const storage = createStorage();
    const { fake, user, home, host, channel } = await atHome(storage);
    const garden = fake.topic(home, user, 'Garden');
    fake.userSends(home, user, { text: 'one', topic: garden });
    fake.renameTopic(home, user, garden, 'Herbs');
    fake.renameTopic(home, user, garden);
    fake.userSends(home, user, { text: 'two', topic: garden });
    fake.userSends(home, user, 'in General');
    await fake.waitForConfirmed();
    const herbs = ['Home › Herbs', 'Home › Herbs'];
    expect(titles(host)).toEqual(['Home › Garden', 'Home › Garden', ...herbs, 'Home']);
    await channel.stop();
    const again = await connect(fake, storage);
    fake.userSends(home, user, { text: 'three', topic: garden });
    await fake.waitForConfirmed();
    expect(titles(again.host)).toEqual(['Home › Herbs']);
  });

  test('one that was there before the bot is known by what opened it, or by its number', async () => {
    const { fake, user, home, host, channel } = await atHome();
    await channel.stop();
    const garden = fake.topic(home, user, 'Garden');
    const kitchen = fake.topic(home, user, 'Kitchen');
    const first = fake.userSends(home, user, { text: 'x', topic: kitchen });
    const late = await connect(await forget(fake));
    fake.userSends(home, user, { text: 'one', topic: garden });
    // An answer comes with what it answers in place of what opened the topic.
    fake.userSends(home, user, { text: 'two', reply_to: first.message_id });
    await fake.waitForConfirmed();
    expect(titles(late.host)).toEqual(['Home › Garden', `Home › topic ${kitchen}`]);
    expect(host.messages).toEqual([]);
  });

  async function forget(fake: FakeTelegram) {
    await fetch(`${fake.url}/bot${fake.token}/deleteWebhook?drop_pending_updates=true`);
    return fake;
  }

  test('a name that could not be kept is told again', async () => {
    const storage = createStorage();
    let isFull = true;
    const set: ChannelStorage['set'] = (rows) => {
      if (isFull) throw new Error('disk full');
      storage.set(rows);
    };
    const { fake, user, home, host } = await atHome({ ...storage, set });
    fake.topic(home, user, 'Garden');
    await host.untilState('reconnecting');
    expect(host.messages).toEqual([]);
    isFull = false;
    await host.until(() => host.messages.length === 1);
    expect(titles(host)).toEqual(['Home › Garden']);
  });
});

describe('what is sent', () => {
  async function withTopics() {
    const opened = await atHome();
    const { fake, user, home, host, channel } = opened;
    const garden = fake.topic(home, user, 'Garden');
    const mine = fake.topic(fake.privateChat(user), user, 'Mine');
    await fake.waitForConfirmed();
    const path = join(mkdtempSync(join(tmpdir(), 'pinch-topics-')), 'dot.png');
    writeFileSync(path, '\x89PNG', 'latin1');
    const send = (address: string, kind: string) => {
      const file = { path, fileName: kind, mimeType: kind === 'picture' ? 'image/png' : 'application/pdf' };
      const buttons = [{ label: 'Yes', value: 'a:1' }];
      const part = { address, text: kind === 'plain' ? '[only]: https://e.org/' : '**hello**', key: '1.0', buttons };
      return channel.send(['picture', 'document'].includes(kind) ? { ...part, file } : part);
    };
    return { ...opened, host, garden, mine, send };
  }

  test.each([
    'text',
    'plain',
    'picture',
    'document',
  ])('%s goes to its topic, General gets no number, and buttons are dropped there', async (kind) => {
    const { fake, garden, mine, send, channel } = await withTopics();
    const addresses = [`${FORUM}/${garden}`, `${FORUM}`, `${FORUM}/1`, `11/${mine}`, '11'];
    for (const address of addresses) {
      const { platformId } = await send(address, kind);
      await channel.dropButtons?.(address, platformId);
    }
    const places = fake.sent.map(({ chat_id, message_thread_id }) => [chat_id, message_thread_id]);
    expect(places).toEqual([
      [FORUM, garden],
      [FORUM, undefined],
      [FORUM, undefined],
      [11, mine],
      [11, undefined],
    ]);
    expect(fake.requests.filter(({ method, status }) => method !== 'getUpdates' && status !== 200)).toEqual([]);
  });

  test('markup that Telegram refuses is sent plain to the same topic', async () => {
    const { fake, garden, send } = await withTopics();
    fake.faults.next('sendMessage', { status: 400, description: "Bad Request: can't parse entities: unexpected" });
    await send(`${FORUM}/${garden}`, 'text');
    expect(fake.sent).toMatchObject([{ message_thread_id: garden, plain: 'hello', parse_mode: undefined }]);
  });

  test.each([
    ['a topic', (garden: number) => `${FORUM}/${garden}`, (garden: number) => garden],
    ['General of a forum that wrote', () => `${FORUM}`, () => 1],
    ['a direct chat', () => '11', () => undefined],
  ])('typing is shown in %s', async (_name, addressOf, threadOf) => {
    const { fake, garden, channel } = await withTopics();
    channel.typing(addressOf(garden));
    await fake.waitFor(() => fake.actions.length === 1);
    expect(fake.actions[0]?.message_thread_id).toBe(threadOf(garden));
  });

  test('a server that takes no number of General for typing is asked without it', async () => {
    const { fake, channel } = await withTopics();
    fake.faults.next('sendChatAction', { status: 400, description: 'Bad Request: message thread not found' });
    channel.typing(`${FORUM}`);
    await fake.waitFor(() => fake.actions.length === 1);
    expect(fake.actions[0]?.message_thread_id).toBeUndefined();
  });

  test.each([
    'text',
    'picture',
    'document',
  ])('%s for a closed topic, or one that is gone, is given up', async (kind) => {
    const { fake, user, home, garden, send } = await withTopics();
    fake.closeTopic(home, user, garden);
    const closed = { kind: 'permanent', message: expect.stringContaining('reopen it') };
    await expect(send(`${FORUM}/${garden}`, kind)).rejects.toMatchObject(closed);
    fake.reopenTopic(home, user, garden);
    await send(`${FORUM}/${garden}`, kind);
    fake.deleteTopic(home, garden);
    const gone = { kind: 'permanent', message: expect.stringContaining('deleted') };
    await expect(send(`${FORUM}/${garden}`, kind)).rejects.toMatchObject(gone);
    await expect(send(`${FORUM}/999`, kind)).rejects.toMatchObject(gone);
    expect(fake.sent).toHaveLength(1);
  });

  test.each([
    'text',
    'picture',
    'document',
  ])('%s for a topic of a direct chat that its person deleted goes to the chat itself', async (kind) => {
    const { fake, user, mine, send } = await withTopics();
    fake.deleteTopic(fake.privateChat(user), mine);
    await send(`11/${mine}`, kind);
    expect(fake.sent).toMatchObject([{ chat_id: 11, message_thread_id: undefined }]);
  });
});
