// Faults on order, going offline, and what a bot does not get to see: the accidents other tests are built from.
import { Api, GrammyError, HttpError } from 'grammy';
import type { User } from 'grammy/types';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeTelegram, startFakeTelegram } from './telegram.js';

let telegram: FakeTelegram;
let api: Api;
let ann: User;
beforeEach(async () => {
  telegram = await startFakeTelegram({ botUsername: 'pinch_bot' });
  api = new Api(telegram.token, { apiRoot: telegram.url });
  ann = telegram.user({ id: 11, first_name: 'Ann' });
  telegram.privateChat(ann);
});
afterEach(() => telegram.close());

const thrown = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('faults', () => {
  test('an ordered error answers instead of the call, once, with its parameters', async () => {
    telegram.faults.next('sendMessage', { status: 429, parameters: { retry_after: 7 } });
    const error = await thrown(api.sendMessage(11, 'x'));
    expect(error).toBeInstanceOf(GrammyError);
    expect(error).toMatchObject({
      error_code: 429,
      description: 'Too Many Requests: retry after 7',
      parameters: { retry_after: 7 },
    });
    expect(telegram.sent).toEqual([]);
    expect(telegram.requests).toMatchObject([
      { method: 'sendMessage', fields: { chat_id: '11', text: 'x' }, status: 429 },
    ]);
    await api.sendMessage(11, 'x');
    expect(telegram.sent).toHaveLength(1);
  });

  test('a lost acceptance: the message is in the chat, the client does not know', async () => {
    telegram.faults.next('sendMessage', { after: 'accepted' });
    expect(await thrown(api.sendMessage(11, 'x'))).toBeInstanceOf(HttpError);
    expect(telegram.sent.map((sent) => sent.plain)).toEqual(['x']);
    expect(telegram.requests.at(-1)?.status).toBeUndefined();
  });

  test('an acceptance that nobody hears of: the answer never comes', async () => {
    telegram.faults.next('sendMessage', { after: 'accepted', hangMs: Number.POSITIVE_INFINITY });
    const hasty = new Api(telegram.token, { apiRoot: telegram.url, timeoutSeconds: 1 });
    expect(await thrown(hasty.sendMessage(11, 'x'))).toBeInstanceOf(HttpError);
    expect(telegram.sent).toHaveLength(1);
  });

  test('a call the server refuses is not accepted, whatever was ordered', async () => {
    telegram.faults.next('sendMessage', { after: 'accepted' });
    expect(await thrown(api.sendMessage(12, 'x'))).toBeInstanceOf(GrammyError);
  });

  test('updates lost on the way are served again: nobody confirmed them', async () => {
    telegram.userSends(telegram.privateChat(ann), ann, 'one');
    telegram.faults.next('getUpdates', { after: 'accepted', dropConnection: true });
    expect(await thrown(api.getUpdates())).toBeInstanceOf(HttpError);
    expect(await api.getUpdates()).toHaveLength(1);
  });

  test('faults queue up, stand until cleared, and may hit any method', async () => {
    telegram.faults.next('*', { dropConnection: true });
    telegram.faults.next('getMe', { status: 502, body: '<html>Bad Gateway</html>' }, 2);
    expect(await thrown(api.getMe())).toBeInstanceOf(HttpError);
    expect(await thrown(api.getMe())).toBeInstanceOf(HttpError);
    expect(await thrown(api.getMe())).toBeInstanceOf(HttpError);
    await api.getMe();
    telegram.faults.always('getme', { status: 401 });
    expect(await thrown(api.getMe())).toMatchObject({ error_code: 401, description: 'Unauthorized' });
    expect(await thrown(api.getMe())).toMatchObject({ error_code: 401 });
    telegram.faults.clear('getMe');
    await api.getMe();
  });

  test('a slow answer is an answer', async () => {
    telegram.faults.next('getMe', { hangMs: 50 });
    const asked = Date.now();
    await api.getMe();
    expect(Date.now() - asked).toBeGreaterThanOrEqual(45);
  });

  test('a download can fail too', async () => {
    const { voice } = telegram.userSends(telegram.privateChat(ann), ann, { voice: { bytes: Buffer.from('OggS') } });
    const { file_path } = await api.getFile(voice?.file_id ?? '');
    const url = `${telegram.url}/file/bot${telegram.token}/${file_path}`;
    telegram.faults.next('file', { status: 500 });
    expect((await fetch(url)).status).toBe(500);
    expect(await (await fetch(url)).text()).toBe('OggS');
  });
});

describe('offline', () => {
  test('cuts held polls and refuses new ones; what people wrote meanwhile is there afterwards', async () => {
    const held = thrown(api.getUpdates({ timeout: 30 }));
    await telegram.waitForPoll();
    telegram.offline(true);
    expect(await held).toBeInstanceOf(HttpError);
    expect(await thrown(api.getMe())).toBeInstanceOf(HttpError);
    telegram.userSends(telegram.privateChat(ann), ann, 'are you there?');
    telegram.offline(false);
    expect(await api.getUpdates()).toHaveLength(1);
  });
});

describe('waiting', () => {
  test('waits end with what came, or say what is missing', async () => {
    const late = telegram.waitForSent((sent) => sent.plain === 'second');
    await api.sendMessage(11, 'first');
    await api.sendMessage(11, 'second');
    expect((await late).message_id).toBe(2);
    expect((await telegram.waitForRequest('sendMessage')).fields).toEqual({ chat_id: '11', text: 'first' });
    await expect(telegram.waitForSent(3, 20)).rejects.toThrow(/waited 20 ms for 3 messages; so far 2 sent, 2 requests/);
  });
});

describe('a wait that fails by itself', () => {
  const boom = () => {
    throw new Error('no such thing');
  };
  test('fails its own test, while the client gets its answer: no lost acceptance nobody ordered', async () => {
    const waiting = thrown(telegram.waitForSent(boom));
    expect((await api.sendMessage(11, 'x')).message_id).toBe(1);
    expect(await waiting).toMatchObject({ message: 'no such thing' });
  });

  test('at its first look too', async () => {
    await api.sendMessage(11, 'x');
    expect(await thrown(telegram.waitForSent(boom))).toMatchObject({ message: 'no such thing' });
  });
});

describe('groups', () => {
  test('in privacy mode only what is meant for the bot reaches it', async () => {
    const shy = await startFakeTelegram({ botUsername: 'pinch_bot', canReadAllGroupMessages: false });
    const shyApi = new Api(shy.token, { apiRoot: shy.url });
    const group = shy.group({ id: -5, title: 'Home', members: [ann] });
    shy.userSends(group, ann, 'just talking');
    shy.userSends(group, ann, 'hey @pinch_bot');
    shy.userSends(group, ann, '/status');
    shy.userSends(group, ann, '/status@other_bot');
    const { message_id } = await shyApi.sendMessage(-5, 'yes?');
    shy.userSends(group, ann, { text: 'thanks', reply_to: message_id });
    const updates = await shyApi.getUpdates();
    await shy.close();
    expect(updates.map((update) => update.message?.text)).toEqual(['hey @pinch_bot', '/status', 'thanks']);
  });

  test('a bot that is added hears of it, and of nothing before', async () => {
    const group = telegram.group({ id: -5, title: 'Home', members: [ann], withBot: false });
    telegram.userSends(group, ann, 'before');
    telegram.addBot(group, ann);
    telegram.userSends(group, ann, 'after');
    const updates = await api.getUpdates();
    expect(updates.map((update) => Object.keys(update)[1])).toEqual(['my_chat_member', 'message', 'message']);
    expect(updates[1]?.message?.new_chat_members?.[0]?.id).toBe(telegram.bot.id);
    expect(updates[2]?.message?.text).toBe('after');
  });
});
