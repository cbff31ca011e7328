import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createChannelHost, createStorage } from '../../test/fakes/channel-host.js';
import { type FakeDiscord, startFakeDiscord } from '../../test/fakes/discord.js';
import { testProgress } from '../progress/testing/scene.js';
import type { ChannelStorage } from './channel.js';
import { discord } from './discord.js';
import { markdownToDiscord } from './discord-format.js';
import { discordMessage, inboundOf, isSpoken } from './discord-inbound.js';
import { type Platform, testReceivingContract } from './testing/contract.js';

const settings = (fake: FakeDiscord) => ({ DISCORD_BOT_TOKEN: fake.token, DISCORD_API_ROOT: fake.url });

testReceivingContract('discord', async (): Promise<Platform> => {
  const fake = await startFakeDiscord();
  const anna = fake.user('11', 'Anna');
  const chat = fake.channel({ id: '501', kind: 'dm', user: anna });
  const storage = createStorage();
  // A direct chat is known by its first message.
  storage.set([{ kind: 'chats', id: 'direct', value: chat.id }]);
  const cursor = () => BigInt(storage.get('cursor', ['received']).received ?? 0);
  return {
    create(deps) {
      deps.storage = storage;
      return discord.create(settings(fake), deps);
    },
    address: chat.id,
    says: (text) => fake.says(chat, anna, text),
    read: () => fake.sent().map(({ content }) => content),
    shows: () => fake.sent().map(({ content }) => content),
    // Discord holds nothing for a bot: what was not committed is what comes after the stored place in the history.
    unacknowledged: () => fake.messages.filter(({ id, author }) => author === anna && BigInt(id) > cursor()).length,
    offline: fake.offline,
    cut: fake.cut,
    isBackOff: (ms) => ms <= 60_000 && ![2_000, 15_000].includes(ms),
    hangNextSend: () => fake.fault('post', { hang: true }),
    untilSendArrived: () => fake.untilCalled('post'),
    secrets: [fake.token],
    close: fake.close,
  };
});

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function openDiscord(storage: ChannelStorage = createStorage(), fake?: FakeDiscord) {
  const world = fake ?? (await startFakeDiscord());
  if (!fake) closing.push(world.close);
  const host = createChannelHost(storage);
  const channel = discord.create(settings(world), host.deps);
  if (!channel) throw new Error('the channel is off');
  closing.push(() => channel.stop());
  const anna = world.user('11', 'Anna Bell');
  const direct = world.channel({ id: '501', kind: 'dm', user: anna });
  const family = world.channel({ id: '502', kind: 'text', name: 'family' });
  channel.start();
  return { fake: world, host, channel, anna, direct, family, storage };
}

async function openedDiscord(...args: Parameters<typeof openDiscord>) {
  const opened = await openDiscord(...args);
  await opened.host.untilState('open');
  return opened;
}

testProgress('discord', async () => {
  const { fake, host, channel, direct } = await openDiscord();
  const shows = () => fake.sent().map(({ content }) => content);
  return { host, channel, address: direct.id, shows, rang: () => fake.world.rings };
});

describe('what people write', () => {
  test('who, where and when, in a direct chat and in a channel', async () => {
    const { fake, host, anna, direct, family } = await openedDiscord();
    const id = fake.says(direct, anna, 'hello');
    fake.says(family, anna, '<@!11> <@100> see <#7> <a:wave:9>');
    await host.until(() => host.messages.length === 2);
    expect(host.messages[0]).toEqual({
      chat: { address: '501', kind: 'direct', title: 'Anna Bell' },
      sender: { address: '11', name: 'Anna Bell', username: 'annabell' },
      platformId: id,
      text: 'hello',
      sentAt: fake.messages[0]?.at,
      forwarded: false,
      addressesAssistant: false,
      edited: false,
      media: [],
    });
    expect(host.messages[1]).toMatchObject({
      chat: { address: '502', kind: 'group', title: '#family' },
      text: '@Anna Bell @Pinch see #7 :wave:',
      addressesAssistant: true,
    });
  });

  test('a reply carries what it answers; one to our words addresses us', async () => {
    const { fake, host, channel, anna, family } = await openedDiscord();
    const first = fake.says(family, anna, 'lunch?');
    const { platformId: ours } = await channel.send({ address: family.id, text: 'at noon', key: '1.0' });
    fake.says(family, anna, { content: 'why?', replyTo: first });
    fake.says(family, anna, { content: 'really?', replyTo: ours });
    await host.until(() => host.messages.length === 3);
    expect(host.messages[1]).toMatchObject({
      addressesAssistant: false,
      replyTo: { platformId: first, sender: 'Anna Bell', text: 'lunch?' },
    });
    expect(host.messages[2]).toMatchObject({ addressesAssistant: true, replyTo: { sender: 'Pinch', text: 'at noon' } });
  });

  test('what somebody passes on is read and marked: it is no command', () => {
    const forward = discordMessage.parse({
      ...{ id: '9', channel_id: '502', type: 0, content: '', timestamp: '2026-11-21T09:00:00Z' },
      author: { id: '11', username: 'annabell' },
      message_snapshots: [{ message: { content: '/stop <@12>', mentions: [{ id: '12', username: 'ben' }] } }],
    });
    const chat = { address: '502', kind: 'group' as const, title: '#family' };
    expect(isSpoken(forward)).toBe(true);
    const context = { chat, self: { id: '100' }, assistantName: 'Pinch', edited: false };
    expect(inboundOf(forward, context)).toMatchObject({ text: '/stop @ben', forwarded: true });
  });

  test('people who are mentioned have names, none of which calls the assistant', () => {
    const people = { 12: 'Pinch', 13: 'Pin', 14: '@Pinch' };
    const message = discordMessage.parse({
      ...{ id: '9', channel_id: '502', type: 0, timestamp: '2026-11-21T09:00:00Z' },
      content: '<@12> <@13>ch <@14> <@15> <@&16> @everyone',
      author: { id: '11', username: 'annabell' },
      mentions: Object.entries(people).map(([id, username]) => ({ id, username })),
    });
    const chat = { address: '502', kind: 'group' as const, title: '#family' };
    const context = { chat, self: { id: '100' }, assistantName: 'Pinch', edited: false };
    const text = '@~Pinch @~Pinch @~Pinch @someone @some-role @everyone';
    expect(inboundOf(message, context)).toMatchObject({ text, addressesAssistant: false });
  });

  test('an edit is the same message with new words; the preview of a link is none', async () => {
    const { fake, host, anna, direct } = await openedDiscord();
    const id = fake.says(direct, anna, 'one');
    fake.edits(id);
    fake.edits(id, 'two');
    await host.until(() => host.messages.length === 2);
    expect(host.messages[1]).toMatchObject({ platformId: id, text: 'two', edited: true });
  });

  test('bots, webhooks, joins and empty messages are none; a sticker is named', async () => {
    const { fake, host, anna, family } = await openedDiscord();
    fake.says(family, fake.user('12', 'Robot', { bot: true }), 'beep');
    fake.says(family, anna, { content: 'from elsewhere', webhook: true });
    fake.says(family, anna, { content: 'joined', type: 7 });
    fake.says(family, anna, { content: ' ' });
    fake.says(family, anna, { stickers: ['Wumpus'] });
    await host.until(() => host.messages.length === 1);
    expect(host.texts()).toEqual(['[sticker Wumpus]']);
  });

  test('a channel that Discord does not show any more does not block those behind', async () => {
    const { fake, host, anna, family } = await openedDiscord();
    fake.fault('channel', { status: 404, code: 10_003, message: 'Unknown Channel' });
    fake.says(family, anna, 'boo');
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({ chat: { title: '#502', kind: 'group' } });
  });
});

describe('nothing is lost', () => {
  test('what was written everywhere while nobody listened is read, in order, page by page', async () => {
    const first = await openedDiscord();
    const { fake, anna, family, direct, storage } = first;
    fake.says(direct, anna, 'hello');
    await first.host.until(() => first.host.messages.length === 1);
    await first.channel.stop();
    const texts = Array.from({ length: 250 }, (_, n) => `message ${n}`);
    for (const [n, text] of texts.entries()) fake.says(n % 2 ? direct : family, anna, text);
    const { host } = await openedDiscord(storage, fake);
    // The last one of before comes again; the store knows it.
    expect(host.texts()).toEqual(['hello', ...texts]);
  });

  test('a channel that may not be read does not keep the others from being read', async () => {
    const first = await openedDiscord();
    await first.channel.stop();
    const secret = first.fake.channel({ id: '503', kind: 'text', name: 'secret', readable: false });
    first.fake.says(secret, first.anna, 'psst');
    first.fake.says(first.family, first.anna, 'aloud');
    const { host } = await openedDiscord(first.storage, first.fake);
    expect(host.texts()).toEqual(['aloud']);
  });

  test('Discord asks for a new connection: it is made, and what came in between is read', async () => {
    const { fake, host, anna, family } = await openedDiscord();
    fake.recycle();
    await host.untilState('reconnecting');
    fake.says(family, anna, 'in between');
    await host.until(() => host.messages.length === 1);
    await host.untilState('open');
  });

  test('a gateway that falls silent is left, and one that answers is kept', async () => {
    const { fake, host } = await openDiscord();
    fake.world.heartbeatMs = 100_000;
    await fake.untilCalled('heartbeat', 2);
    expect(host.states.at(-1)?.state).toBe('open');
    fake.world.answersHeartbeats = false;
    await host.untilState('reconnecting');
    expect(host.states.at(-1)?.detail).toBe('Discord does not answer in time');
  });

  test.each([
    'no JSON',
    '{}',
    '{"op":10,"d":null}',
  ])('a gateway that says %j is left for a new connection', async (text) => {
    const { fake, host } = await openedDiscord();
    fake.babble(text);
    await host.untilState('reconnecting');
    await host.untilState('open');
  });

  test('stopped while the gateway is still silent, it ends at once and connects no more', async () => {
    const fake = await startFakeDiscord();
    closing.push(fake.close);
    fake.world.isMute = true;
    const { host, channel } = await openDiscord(createStorage(), fake);
    await fake.untilCalled('gateway');
    await channel.stop();
    expect(host.states.map(({ state }) => state)).toEqual(['connecting', 'stopped']);
    expect(fake.world.requests).toEqual(['gateway']);
  });

  test('a send whose acceptance was lost is not repeated', async () => {
    const { fake, channel, direct } = await openedDiscord();
    const part = { address: direct.id, text: 'only once', key: '7.0' };
    fake.fault('post', { cut: 'after' });
    expect(await channel.send(part).catch((error: unknown) => error)).toMatchObject({ kind: 'network' });
    const again = await channel.send(part);
    expect(fake.sent().map(({ id, content }) => [id, content])).toEqual([[again.platformId, 'only once']]);
    await channel.send({ ...part, key: '7.1' });
    expect(fake.sent()).toHaveLength(2);
  });
});

describe('what Discord refuses', () => {
  test.each([
    ['gateway', { status: 401 }, 'refuses DISCORD_BOT_TOKEN'],
    ['messages', { status: 401 }, 'refuses DISCORD_BOT_TOKEN'],
  ])('a token that is refused at %s needs a person, and heals when it is right', async (route, fault, words) => {
    const fake = await startFakeDiscord();
    closing.push(fake.close);
    fake.fault(route, fault);
    const storage = createStorage();
    storage.set([{ kind: 'chats', id: 'direct', value: '501' }]);
    const { host } = await openDiscord(storage, fake);
    await host.until(() => host.states.some(({ state }) => state === 'blocked'));
    expect(host.states.find(({ state }) => state === 'blocked')?.detail).toContain(words);
    await host.untilState('open');
  });

  test('without the right to read messages the owner is told which switch it is', async () => {
    const fake = await startFakeDiscord();
    closing.push(fake.close);
    fake.world.mayReadContent = false;
    const { host } = await openDiscord(createStorage(), fake);
    await host.until(() => host.states.some(({ state }) => state === 'blocked'));
    expect(host.states.at(-1)?.detail).toContain('Message Content Intent');
    fake.world.mayReadContent = true;
    await host.untilState('open');
  });

  test.each([
    [{ status: 403, code: 50_013, message: 'Missing Permissions' }, 'permanent'],
    [{ status: 404, code: 10_003, message: 'Unknown Channel' }, 'permanent'],
    [{ status: 401 }, 'network'],
    [{ status: 503 }, 'network'],
    [{ cut: 'before' as const }, 'network'],
  ])('a send that meets %j: %s', async (fault, kind) => {
    const { fake, channel, direct } = await openedDiscord();
    fake.fault('post', fault);
    const failure = await channel.send({ address: direct.id, text: 'x', key: '1.0' }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'ChannelError', kind });
  });

  test('asked to slow down for long, the message waits outside', async () => {
    const { fake, channel, direct } = await openedDiscord();
    fake.fault('post', { status: 429, retryAfter: 60 });
    const failure = await channel.send({ address: direct.id, text: 'x', key: '1.0' }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: 'retry', message: 'Discord asks us to slow down' });
    expect(failure).toHaveProperty('retryAfterMs', expect.closeTo(60_000, -3));
  });
});

describe('files', () => {
  const photo = { id: '9', filename: '../photo.png', content_type: 'image/png', bytes: Buffer.from('png bytes') };

  test('what people send is fetched at its present address, up to the limit', async () => {
    const { fake, host, channel, anna, direct } = await openedDiscord();
    const id = fake.says(direct, anna, { attachments: [photo] });
    await host.until(() => host.messages.length === 1);
    const ref = `501/${id}/9`;
    const media = [{ kind: 'image', fileName: 'photo.png', mimeType: 'image/png', sizeBytes: 9, ref }];
    expect(host.messages[0]).toMatchObject({ text: '', media });
    expect(Buffer.from(await channel.fetchMedia(ref, 100)).toString()).toBe('png bytes');
    expect(await channel.fetchMedia(ref, 5).catch((error: unknown) => error)).toMatchObject({ kind: 'permanent' });
  });

  test('several in one message are one question with all of them', async () => {
    const { fake, host, anna, direct } = await openedDiscord();
    const attachments = ['1', '2', '3'].map((id) => ({ ...photo, id }));
    const id = fake.says(direct, anna, { content: 'which one?', attachments });
    await host.until(() => host.messages.length === 1);
    const media = ['1', '2', '3'].map((file) => ({ ref: `501/${id}/${file}` }));
    expect(host.messages[0]).toMatchObject({ text: 'which one?', media });
  });

  test.each([
    'https://evil.example/9',
    'http://cdn.discordapp.com/9',
    'file:///etc/passwd',
    'nonsense',
  ])('nothing is fetched from %s', async (url) => {
    const { fake, channel, anna, direct } = await openedDiscord();
    const id = fake.says(direct, anna, { attachments: [{ ...photo, url }] });
    const failure = await channel.fetchMedia(`501/${id}/9`, 100).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: 'permanent', message: 'Discord does not offer the file' });
  });

  test('a file of ours arrives with its caption', async () => {
    const { fake, channel, direct } = await openedDiscord();
    const folder = mkdtempSync(join(tmpdir(), 'discord-'));
    const path = join(folder, 'a');
    writeFileSync(path, 'report');
    const file = { path, fileName: 'report.txt', mimeType: 'text/plain' };
    await channel.send({ address: direct.id, text: '**here**', file, key: '1.0' });
    rmSync(folder, { recursive: true });
    const attachments = [{ filename: 'report.txt', bytes: Buffer.from('report') }];
    expect(fake.sent()).toMatchObject([{ content: '**here**', attachments }]);
  });
});

describe('settings and text', () => {
  test('a token of another form is refused, and without one the channel is off', () => {
    expect(discord.env.safeParse({ DISCORD_BOT_TOKEN: 'abc' }).error?.issues[0]?.message).toContain('page "Bot"');
    expect(discord.create(discord.env.parse({}), createChannelHost().deps)).toBeUndefined();
  });

  test('no text of ours can call anybody or grow a preview', async () => {
    const { fake, channel, direct } = await openedDiscord();
    await channel.send({ address: direct.id, text: '@everyone <@11> https://example.com', key: '1.0' });
    expect(fake.sent()).toMatchObject([{ mentionsAllowed: { parse: [] }, flags: 4 }]);
  });

  test.each([
    ['**bold** *it* `a<b` [x](https://e.com)', '**bold** *it* `a<b` [x](https://e.com)'],
    ['# Title\n\n##### small\n\ntext', '# Title\n\n**small**\n\ntext'],
    ['| a | bb |\n|---|---|\n| ccc | d |', '```\na   | bb\n----+---\nccc | d\n```'],
    ['[x]: https://e.com', '[x]: https://e.com'],
  ])('%j is sent as %j', (markdown, shown) => {
    expect(markdownToDiscord(markdown)).toBe(shown);
  });
});
