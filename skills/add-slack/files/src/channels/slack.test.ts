import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createChannelHost, createStorage } from '../../test/fakes/channel-host.js';
import { type FakeSlack, plainSlack, startFakeSlack } from '../../test/fakes/slack.js';
import { testProgress } from '../progress/testing/scene.js';
import type { ChannelStorage } from './channel.js';
import { slack } from './slack.js';
import { markdownToSlack } from './slack-format.js';
import { plainText, readEvent } from './slack-inbound.js';
import { type Platform, testReceivingContract } from './testing/contract.js';

const settings = (fake: FakeSlack) => ({
  SLACK_BOT_TOKEN: fake.botToken,
  SLACK_APP_TOKEN: fake.appToken,
  SLACK_API_ROOT: fake.url,
});

testReceivingContract('slack', async (): Promise<Platform> => {
  const fake = await startFakeSlack();
  const anna = fake.user('UANNA', 'Anna');
  const chat = fake.conversation({ id: 'D1', kind: 'im', name: '', user: anna.id });
  const storage = createStorage();
  let said: Promise<unknown> = Promise.resolve();
  return {
    create(deps) {
      deps.storage = storage;
      return slack.create(settings(fake), deps);
    },
    address: chat.id,
    says(text) {
      // Behind the acknowledgements that are on their way.
      said = said.then(() => new Promise((resolve) => setImmediate(resolve))).then(() => fake.says(chat, anna, text));
      return said;
    },
    read: () => fake.sent().map(({ text }) => plainSlack(text)),
    shows: () => fake.sent().map(({ text }) => plainSlack(text)),
    unacknowledged: fake.unacknowledged,
    offline: fake.offline,
    cut: fake.cut,
    isBackOff: (ms) => ms <= 60_000,
    hangNextSend: () => fake.fault('chat.postMessage', { hang: true }),
    untilSendArrived: () => fake.untilCalled('chat.postMessage'),
    secrets: [fake.botToken, fake.appToken],
    close: fake.close,
  };
});

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function openSlack(storage: ChannelStorage = createStorage(), fake?: FakeSlack) {
  const world = fake ?? (await startFakeSlack());
  if (!fake) closing.push(world.close);
  const host = createChannelHost(storage);
  const channel = slack.create(settings(world), host.deps);
  if (!channel) throw new Error('the channel is off');
  closing.push(() => channel.stop());
  const anna = world.user('UANNA', 'Anna Bell');
  const direct = world.conversation({ id: 'D1', kind: 'im', name: '', user: anna.id });
  const family = world.conversation({ id: 'C1', kind: 'channel', name: 'family' });
  channel.start();
  return { fake: world, host, channel, anna, direct, family, storage };
}

async function openedSlack(...args: Parameters<typeof openSlack>) {
  const opened = await openSlack(...args);
  await opened.host.untilState('open');
  return opened;
}

testProgress('slack', async () => {
  const { fake, host, channel, direct } = await openSlack();
  const shows = () => fake.sent().map(({ text }) => plainSlack(text));
  const rang = () => fake.requests.filter((method) => method === 'chat.postMessage').length;
  return { host, channel, address: direct.id, shows, rang };
});

describe('what people write', () => {
  test('who, where and when, in a direct chat and in a channel', async () => {
    const { fake, host, anna, direct, family } = await openedSlack();
    const ts = fake.says(direct, anna, 'hello');
    fake.says(family, anna, 'hi &amp; <!here> <https://example.com|a page> <@UBOT> <@UANNA>');
    await host.until(() => host.messages.length === 2);
    expect(host.messages[0]).toEqual({
      chat: { address: 'D1', kind: 'direct', title: 'Anna Bell' },
      sender: { address: 'UANNA', name: 'Anna Bell' },
      platformId: ts,
      text: 'hello',
      sentAt: Math.round(Number(ts) * 1000),
      forwarded: false,
      addressesAssistant: false,
      edited: false,
      media: [],
    });
    expect(host.messages[1]).toMatchObject({
      chat: { address: 'C1', kind: 'group', title: '#family' },
      text: 'hi & @here a page (https://example.com) @Pinch @Anna Bell',
      addressesAssistant: true,
    });
  });

  test('an answer in a thread carries how the thread began; one below our words addresses us', async () => {
    const { fake, host, channel, anna, family } = await openedSlack();
    const began = fake.says(family, anna, 'lunch?');
    const { platformId: ours } = await channel.send({ address: family.id, text: 'at noon', key: '1.0' });
    fake.says(family, anna, { text: 'where?', thread_ts: began });
    fake.says(family, anna, { text: 'really?', thread_ts: ours });
    await host.until(() => host.messages.length === 3);
    expect(host.messages[1]).toMatchObject({
      addressesAssistant: false,
      replyTo: { platformId: began, sender: 'Anna Bell', text: 'lunch?' },
    });
    expect(host.messages[2]).toMatchObject({ addressesAssistant: true, replyTo: { sender: 'Pinch', text: 'at noon' } });
  });

  test('an edit is the same message with new words; the preview of a link is none', async () => {
    const { fake, host, anna, direct } = await openedSlack();
    const ts = fake.says(direct, anna, 'one');
    await host.until(() => host.messages.length === 1);
    fake.edits(ts, 'one');
    fake.edits(ts, 'two');
    await host.until(() => host.messages.length === 2);
    expect(host.messages[1]).toMatchObject({ platformId: ts, text: 'two', edited: true });
  });

  test('a command behind our name is one: Slack keeps lines that begin with a slash for itself', async () => {
    const { fake, host, anna, family } = await openedSlack();
    fake.says(family, anna, '<@UBOT> /register family');
    await host.until(() => host.messages.length === 1);
    expect(host.texts()).toEqual(['/register family']);
  });

  test.each([
    ['what we said ourselves', { user: 'UBOT', bot_id: 'BBOT', text: 'x' }],
    ['another bot', { user: 'UOTHER', bot_id: 'BOTHER', text: 'x' }],
    ['somebody joined', { user: 'UANNA', subtype: 'channel_join', text: '<@UANNA> has joined' }],
    ['a deletion', { subtype: 'message_deleted', deleted_ts: '1.000001' }],
    ['no words and no file', { user: 'UANNA', text: ' ' }],
    ['a form we do not know', { user: 7 }],
  ])('%s is no message', (_name, message) => {
    const event = { type: 'message', channel: 'C1', ts: '1700000000.000100', ...message };
    expect(readEvent('events_api', { event })).toEqual({ kind: 'ignore' });
  });

  test('a channel that got another id is moved', async () => {
    const { fake, host } = await openedSlack();
    fake.emit({ type: 'channel_id_changed', old_channel_id: 'C1', new_channel_id: 'C2' });
    await host.until(() => host.moves.length === 1);
    expect(host.moves).toEqual([{ from: 'C1', to: 'C2' }]);
  });

  test('people and channels that Slack does not tell about do not block those behind', async () => {
    const { fake, host, family } = await openedSlack();
    fake.fault('conversations.info', { error: 'channel_not_found' });
    fake.says(family, { id: 'UGONE', name: '', real_name: '' }, 'boo');
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({ chat: { title: '#C1' }, sender: { address: 'UGONE', name: 'Someone' } });
  });
});

describe('nothing is lost', () => {
  test('answers in threads that were written while nobody listened are read as well, in order', async () => {
    const first = await openedSlack();
    const { fake, anna, family, direct, storage } = first;
    const began = fake.says(family, anna, 'lunch?');
    await first.host.until(() => first.host.messages.length === 1);
    await first.channel.stop();
    fake.says(family, anna, { text: 'anybody?', thread_ts: began });
    fake.says(direct, anna, 'hello');
    fake.says(family, anna, 'bye');
    const { host } = await openedSlack(storage, fake);
    await host.until(() => host.texts().includes('bye'));
    // The last one of before comes again; the store knows it.
    expect(host.texts()).toEqual(['lunch?', 'anybody?', 'hello', 'bye']);
  });

  test('more than one page of history', async () => {
    const first = await openedSlack();
    await first.channel.stop();
    const texts = Array.from({ length: 450 }, (_, n) => `message ${n}`);
    for (const text of texts) first.fake.says(first.direct, first.anna, text);
    const { host } = await openedSlack(first.storage, first.fake);
    expect(host.texts()).toEqual(texts);
  });

  test('asked to slow down while it reads what it missed, it waits and goes on where it was', async () => {
    const first = await openedSlack();
    await first.channel.stop();
    first.fake.says(first.direct, first.anna, 'hello');
    first.fake.fault('conversations.history', { status: 429, retryAfter: 3 }, { status: 429, retryAfter: 5 });
    const { host } = await openedSlack(first.storage, first.fake);
    expect(host.texts()).toEqual(['hello']);
    expect(host.pauses).toEqual(expect.arrayContaining([3_000, 5_000]));
    expect(host.states.map(({ state }) => state)).toEqual(['connecting', 'open']);
  });

  test('stopped while it reads what it missed, it commits nothing any more', async () => {
    const first = await openedSlack();
    await first.channel.stop();
    for (const text of ['one', 'two']) first.fake.says(first.direct, first.anna, text);
    const { host, channel } = await openSlack(first.storage, first.fake);
    host.beforeCommit = () => void channel.stop();
    await host.until(() => host.messages.length === 1);
    await channel.stop();
    expect(host.texts()).toEqual(['one']);
  });

  test('an event that Slack sends again is not offered again', async () => {
    const { fake, host, anna, direct } = await openedSlack();
    host.beforeCommit = () => {
      if (host.offered.length === 1) fake.repeat();
    };
    fake.says(direct, anna, 'once');
    fake.says(direct, anna, 'then');
    await host.until(() => host.messages.length === 2);
    await fake.untilAcknowledged();
    expect(host.offered.map(({ text }) => text)).toEqual(['once', 'then']);
  });

  test('Slack recycles the connection: a new one takes its place', async () => {
    const { fake, host, anna, direct } = await openedSlack();
    fake.recycle();
    await host.untilState('reconnecting');
    fake.says(direct, anna, 'in between');
    await host.until(() => host.messages.length === 1);
    await host.untilState('open');
  });

  test('a send whose acceptance was lost is found again, not repeated', async () => {
    const { fake, channel, direct } = await openedSlack();
    const part = { address: direct.id, text: 'only once', key: '7.0' };
    fake.fault('chat.postMessage', { cut: 'after' });
    expect(await channel.send(part).catch((error: unknown) => error)).toMatchObject({ kind: 'network' });
    const again = await channel.send(part);
    expect(fake.sent().map(({ ts, text }) => [ts, text])).toEqual([[again.platformId, 'only once']]);
    fake.fault('chat.postMessage', { cut: 'before' });
    const other = { ...part, key: '8.0' };
    await channel.send(other).catch(() => undefined);
    await channel.send(other);
    expect(fake.sent()).toHaveLength(2);
  });
});

describe('what Slack refuses', () => {
  test.each([
    ['auth.test', { error: 'invalid_auth' }, 'SLACK_BOT_TOKEN (invalid_auth)'],
    ['apps.connections.open', { error: 'token_revoked' }, 'SLACK_APP_TOKEN (token_revoked)'],
    ['users.conversations', { error: 'missing_scope', needed: 'channels:read' }, 'lacks the scope channels:read'],
  ])('%s refused needs a person, who is told what to do, and heals when it is right', async (method, fault, words) => {
    const fake = await startFakeSlack();
    closing.push(fake.close);
    fake.fault(method, fault);
    const { host } = await openSlack(createStorage(), fake);
    await host.until(() => host.states.some(({ state }) => state === 'blocked'));
    expect(host.states.find(({ state }) => state === 'blocked')?.detail).toContain(words);
    await host.untilState('open');
  });

  test.each([
    [{ error: 'channel_not_found' }, 'permanent'],
    [{ error: 'is_archived' }, 'permanent'],
    [{ error: 'internal_error' }, 'retry'],
    [{ error: 'token_revoked' }, 'network'],
    [{ status: 503, body: '<html>' }, 'network'],
    [{ status: 404 }, 'permanent'],
    [{ cut: 'before' as const }, 'network'],
  ])('a send that meets %j: %s', async (fault, kind) => {
    const { fake, channel, direct } = await openedSlack();
    fake.fault('chat.postMessage', fault);
    const failure = await channel.send({ address: direct.id, text: 'x', key: '1.0' }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'ChannelError', kind });
  });

  test('asked to slow down, it waits as long as it is told', async () => {
    const { fake, channel, direct } = await openedSlack();
    fake.fault('chat.postMessage', { status: 429, retryAfter: 7 });
    const failure = await channel.send({ address: direct.id, text: 'x', key: '1.0' }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: 'retry', retryAfterMs: 7_000 });
  });
});

describe('files', () => {
  const photo = { id: 'F9', name: '../photo.png', mimetype: 'image/png', bytes: Buffer.from('png bytes') };

  test('what people send is fetched with the token, up to the limit', async () => {
    const { fake, host, channel, anna, direct } = await openedSlack();
    fake.says(direct, anna, { files: [photo] });
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({
      text: '',
      media: [{ kind: 'image', fileName: 'photo.png', mimeType: 'image/png', sizeBytes: 9, ref: 'F9' }],
    });
    expect(Buffer.from(await channel.fetchMedia('F9', 100)).toString()).toBe('png bytes');
    expect(await channel.fetchMedia('F9', 5).catch((error: unknown) => error)).toMatchObject({ kind: 'permanent' });
  });

  test('several in one message are one question with all of them', async () => {
    const { fake, host, anna, direct } = await openedSlack();
    fake.says(direct, anna, { text: 'which one?', files: ['F1', 'F2', 'F3'].map((id) => ({ ...photo, id })) });
    await host.until(() => host.messages.length === 1);
    const media = ['F1', 'F2', 'F3'].map((ref) => ({ ref }));
    expect(host.messages[0]).toMatchObject({ text: 'which one?', media });
  });

  test.each([
    'https://evil.example/F9',
    'http://127.0.0.1:1/F9',
    'file:///etc/passwd',
    'nonsense',
  ])('the token does not go to %s', async (url) => {
    const { fake, channel } = await openedSlack();
    fake.file({ ...photo, url });
    const failure = await channel.fetchMedia('F9', 100).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: 'permanent', message: 'Slack does not offer the file' });
  });

  test('a file of ours arrives with its caption', async () => {
    const { fake, channel, direct } = await openedSlack();
    const folder = mkdtempSync(join(tmpdir(), 'slack-'));
    const path = join(folder, 'a');
    writeFileSync(path, 'report');
    const file = { path, fileName: 'report.txt', mimeType: 'text/plain' };
    const { platformId } = await channel.send({ address: direct.id, text: '**here**', file, key: '1.0' });
    rmSync(folder, { recursive: true });
    expect(fake.files.get(platformId)).toMatchObject({ name: 'report.txt', bytes: Buffer.from('report') });
    expect(fake.sent()).toMatchObject([{ text: '*here*', files: [platformId] }]);
  });
});

describe('settings and text', () => {
  test.each([
    [{ SLACK_BOT_TOKEN: 'xoxb-1234567890' }, 'set both or none'],
    [{ SLACK_BOT_TOKEN: 'xoxp-1234567890', SLACK_APP_TOKEN: 'xapp-1234567890' }, 'use the token xoxb-…'],
    [{ SLACK_BOT_TOKEN: 'xoxb-1234567890', SLACK_APP_TOKEN: 'abc' }, 'use the token xapp-…'],
  ])('%j is refused', (env, words) => {
    const parsed = slack.env.safeParse(env);
    expect(parsed.error?.issues.map(({ message }) => message).join()).toContain(words);
  });

  test('without tokens the channel is off', () => {
    expect(slack.create(slack.env.parse({}), createChannelHost().deps)).toBeUndefined();
  });

  test.each([
    ['**bold** *it* ~~old~~ `a<b`', '*bold* _it_ ~old~ `a&lt;b`'],
    ['<!channel> <@U1> & co', '&lt;!channel&gt; &lt;@U1&gt; &amp; co'],
    ['[a|b](https://example.com/?a=1&b=2)', '<https://example.com/?a=1&amp;b=2|a/b>'],
    ['[x](javascript:alert)', 'x'],
    ['[![alt](https://e.com/i.png)](https://e.com/)', '<https://e.com/|alt>'],
    ['# Title\n\n> quote', '*Title*\n\n> quote'],
    ['```ts\na && b\n```', '```\na &amp;&amp; b\n```'],
  ])('%j is shown as %j', (markdown, shown) => {
    expect(markdownToSlack(markdown)).toBe(shown);
  });

  test.each([
    ['<#C1|general> <mailto:a@b.c|a@b.c> <https://a.b>', '#general a@b.c https://a.b'],
    ['<!subteam^S1|@team> <@W1> <@W2|old>', '@team @Will @old'],
    ['<@U1> not <@W3>, <@W4>ch or <@W5>', '@Pinch not @~Pinch, @~Pinch or @someone'],
    ['1 &lt; 2 &amp;amp; 3', '1 < 2 &amp; 3'],
  ])('%j reads %j', (text, plain) => {
    const names = new Map(Object.entries({ W1: 'Will', W3: 'Pinch', W4: 'Pin' }));
    expect(plainText(text, names, { userId: 'U1', assistantName: 'Pinch' })).toBe(plain);
  });
});
