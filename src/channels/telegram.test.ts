import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Update } from 'grammy/types';
import { afterEach, describe, expect, test } from 'vitest';
import { type ChannelHost, createChannelHost } from '../../test/fakes/channel-host.js';
import { type FakeTelegram, startFakeTelegram } from '../../test/fakes/telegram.js';
import { ChannelError } from './channel.js';
import { safeFileName } from './file-name.js';
import { telegram } from './telegram.js';
import { type Mapped, mapUpdate } from './telegram-inbound.js';

const bot = { id: 77, username: 'Pinch_Bot' };
const anna = { id: 11, is_bot: false, first_name: 'Anna', last_name: 'Bell', username: 'annab' };
const family = { id: -100_500, type: 'supergroup', title: 'Family' };

/** An update as it comes over the wire, with these fields of a message. */
function wire(message: Record<string, unknown>, kind = 'message'): Update {
  const whole = { message_id: 5, date: 1_700_000_000, chat: family, from: anna, ...message };
  return JSON.parse(JSON.stringify({ update_id: 9, [kind]: whole }));
}

const mapped = (message: Record<string, unknown>, kind?: string): Mapped => mapUpdate(wire(message, kind), bot);

function messageOf(message: Record<string, unknown>, kind?: string) {
  const result = mapped(message, kind);
  if (result.kind !== 'message') throw new Error(`mapped to ${result.kind}`);
  return result.message;
}

const tea = [
  { label: 'Green tea', value: 'choice:1' },
  { label: 'None', value: 'choice:2' },
];

describe('presses and reactions', () => {
  const query = (change: Record<string, unknown>) =>
    mapUpdate(
      JSON.parse(JSON.stringify({ update_id: 9, callback_query: { id: '42', from: anna, data: 'a:1', ...change } })),
      bot,
    );

  test('a press in a group: who pressed, where, which button of which message', () => {
    const message = { message_id: 7, date: 1, chat: family, from: { id: 77 }, text: 'x' };
    expect(query({ message })).toEqual({
      kind: 'message',
      message: {
        chat: { address: '-100500', kind: 'group', title: 'Family' },
        sender: { address: '11', name: 'Anna Bell', username: 'annab' },
        platformId: 'press-42',
        text: '',
        press: { platformId: '7', value: 'a:1' },
        sentAt: -1,
        forwarded: false,
        addressesAssistant: false,
        edited: false,
        media: [],
      },
    });
  });

  test('a message that is too old to be shown is known by its id', () => {
    const chat = { id: 11, type: 'private', first_name: 'Anna', last_name: 'Bell' };
    expect(query({ message: { chat, message_id: 7, date: 0 } })).toMatchObject({
      message: { chat: { address: '11', kind: 'direct', title: 'Anna Bell' }, press: { platformId: '7' } },
    });
  });

  test.each([
    ['a message sent into another chat by way of the bot', { inline_message_id: 'AAA' }],
    ['a game', { message: { message_id: 7, chat: family, date: 1 }, data: undefined, game_short_name: 'chess' }],
    ['a bot', { message: { message_id: 7, chat: family, date: 1 }, from: { ...anna, is_bot: true } }],
  ])('a press of %s is nothing', (_name, change) => {
    expect(query(change)).toEqual({ kind: 'ignore' });
  });

  const emoji = (name: string) => ({ type: 'emoji', emoji: name });
  const custom = { type: 'custom_emoji', custom_emoji_id: '5' };
  test.each([
    ['one', [], [emoji('👍')], '👍'],
    ['another one', [emoji('👍')], [emoji('👎')], '👎'],
    ['a second one', [emoji('👍')], [emoji('👍'), emoji('🔥')], '🔥'],
    ['none any more', [emoji('👍')], [], ''],
    ['a bought one no more', [custom], [], ''],
  ])('a reaction: %s', (_name, old_reaction, new_reaction, value) => {
    const { press, ...rest } = messageOf(
      { user: anna, from: undefined, text: undefined, old_reaction, new_reaction },
      'message_reaction',
    );
    expect(press).toEqual({ platformId: '5', value });
    expect(rest).toMatchObject({ contextOnly: true, replyTo: { platformId: '5' }, sender: { address: '11' } });
    expect(rest.platformId).toBe('reaction-9-1700000000');
  });

  test.each([
    ['a bought one', { user: anna, new_reaction: [custom] }],
    ['fewer than before', { user: anna, old_reaction: [emoji('👍'), emoji('🔥')], new_reaction: [emoji('👍')] }],
  ])('a reaction: %s is nothing', (_name, change) => {
    expect(mapped({ old_reaction: [], ...change }, 'message_reaction')).toEqual({ kind: 'ignore' });
  });

  test('somebody who reacts as the group is the group', () => {
    const reaction = { actor_chat: family, old_reaction: [], new_reaction: [emoji('👍')] };
    expect(messageOf(reaction, 'message_reaction').sender).toEqual({ address: '-100500', name: 'Family' });
  });
});

describe('updates as messages', () => {
  test('who, where and when', () => {
    expect(messageOf({ text: 'hello' })).toEqual({
      chat: { address: '-100500', kind: 'group', title: 'Family' },
      sender: { address: '11', name: 'Anna Bell', username: 'annab' },
      platformId: '5',
      text: 'hello',
      sentAt: 1_700_000_000_000,
      forwarded: false,
      addressesAssistant: false,
      edited: false,
      media: [],
    });
    const direct = messageOf({ text: 'hi', chat: { id: 11, type: 'private', first_name: 'Anna' } });
    expect(direct.chat).toEqual({ address: '11', kind: 'direct', title: 'Anna Bell' });
  });

  test('an administrator who writes as the group is the group, not the bot that Telegram puts in its place', () => {
    const from = { id: 1_087_968_824, is_bot: true, first_name: 'Group', username: 'GroupAnonymousBot' };
    expect(messageOf({ text: 'x', from, sender_chat: family }).sender).toEqual({ address: '-100500', name: 'Family' });
  });

  test.each([
    ['a bot', { text: 'x', from: { ...anna, is_bot: true } }],
    ['somebody joined', { new_chat_members: [anna] }],
    ['a pinned message', { pinned_message: { message_id: 1, date: 1, chat: family } }],
    ['a channel post in its discussion group', { text: 'x', sender_chat: family, is_automatic_forward: true }],
  ])('%s is no message', (_name, message) => {
    expect(mapped(message)).toEqual({ kind: 'ignore' });
  });

  test('a channel post and an unknown kind of update are ignored', () => {
    expect(mapped({ text: 'x' }, 'channel_post')).toEqual({ kind: 'ignore' });
    expect(mapped({ text: 'x' }, 'some_new_kind')).toEqual({ kind: 'ignore' });
  });

  const entity = (type: string, offset: number, length: number, more = {}) => ({ type, offset, length, ...more });

  test.each([
    ['a mention', '@Pinch_Bot hi', [entity('mention', 0, 10)], true],
    ['a mention in other case', 'hi @pinch_bot', [entity('mention', 3, 10)], true],
    ['a mention behind emoji, which count two', '🎉👩‍👩‍👧‍👦 @Pinch_Bot', [entity('mention', 14, 10)], true],
    ['a mention of somebody else', '@Pinch_Bot2 hi', [entity('mention', 0, 11)], false],
    ['the name without an entity (code, an address)', 'a@Pinch_Bot', [], false],
    ['a mention by id', 'Pinch hi', [entity('text_mention', 0, 5, { user: { ...anna, id: 77 } })], true],
    ['a mention of another by id', 'Ben hi', [entity('text_mention', 0, 3, { user: anna })], false],
    ['a command to us', '/status@Pinch_Bot', [entity('bot_command', 0, 17)], true],
    ['a command to another bot', '/status@OtherBot', [entity('bot_command', 0, 16)], false],
  ])('%s: does it address us?', (_name, text, entities, addressed) => {
    expect(messageOf({ text, entities }).addressesAssistant).toBe(addressed);
    expect(messageOf({ caption: text, caption_entities: entities, photo: [{ file_id: 'f' }] }).addressesAssistant).toBe(
      addressed,
    );
  });

  test.each([
    ['/status@Pinch_Bot', '/status'],
    ['/stop@pinch_bot all', '/stop all'],
    ['@pinch_bot /status', '/status'],
    ['@Pinch_Bot, /stop@pinch_bot', '/stop'],
    ['/retry 3 @Pinch_Bot.', '/retry 3'],
    ['/task add every day ask @Pinch_Bot', '/task add every day ask @Pinch_Bot'],
    ['@Pinch_Bot hello', '@Pinch_Bot hello'],
    ['/status@OtherBot', '/status@OtherBot'],
    ['/status@Pinch_Bot2', '/status@Pinch_Bot2'],
    ['/status', '/status'],
  ])('the command %j reads %j', (text, plain) => {
    expect(messageOf({ text }).text).toBe(plain);
  });

  test('a reply carries what it answers; a reply to us addresses us', () => {
    const own = { message_id: 3, date: 1, chat: family, from: { id: 77, is_bot: true, first_name: 'Pinch' } };
    const reply = messageOf({ text: 'why?', reply_to_message: { ...own, text: 'at noon' } });
    expect(reply.addressesAssistant).toBe(true);
    expect(reply.replyTo).toEqual({ platformId: '3', sender: 'Pinch', text: 'at noon' });
    const quoted = messageOf({
      text: 'why?',
      quote: { text: 'this' },
      reply_to_message: { ...own, text: 'this, that' },
    });
    expect(quoted.replyTo?.text).toBe('this');
    const other = messageOf({ text: 'why?', reply_to_message: { ...own, from: anna, text: 'x' } });
    expect(other).toMatchObject({ addressesAssistant: false, replyTo: { sender: 'Anna Bell', text: 'x' } });
  });

  test('what is replied to is said by the channel or group in whose name it was, has the links of a quotation, and is never nothing', () => {
    const replied = {
      message_id: 3,
      date: 1,
      chat: family,
      from: { id: 777_000, is_bot: false, first_name: 'Telegram' },
    };
    const to = (change: object, more: object = {}) =>
      messageOf({ text: 'x', reply_to_message: { ...replied, ...change }, ...more }).replyTo;
    const sender_chat = { id: -1, type: 'channel', title: 'News' };
    expect(to({ sender_chat, is_automatic_forward: true, text: 'post' })).toMatchObject({
      sender: 'News',
      text: 'post',
    });
    const admin = { id: 1_087_968_824, is_bot: true, first_name: 'Group' };
    expect(to({ from: admin, sender_chat: family, text: 'rule' })).toMatchObject({ sender: 'Family' });
    expect(to({ from: anna, new_chat_members: [anna] })).toMatchObject({ sender: 'Anna Bell', text: '[a message]' });
    const entities = [{ type: 'text_link', offset: 0, length: 4, url: 'https://q.example/' }];
    const quote = { text: 'link', position: 2, entities };
    expect(to({ text: 'a link' }, { quote })?.text).toBe('link (https://q.example/)');
    const story = messageOf({
      text: 'nice',
      reply_to_story: { id: 3, chat: { id: 5, type: 'private', first_name: 'Eve' } },
    });
    expect(story.replyTo).toEqual({ platformId: 'story-3', sender: 'Eve', text: '[story]' });
    const elsewhere = { origin: { type: 'hidden_user', date: 3, sender_user_name: 'Hid' } };
    expect(messageOf({ text: 'so?', external_reply: elsewhere }).replyTo).toMatchObject({
      sender: 'Hid',
      text: '[a message]',
    });
  });

  test('in a forum topic that we opened not every message counts as a reply to us', () => {
    const opened = {
      message_id: 3,
      date: 1,
      chat: family,
      from: { ...anna, id: 77 },
      forum_topic_created: { name: 'T' },
    };
    const said = messageOf({ text: 'hi', reply_to_message: opened });
    expect(said.addressesAssistant).toBe(false);
    expect(said.replyTo).toBeUndefined();
  });

  test.each([
    ['photos', { photo: [{ file_id: 'p', file_unique_id: 'u', width: 1, height: 1 }] }],
    ['videos', { video: { file_id: 'v', file_unique_id: 'u', width: 1, height: 1, duration: 1 } }],
    ['documents', { document: { file_id: 'd', file_unique_id: 'u' } }],
    ['audio', { audio: { file_id: 'a', file_unique_id: 'u', duration: 1 } }],
  ])('an album of %s: each part says which, also when its caption is edited', (_name, file) => {
    const album = { id: '13000000000000007' };
    const part = { ...file, media_group_id: album.id };
    expect(messageOf(part)).toMatchObject({ album, text: '' });
    expect(messageOf({ ...part, caption: 'x' }, 'edited_message')).toMatchObject({ album, text: 'x', edited: true });
    expect(messageOf(file)).not.toHaveProperty('album');
  });

  test('an edit is the same message with new words; a live location that moves is not', () => {
    const edit = messageOf({ text: 'fixed', edit_date: 1_700_000_060 }, 'edited_message');
    expect(edit).toMatchObject({ platformId: '5', edited: true, text: 'fixed', sentAt: 1_700_000_060_000 });
    expect(mapped({ location: { latitude: 1, longitude: 2 } }, 'edited_message')).toEqual({ kind: 'ignore' });
  });

  test.each([
    [{ location: { latitude: 52.5, longitude: 13.4 } }, '52.5, 13.4'],
    [{ venue: { title: 'Café', address: 'Main St 1' }, location: { latitude: 1, longitude: 2 } }, 'Café, Main St 1'],
    [{ contact: { first_name: 'Bo', last_name: 'Li', phone_number: '+491' } }, 'Bo Li +491'],
    [{ poll: { question: 'When?', options: [{ text: 'Mon' }, { text: 'Tue' }] } }, 'When? — Mon / Tue'],
    [{ dice: { emoji: '🎲', value: 5 } }, '🎲: 5'],
    [{ sticker: { file_id: 's', is_animated: true, is_video: false, emoji: '😀' } }, '😀'],
    [{ checklist: { title: 'Shop', tasks: [{ text: 'milk' }, { text: 'tea' }] } }, '[checklist: Shop — milk / tea]'],
    [{ invoice: { title: 'Lamp', description: 'a red one' } }, '[invoice: Lamp, a red one]'],
    [{ game: { title: 'Chess', description: 'with us' } }, '[game: Chess, with us]'],
    [{ story: { id: 1 } }, '[story]'],
    [{ giveaway: { winner_count: 1 } }, '[giveaway]'],
    [{ paid_media: { star_count: 5 }, caption: 'look' }, 'look'],
    [{ paid_media: { star_count: 5 } }, '[pictures or videos that cost stars]'],
  ])('%j is told in words', (message, words) => {
    expect(messageOf(message).text).toContain(words);
  });

  test.each([
    'hidden_user',
    'user',
    'chat',
    'channel',
  ])('what is passed on from a %s is marked, its words are its words', (type) => {
    const forward_origin = { type, date: 1 };
    expect(messageOf({ text: '/stop', forward_origin })).toMatchObject({ forwarded: true, text: '/stop' });
    const photo = { photo: [{ file_id: 'f' }], caption: '/stop', forward_origin };
    expect(messageOf(photo)).toMatchObject({ forwarded: true, text: '/stop' });
  });

  test('a link behind words shows its address, wherever it stands', () => {
    const entities = [
      { type: 'text_link', offset: 4, length: 4, url: 'https://a.example/x' },
      { type: 'bold', offset: 0, length: 3 },
      { type: 'text_link', offset: 13, length: 2, url: 'https://b.example/' },
    ];
    const words = 'see here and 👍 or https://c.example';
    const shown = 'see here (https://a.example/x) and 👍 (https://b.example/) or https://c.example';
    expect(messageOf({ text: words, entities }).text).toBe(shown);
    expect(messageOf({ photo: [{ file_id: 'f' }], caption: words, caption_entities: entities }).text).toBe(shown);
    const across = [
      { type: 'text_link', offset: 0, length: 8, url: 'https://a.example/' },
      { type: 'text_link', offset: 3, length: 3, url: 'https://b.example/' },
    ];
    expect(messageOf({ text: 'ab cd ef', entities: across }).text).toBe(
      'ab cd (https://b.example/) ef (https://a.example/)',
    );
    const bank = [{ type: 'text_link', offset: 0, length: 20, url: 'https://evil.example/' }];
    expect(messageOf({ text: 'https://bank.example', entities: bank }).text).toBe(
      'https://bank.example (https://evil.example/)',
    );
    const same = [{ type: 'text_link', offset: 0, length: 18, url: 'https://a.example/' }];
    expect(messageOf({ text: 'https://a.example/', entities: same }).text).toBe('https://a.example/');
  });

  test.each([
    [{ photo: [{ file_id: 'p' }] }, '[image: photo.jpg]', 'p'],
    [{ voice: { file_id: 'v' } }, '[voice: voice.ogg]', 'v'],
    [{ document: { file_id: 'd', file_name: 'bill.pdf' } }, '[document: bill.pdf]', 'd'],
    [{ document: { file_id: 'd', file_name: 'bill.pdf' }, caption: 'pay' }, 'pay', 'd'],
  ])('a reply to %j names the file and brings it along', (file, text, ref) => {
    const replied = { message_id: 3, date: 1, chat: { id: 9, type: 'private' }, from: { id: 12, first_name: 'Ben' } };
    const reply = messageOf({ text: 'what is it?', reply_to_message: { ...replied, ...file } });
    expect(reply).toMatchObject({ replyTo: { sender: 'Ben', text }, media: [{ ref }] });
  });

  test.each([
    [{ type: 'user', sender_user: { id: 5, first_name: 'Cy' } }, 'Cy'],
    [{ type: 'hidden_user', sender_user_name: 'Somebody' }, 'Somebody'],
    [{ type: 'channel', chat: { id: -7, type: 'channel', title: 'News' }, message_id: 8 }, 'News'],
    [{ type: 'chat', sender_chat: { id: -8, type: 'group', title: 'Team' } }, 'Team'],
  ])('a reply to a message of another chat: %j', (origin, sender) => {
    const elsewhere = { origin: { ...origin, date: 7 }, photo: [{ file_id: 'p' }] };
    const reply = messageOf({ text: 'this?', external_reply: elsewhere });
    expect(reply).toMatchObject({ replyTo: { sender, text: '[image: photo.jpg]' }, media: [{ ref: 'p' }] });
    const quoted = messageOf({ text: 'this?', external_reply: elsewhere, quote: { text: 'the point', position: 0 } });
    expect(quoted.replyTo).toMatchObject({ sender, text: 'the point' });
  });

  test.each([
    ['photo', [{ file_id: 'small' }, { file_id: 'big', file_size: 9 }], 'image', 'photo.jpg', 'image/jpeg', 'big', 9],
    [
      'document',
      { file_id: 'd', file_name: '../../etc/pass wd' },
      'document',
      'pass wd',
      'application/octet-stream',
      'd',
      0,
    ],
    ['document', { file_id: 'd', file_name: 'x.PNG', mime_type: 'image/png' }, 'image', 'x.PNG', 'image/png', 'd', 0],
    ['voice', { file_id: 'v', mime_type: 'audio/ogg' }, 'voice', 'voice.ogg', 'audio/ogg', 'v', 0],
    ['audio', { file_id: 'a', file_name: 'song.mp3' }, 'audio', 'song.mp3', 'audio/mpeg', 'a', 0],
    ['video', { file_id: 'v' }, 'video', 'video.mp4', 'video/mp4', 'v', 0],
    ['video_note', { file_id: 'n' }, 'video', 'video-note.mp4', 'video/mp4', 'n', 0],
    ['sticker', { file_id: 's', is_animated: false, is_video: false }, 'image', 'sticker.webp', 'image/webp', 's', 0],
  ])('%s as a file', (kind, file, as, fileName, mimeType, ref, sizeBytes) => {
    const { media, text } = messageOf({ [kind]: file, caption: kind === 'sticker' ? undefined : 'look' });
    expect(media).toEqual([{ kind: as, fileName, mimeType, ref, sizeBytes }]);
    if (kind !== 'sticker') expect(text).toBe('look');
  });

  test('an animation is one file, not two', () => {
    const gif = { file_id: 'g', file_name: 'cat.mp4', mime_type: 'video/mp4' };
    expect(messageOf({ animation: gif, document: gif }).media).toHaveLength(1);
  });

  test.each([
    ['report.pdf', 'report.pdf'],
    ['C:\\Users\\x\\evil.exe', 'evil.exe'],
    ['/etc/passwd', 'passwd'],
    ['..', 'file'],
    ['.bashrc', 'bashrc'],
    ['', 'file'],
    ['a/', 'file'],
    ['a\u202egpj.exe', 'a_gpj.exe'],
    ['a\nb\0c', 'a_b_c'],
    [`${'é'.repeat(300)}.pdf`, `${'é'.repeat(96)}.pdf`],
  ])('the file name %j becomes %j', (name, safe) => {
    expect(safeFileName(name)).toBe(safe);
  });
});

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function openTelegram(prepare: (fake: FakeTelegram) => void = () => undefined) {
  const fake = await startFakeTelegram();
  closing.push(fake.close);
  prepare(fake);
  const host: ChannelHost = createChannelHost();
  const channel = await telegram.create(
    { TELEGRAM_BOT_TOKEN: fake.token, TELEGRAM_API_ROOT: `${fake.url}/` },
    host.deps,
  );
  if (!channel) throw new Error('the channel is off');
  closing.push(() => channel.stop());
  const user = fake.user({ id: 11, first_name: 'Anna' });
  const chat = fake.privateChat(user);
  const send = (text: string, address = '11') => channel.send({ address, text, key: '1.0' });
  const failure = (text: string, address?: string) =>
    send(text, address).then(
      () => undefined,
      (error: unknown) => error,
    );
  channel.start();
  return { fake, host, channel, user, chat, send, failure };
}

/** Another program with the same token: it asks again whenever it was cut off. */
function startRival(fake: FakeTelegram): { stop(): Promise<void> } {
  const over = new AbortController();
  const poll = async () => {
    while (!over.signal.aborted) {
      const url = `${fake.url}/bot${fake.token}/getUpdates?timeout=30`;
      await fetch(url, { signal: over.signal }).then(
        (response) => response.arrayBuffer(),
        () => undefined,
      );
    }
  };
  const polling = poll();
  return {
    async stop() {
      over.abort();
      await polling;
    },
  };
}

describe('settings', () => {
  test('no token: the channel is off', async () => {
    expect(await telegram.create({}, createChannelHost().deps)).toBeUndefined();
  });

  test.each([
    [{ TELEGRAM_BOT_TOKEN: 'hello' }, 'BotFather'],
    [{ TELEGRAM_BOT_TOKEN: '12345:short' }, 'BotFather'],
    [{ TELEGRAM_API_ROOT: 'not a url' }, 'https://api.telegram.org'],
    [{ TELEGRAM_API_ROOT: 'file:///etc' }, 'https://api.telegram.org'],
  ])('%j is refused with the fix', (env, fix) => {
    expect(telegram.env.safeParse(env).error?.issues[0]?.message).toContain(fix);
  });
});

describe('receiving', () => {
  test('its menu is told by right, and only what changed since; whoever is the owner no more loses theirs', async () => {
    const { fake, host, channel } = await openTelegram();
    await host.untilState('open');
    const [help, stop] = [
      { name: 'help', what: 'this list' },
      { name: 'stop', what: `stop ${'x'.repeat(300)}` },
    ];
    const menu = { everybody: [help], owner: [help, stop], ownerChats: ['11'] };
    const shown = (chatId?: number) => fake.commands(chatId).map(({ command }) => command);
    channel.showMenu?.(menu);
    await fake.waitFor(() => fake.menuCalls() === 2);
    expect([shown(), shown(11), shown(12)]).toEqual([['help'], ['help', 'stop'], []]);
    channel.showMenu?.(menu);
    channel.showMenu?.({ ...menu, ownerChats: ['12'] });
    await fake.waitFor(() => fake.menuCalls() === 4);
    expect([shown(11), shown(12)]).toEqual([[], ['help', 'stop']]);
    expect(channel.pairingLink?.('ABCD')).toBe(`https://t.me/${fake.bot.username}?start=ABCD`);
    // Another start of the same home: nothing is told again, until something changed that was refused before.
    const again = await telegram.create({ TELEGRAM_BOT_TOKEN: fake.token, TELEGRAM_API_ROOT: fake.url }, host.deps);
    await channel.stop();
    again?.start();
    closing.push(async () => again?.stop());
    await host.untilState('open');
    fake.faults.next('setMyCommands', { status: 500 });
    again?.showMenu?.({ ...menu, ownerChats: ['12'] });
    again?.showMenu?.({ ...menu, everybody: [help, stop], ownerChats: ['12'] });
    again?.showMenu?.({ ...menu, everybody: [help, stop], ownerChats: ['12'] });
    await fake.waitFor(() => shown().length === 2);
    // One more where the first stopped before it heard that the last was taken.
    expect(fake.menuCalls()).toBeLessThanOrEqual(6);
  });

  test('it is open at once, without waiting for a first message', async () => {
    const { fake, host } = await openTelegram();
    await host.untilState('open');
    expect(host.states.at(-1)?.detail).toBe(`@${fake.bot.username}`);
  });

  test('a wrong token blocks, names the variable, and heals when the token works again', async () => {
    const { fake, host } = await openTelegram((tg) => tg.faults.always('getMe', { status: 401 }));
    await host.untilState('blocked');
    expect(host.states.at(-1)?.detail).toContain('TELEGRAM_BOT_TOKEN');
    await host.until(() => host.pauses.length >= 2);
    expect(host.pauses).toEqual(host.pauses.map(() => 60_000));
    fake.faults.clear();
    await host.untilState('open');
  });

  test('a token that is revoked while running blocks too', async () => {
    const { fake, host, chat, user } = await openTelegram();
    await fake.waitForPoll();
    fake.faults.always('getUpdates', { status: 401 });
    fake.userSends(chat, user, 'last words');
    await host.untilState('blocked');
    expect(host.texts()).toEqual(['last words']);
  });

  test('a second program on the same token blocks with what to do, without flapping, until it is gone', async () => {
    const { fake, host } = await openTelegram();
    await fake.waitForPoll();
    const rival = startRival(fake);
    await host.until(() => host.pauses.length >= 4);
    expect(host.states.at(-1)?.detail).toContain('another program');
    expect(host.pauses.slice(1, 4)).toEqual([30_000, 30_000, 30_000]);
    const blockedAt = host.states.findIndex(({ state }) => state === 'blocked');
    expect(host.states.slice(blockedAt).every(({ state }) => state === 'blocked')).toBe(true);
    await rival.stop();
    await fake.waitForPoll();
    const ben = fake.user({ id: 12, first_name: 'Ben' });
    fake.userSends(fake.privateChat(ben), ben, 'hello');
    await host.untilState('open');
    expect(host.texts()).toEqual(['hello']);
  });

  test('a webhook left by another program is removed instead of blocking for ever', async () => {
    const description = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook";
    const { fake, host, chat, user } = await openTelegram((tg) =>
      tg.faults.next('getUpdates', { status: 409, description }),
    );
    await fake.waitForRequest('deleteWebhook');
    await fake.waitForPoll();
    fake.userSends(chat, user, 'hello');
    await host.untilState('open');
  });

  test('429 on a poll is obeyed', async () => {
    const { host } = await openTelegram((tg) =>
      tg.faults.next('getUpdates', { status: 429, parameters: { retry_after: 17 } }),
    );
    await host.untilState('open');
    expect(host.pauses).toEqual([17_000]);
  });

  test.each([
    ['a bad gateway', { status: 502 }],
    ['a proxy page', { body: '<html>Sign in to the hotel network</html>' }],
    ['a cut connection', { dropConnection: true }],
  ])('%s is waited out', async (_name, fault) => {
    const { host, fake, chat, user } = await openTelegram((tg) => tg.faults.next('getUpdates', fault, 3));
    await host.untilState('open');
    expect(host.pauses).toEqual([875, 1_750, 3_500]);
    fake.userSends(chat, user, 'still here?');
    await host.until(() => host.messages.length === 1);
  });

  test('an update that makes no sense is set aside, not logged, and does not block those behind it', async () => {
    const { fake, host, chat, user } = await openTelegram();
    await fake.waitForPoll();
    const broken = { text: 'secret words', entities: [{ type: 'text_mention' as const, offset: 0, length: 1, user }] };
    fake.userSends(chat, user, { ...broken, entities: JSON.parse('[{"type":"text_mention","offset":0,"length":1}]') });
    fake.userSends(chat, user, 'fine');
    await host.until(() => host.messages.length === 1);
    expect(host.texts()).toEqual(['fine']);
    expect(host.setAside).toEqual([
      expect.objectContaining({ message: expect.objectContaining({ text: 'secret words' }) }),
    ]);
    expect(host.logLines.join('')).not.toContain('secret words');
    await fake.waitForConfirmed();
  });

  test('a press is told to the button only after it was committed, and one that was not committed comes again', async () => {
    const { fake, host, chat, user, channel } = await openTelegram();
    await channel.send({ address: '11', text: 'tea?', key: '1.0', buttons: tea });
    const id = Number(fake.sent[0]?.message_id);
    await fake.waitForPoll();
    const answeredAtCommit: boolean[] = [];
    host.beforeCommit = () => {
      answeredAtCommit.push(fake.presses.some(({ answered }) => answered));
      if (host.offered.length < 3) throw new Error('disk full');
    };
    fake.userPresses(chat, user, id, 'choice:1');
    await fake.waitFor(() => fake.presses[0]?.answered === true);
    expect(answeredAtCommit).toEqual([false, false, false]);
    const [press] = fake.presses;
    expect(host.messages).toMatchObject([
      { platformId: `press-${press?.id}`, text: '', press: { platformId: String(id), value: 'choice:1' } },
    ]);
    await fake.waitForConfirmed();
  });

  test('what was taken in is acknowledged only once it is on disk, and comes again when it cannot be', async () => {
    const { fake, host, chat, user } = await openTelegram();
    await fake.waitForPoll();
    const pendingAtDisk: number[] = [];
    host.beforeDisk = () => {
      pendingAtDisk.push(fake.pendingUpdates().length);
      if (pendingAtDisk.length < 3) throw new Error('input/output error');
    };
    for (const text of ['one', 'two']) fake.userSends(chat, user, text);
    await fake.waitForConfirmed();
    expect(pendingAtDisk.every((count) => count > 0)).toBe(true);
    // Each time from the first on; the store knows them.
    expect(host.texts().slice(-2)).toEqual(['one', 'two']);
    expect(host.texts().filter((text) => text === 'one').length).toBeGreaterThanOrEqual(3);
    expect(host.states).toContainEqual(
      expect.objectContaining({ detail: expect.stringContaining('could not be stored: input/output error') }),
    );
  });

  test('a press that Telegram no longer lets us answer, or that is not about us, holds nothing up', async () => {
    const { fake, host, chat, user, channel } = await openTelegram();
    await channel.send({ address: '11', text: 'tea?', key: '1.0', buttons: tea });
    const id = Number(fake.sent[0]?.message_id);
    await fake.waitForPoll();
    fake.faults.always('answerCallbackQuery', { status: 400, description: 'Bad Request: query is too old' });
    fake.faults.next('editMessageReplyMarkup', { status: 400, description: "Bad Request: message can't be edited" });
    fake.userPresses(chat, user, id, 'choice:2', 'too old');
    await expect(channel.dropButtons?.('11', String(id))).rejects.toMatchObject({ kind: 'permanent' });
    await expect(channel.dropButtons?.('nobody', 'x')).rejects.toMatchObject({ kind: 'permanent' });
    fake.userSends(chat, user, 'still there?');
    await host.until(() => host.messages.length === 2);
    expect(host.messages).toMatchObject([
      { press: { platformId: String(id), value: 'choice:2' } },
      { text: 'still there?' },
    ]);
    expect(host.states.at(-1)?.state).toBe('open');
  });

  test('a reaction of a person arrives, also one taken back', async () => {
    const { fake, host, chat, user, send } = await openTelegram();
    const { platformId } = await send('tea is ready');
    await fake.waitForPoll();
    fake.userReacts(chat, user, Number(platformId), '👍');
    fake.userReacts(chat, user, Number(platformId), undefined);
    await host.until(() => host.messages.length === 2);
    expect(host.messages).toMatchObject([
      { text: '[reaction 👍]', contextOnly: true, press: { platformId, value: '👍' } },
      { text: '[reaction taken back]', contextOnly: true, press: { platformId, value: '' } },
    ]);
    expect(new Set(host.messages.map((message) => message.platformId)).size).toBe(2);
  });

  test('a group that becomes a supergroup moves with its chat', async () => {
    const { fake, host, user } = await openTelegram();
    await fake.waitForPoll();
    const group = fake.group({ id: -500, title: 'Family', members: [user] });
    const upgraded = fake.migrate(group);
    await host.until(() => host.moves.length > 0);
    expect(host.moves).toEqual([{ from: '-500', to: String(upgraded.id) }]);
    await fake.waitForConfirmed();
  });
});

describe('sending', () => {
  test('Markdown arrives formatted, without a preview, and without anything Telegram would have to repair', async () => {
    const { fake, send } = await openTelegram();
    const text =
      '## Title `x`\n\n**Bold _both_** and [link](https://e.org/?a=1&b=2)\n\n1. one\n   - two\n\n   ```py\n   a < b\n   ```\n\n> quote\n\n| a | b |\n|---|---|\n| 1 | <2> |';
    const { platformId } = await send(text);
    expect(fake.sent).toHaveLength(1);
    expect(fake.sent[0]).toMatchObject({
      chat_id: 11,
      parse_mode: 'HTML',
      warnings: [],
      message_id: Number(platformId),
    });
    expect(fake.requests.find(({ method }) => method === 'sendMessage')?.fields.link_preview_options).toContain('true');
    expect(fake.sent[0]?.plain).toContain('a < b');
  });

  test('buttons are a keyboard below the message or the file until they are dropped', async () => {
    const { fake, channel } = await openTelegram((tg) =>
      tg.faults.next('sendMessage', { status: 400, description: "Bad Request: can't parse entities: unexpected" }),
    );
    const buttons = [...tea, { label: 'a\n\u202e'.repeat(100), value: 'long' }, { label: '\u200b', value: 'empty' }];
    const { platformId } = await channel.send({ address: '11', text: '**tea?**', key: '1.0', buttons });
    const path = join(mkdtempSync(join(tmpdir(), 'pinch-buttons-')), 'card');
    writeFileSync(path, 'card');
    const file = { path, fileName: 'card.txt', mimeType: 'text/plain' };
    await channel.send({ address: '11', text: 'all of it', key: '2.0', buttons: tea, file });
    const keyboards = fake.sent.map(({ message }) => message.reply_markup?.inline_keyboard);
    expect(keyboards[1]).toEqual([
      [{ text: 'Green tea', callback_data: 'choice:1' }],
      [{ text: 'None', callback_data: 'choice:2' }],
    ]);
    expect(keyboards[0]?.slice(0, 2)).toEqual(keyboards[1]);
    expect(keyboards[0]?.slice(2)).toMatchObject([
      [{ text: expect.stringMatching(/^(a ){29}a…$/) }],
      [{ text: 'empty' }],
    ]);
    await channel.dropButtons?.('11', platformId);
    expect(
      fake.requests.filter(({ method, status }) => method === 'editMessageReplyMarkup' && status === 200),
    ).toHaveLength(1);
  });

  test('markup that Telegram refuses is sent once more as plain text', async () => {
    const { fake, send } = await openTelegram((tg) =>
      tg.faults.next('sendMessage', { status: 400, description: "Bad Request: can't parse entities: unexpected" }),
    );
    await send('**bold** & <tag>');
    expect(fake.sent[0]).toMatchObject({ plain: 'bold & <tag>', parse_mode: undefined });
  });

  test.each([
    ['sendPhoto', "can't parse entities: unexpected", '**all**', ['sendDocument all']],
    ['sendDocument', "can't parse entities: unexpected", '**all**', ['sendDocument all']],
    ['sendDocument', 'message caption is too long', '**all**', ['sendDocument all']],
    ['sendDocument', undefined, 'x'.repeat(1_100), ['sendDocument ', `sendMessage ${'x'.repeat(1_100)}`]],
  ])('a file is not lost with a caption that %s refuses (%s)', async (method, why, text, read) => {
    const { fake, channel } = await openTelegram();
    if (why) fake.faults.next(method, { status: 400, description: `Bad Request: ${why}` });
    const path = join(mkdtempSync(join(tmpdir(), 'pinch-caption-')), 'f');
    writeFileSync(path, 'bytes');
    const mimeType = method === 'sendPhoto' ? 'image/png' : 'text/plain';
    await channel.send({ address: '11', text, key: '1.0', file: { path, fileName: 'f.bin', mimeType } });
    expect(fake.sent.map((sent) => `${sent.method} ${sent.plain}`)).toEqual(read);
  });

  test('text that Markdown hides is sent as it is', async () => {
    const { fake, send } = await openTelegram();
    await send('[only]: https://e.org/');
    expect(fake.sent[0]?.plain).toBe('[only]: https://e.org/');
  });

  test.each([
    ['429', { status: 429, parameters: { retry_after: 7 } }, { kind: 'retry', retryAfterMs: 7_000 }],
    ['500', { status: 500 }, { kind: 'retry' }],
    ['a proxy page', { status: 502, body: '<html>' }, { kind: 'network' }],
    ['a cut connection', { dropConnection: true }, { kind: 'network' }],
    ['a revoked token', { status: 401 }, { kind: 'network' }],
    ['another refusal', { status: 400, description: 'Bad Request: message is too long' }, { kind: 'permanent' }],
  ])('%s on a send', async (_name, fault, wanted) => {
    const { fake, failure } = await openTelegram((tg) => tg.faults.next('sendMessage', fault));
    const error = await failure('hello');
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject(wanted);
    expect(fake.requests.filter(({ method }) => method === 'sendMessage')).toHaveLength(1);
  });

  test.each([
    ['a person who blocked the bot', 'bot was blocked by the user', '12'],
    ['a chat that does not exist', 'chat not found', '999'],
    ['an address that is none', 'chat', 'nobody'],
  ])('%s: given up with a reason', async (_name, reason, address) => {
    const { fake, failure } = await openTelegram();
    fake.block(fake.user({ id: 12, first_name: 'Ben' }));
    expect(await failure('hello', address)).toMatchObject({
      kind: 'permanent',
      message: expect.stringContaining(reason),
    });
  });

  test('a send to a group that became a supergroup reports the move and may be repeated at once', async () => {
    const { fake, host, user, failure, send } = await openTelegram();
    const upgraded = fake.migrate(fake.group({ id: -500, title: 'Family', members: [user] }));
    expect(await failure('hello', '-500')).toMatchObject({ kind: 'retry', retryAfterMs: 0 });
    expect(host.moves).toContainEqual({ from: '-500', to: String(upgraded.id) });
    await send('hello', String(upgraded.id));
    expect(fake.sent.map((sent) => sent.chat_id)).toEqual([upgraded.id]);
  });

  test('typing is shown; that it could not be shown troubles nobody', async () => {
    const { fake, channel } = await openTelegram();
    channel.typing('11');
    await fake.waitFor(() => fake.actions.length === 1);
    expect(fake.actions[0]).toMatchObject({ chat_id: 11, action: 'typing' });
    channel.typing('999');
    channel.typing('nobody');
    await fake.waitForRequest((request) => request.method === 'sendChatAction' && request.status === 400);
  });
});

describe('files', () => {
  async function withFile(bytes: Uint8Array, sizeBytes?: number) {
    const opened = await openTelegram();
    const document = { bytes, fileName: 'a.bin', ...(sizeBytes === undefined ? {} : { sizeBytes }) };
    opened.fake.userSends(opened.chat, opened.user, { document });
    await opened.host.until(() => opened.host.messages.length === 1);
    const ref = opened.host.messages[0]?.media[0]?.ref ?? '';
    const fetched = (maxBytes: number) => opened.channel.fetchMedia(ref, maxBytes).catch((error: unknown) => error);
    return { ...opened, fetched };
  }

  test('a file comes whole', async () => {
    const bytes = new Uint8Array(300_000).map((_, index) => index % 251);
    const { fetched } = await withFile(bytes);
    const got = await fetched(300_000);
    expect(got instanceof Uint8Array && Buffer.from(bytes).equals(got)).toBe(true);
  });

  test('a file that is larger, or larger than Telegram said, is refused for good', async () => {
    const honest = await withFile(new Uint8Array(2_000));
    expect(await honest.fetched(1_999)).toMatchObject({ kind: 'permanent' });
    expect(honest.fake.requests.some(({ method }) => method === 'file')).toBe(false);
    const lying = await withFile(new Uint8Array(2_000_000), 10);
    expect(await lying.fetched(1_000_000)).toMatchObject({
      kind: 'permanent',
      message: expect.stringContaining('larger'),
    });
    const tooBigForBots = await withFile(new Uint8Array(1), 30 * 1024 * 1024);
    expect(await tooBigForBots.fetched(1e9)).toMatchObject({ kind: 'permanent' });
  });

  test('a download that is cut off may be tried again', async () => {
    const { fake, fetched } = await withFile(new Uint8Array(10));
    fake.faults.next('file', { dropConnection: true });
    expect(await fetched(100)).toMatchObject({ kind: 'network' });
    expect(await fetched(100)).toHaveLength(10);
  });

  test('a path that leads elsewhere is not followed', async () => {
    const { fake, fetched } = await withFile(new Uint8Array(10));
    for (const path of [
      '/etc/passwd',
      '../../admin',
      'http://169.254.169.254/',
      'a/../../b',
      '@evil.example/x',
      'a?b',
    ]) {
      const body = JSON.stringify({ ok: true, result: { file_id: 'f', file_unique_id: 'u', file_path: path } });
      fake.faults.next('getFile', { body });
      expect(await fetched(100)).toMatchObject({ kind: 'permanent', message: 'Telegram does not offer the file' });
    }
    expect(fake.requests.some(({ method }) => method === 'file')).toBe(false);
  });
});
