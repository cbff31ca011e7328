// The fake Bot API held against the real grammY: updates, polls, calls. If the two disagree, tests of the channel prove nothing.
import { get } from 'node:http';
import { Api, Bot, GrammyError } from 'grammy';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeTelegram, startFakeTelegram } from './telegram.js';

let telegram: FakeTelegram;
let api: Api;
beforeEach(async () => {
  telegram = await startFakeTelegram({ botId: 99, botUsername: 'pinch_bot' });
  api = new Api(telegram.token, { apiRoot: telegram.url });
});
afterEach(() => telegram.close());

function annWrites(...texts: string[]) {
  const ann = telegram.user({ id: 11, first_name: 'Ann', username: 'ann_example' });
  const chat = telegram.privateChat(ann);
  return texts.map((text) => telegram.userSends(chat, ann, text));
}
const texts = (updates: { message?: { text?: string } }[]) => updates.map((update) => update.message?.text);

async function failure(promise: Promise<unknown>): Promise<GrammyError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GrammyError)) throw new Error(`expected a GrammyError, got ${String(error)}`);
  return error;
}

describe('a conversation', () => {
  test('a real bot hears a user and answers, and the update is confirmed', async () => {
    const bot = new Bot(telegram.token, { client: { apiRoot: telegram.url } });
    bot.on('message:text', (ctx) => ctx.reply(`<b>you said</b> ${ctx.message.text}`, { parse_mode: 'HTML' }));
    const started = bot.start();
    await telegram.waitForPoll();
    annWrites('hello');
    const [sent] = await telegram.waitForSent(1);
    expect(sent).toMatchObject({
      method: 'sendMessage',
      chat_id: 11,
      message_id: 2,
      plain: 'you said hello',
      warnings: [],
    });
    expect(sent?.entities).toEqual([{ type: 'bold', offset: 0, length: 8 }]);
    await telegram.waitForConfirmed();
    await bot.stop();
    await started;
  });

  test('the real context sees mentions and commands where they are', async () => {
    const bot = new Bot(telegram.token, { client: { apiRoot: telegram.url } });
    const heard: string[] = [];
    bot.command('status', () => heard.push('command'));
    bot.on('message:entities:mention', (ctx) =>
      heard.push(
        ctx
          .entities('mention')
          .map((found) => found.text)
          .join(),
      ),
    );
    const started = bot.start();
    annWrites('/status now', '😀 hi @pinch_bot');
    await telegram.waitForPoll();
    await telegram.waitForConfirmed();
    expect(heard).toEqual(['command', '@pinch_bot']);
    await bot.stop();
    await started;
  });
});

describe('updates', () => {
  test('an update is served again until an offset above it confirms it, then never', async () => {
    annWrites('one', 'two', 'three');
    const first = await api.getUpdates();
    expect(texts(first)).toEqual(['one', 'two', 'three']);
    expect(texts(await api.getUpdates())).toEqual(['one', 'two', 'three']);
    const second = first[1]?.update_id ?? 0;
    expect(telegram.confirmedOffset()).toBe(0);
    expect(texts(await api.getUpdates({ offset: second + 1 }))).toEqual(['three']);
    expect(telegram.confirmedOffset()).toBe(second + 1);
    expect(texts(await api.getUpdates({ offset: second }))).toEqual(['three']);
    expect(texts(await api.getUpdates({ offset: 0 }))).toEqual(['three']);
    expect(telegram.pendingUpdates()).toHaveLength(1);
  });

  test('ids rise by one, over all chats', () => {
    annWrites('one', 'two');
    const bob = telegram.user({ id: 12, first_name: 'Bob' });
    const group = telegram.group({ id: -5, title: 'Home', members: [bob] });
    expect(telegram.userSends(group, bob, 'first here').message_id).toBe(1);
    const [a, b, c] = telegram.pendingUpdates().map((update) => update.update_id);
    expect([b, c]).toEqual([(a ?? 0) + 1, (a ?? 0) + 2]);
  });

  test('a negative offset keeps only the last ones', async () => {
    annWrites('one', 'two', 'three');
    expect(texts(await api.getUpdates({ offset: -1 }))).toEqual(['three']);
    expect(texts(await api.getUpdates())).toEqual(['three']);
    expect(texts(await api.getUpdates({ offset: -50 }))).toEqual(['three']);
  });

  test('an offset far in the future confirms nothing', async () => {
    annWrites('one');
    const id = telegram.pendingUpdates()[0]?.update_id ?? 0;
    expect(texts(await api.getUpdates({ offset: id + 1_000_000 }))).toEqual(['one']);
  });

  test('limit is 1 to 100, 100 unless told', async () => {
    annWrites(...Array.from({ length: 120 }, (_, n) => `${n}`));
    expect(await api.getUpdates()).toHaveLength(100);
    expect(await api.getUpdates({ limit: 1000 })).toHaveLength(100);
    expect(texts(await api.getUpdates({ limit: 2 }))).toEqual(['0', '1']);
  });

  test('allowed_updates holds for later polls and only for later updates', async () => {
    const [message] = annWrites('one');
    await api.getUpdates({ allowed_updates: ['edited_message'] });
    annWrites('two');
    const ann = telegram.user({ id: 11, first_name: 'Ann' });
    telegram.userSends(telegram.privateChat(ann), ann, { text: 'one!', edit_of: message?.message_id ?? 0 });
    const updates = await api.getUpdates();
    expect(updates.map((update) => update.message?.text ?? update.edited_message?.text)).toEqual(['one', 'one!']);
    expect(updates[1]?.edited_message?.edit_date).toBeGreaterThan(0);
  });
});

describe('long polls', () => {
  test('a poll is held open and ends with the messages of one breath together', async () => {
    const held = api.getUpdates({ timeout: 30 });
    await telegram.waitForPoll();
    annWrites('one', 'two');
    expect(texts(await held)).toEqual(['one', 'two']);
  });

  test('a poll with nothing to say ends empty after its timeout', async () => {
    expect(await api.getUpdates({ timeout: 1 })).toEqual([]);
  });

  test('a second poll ends the first with 409 and takes its place', async () => {
    const first = failure(api.getUpdates({ timeout: 30 }));
    await telegram.waitForPoll();
    const second = api.getUpdates({ timeout: 30 });
    expect(await first).toMatchObject({
      error_code: 409,
      description: 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
    });
    await telegram.waitForPoll();
    annWrites('one');
    expect(texts(await second)).toEqual(['one']);
  });

  test('a real bot ends with 409 when a second one starts', async () => {
    const bot = new Bot(telegram.token, { client: { apiRoot: telegram.url } });
    const ended = failure(bot.start());
    await telegram.waitForPoll();
    const other = api.getUpdates({ timeout: 30 });
    expect((await ended).error_code).toBe(409);
    annWrites('one');
    expect(texts(await other)).toEqual(['one']);
  });

  test('a client that gives up frees its poll', async () => {
    const giveUp = new AbortController();
    const held = fetch(`${telegram.url}/bot${telegram.token}/getUpdates?timeout=30`, { signal: giveUp.signal }).catch(
      () => 'gave up',
    );
    await telegram.waitForPoll();
    giveUp.abort();
    expect(await held).toBe('gave up');
    await telegram.waitFor(() => telegram.heldPolls() === 0);
    annWrites('one');
    expect(texts(await api.getUpdates())).toEqual(['one']);
  });

  test('with a webhook there is no polling; deleting it can drop what waits', async () => {
    const held = failure(api.getUpdates({ timeout: 30 }));
    await telegram.waitForPoll();
    await api.setWebhook('https://example.com/hook');
    expect((await held).description).toBe('Conflict: terminated by setWebhook request');
    const refused = await failure(api.getUpdates());
    expect(refused.error_code).toBe(409);
    expect(refused.description).toMatch(/^Conflict: can't use getUpdates method while webhook is active/);
    annWrites('lost');
    expect(await api.getWebhookInfo()).toMatchObject({ url: 'https://example.com/hook', pending_update_count: 1 });
    await api.deleteWebhook({ drop_pending_updates: true });
    expect(await api.getUpdates()).toEqual([]);
  });
});

describe('calls', () => {
  const post = (path: string, type: string, body: string) =>
    fetch(`${telegram.url}${path}`, { method: 'POST', headers: { 'content-type': type }, body });

  test('getMe says who the bot is', async () => {
    expect(await api.getMe()).toMatchObject({ id: 99, is_bot: true, username: 'pinch_bot', can_join_groups: true });
  });

  test('fields come as query, JSON, form or multipart, method names in any case', async () => {
    annWrites('hi');
    const bot = `/bot${telegram.token}`;
    await fetch(`${telegram.url}${bot}/sendMessage?chat_id=11&text=query`);
    await post(`${bot}/sendMessage`, 'application/json', '{"chat_id":"11","text":"json"}');
    await post(`${bot}/SENDMESSAGE`, 'application/x-www-form-urlencoded', 'chat_id=11&text=form+%F0%9F%98%80');
    const form = new FormData();
    form.set('chat_id', '11');
    form.set('text', 'multi\r\npart');
    await fetch(`${telegram.url}${bot}/sendMessage`, { method: 'POST', body: form });
    expect(telegram.sent.map((sent) => sent.plain)).toEqual(['query', 'json', 'form 😀', 'multi\npart']);
  });

  test('an unknown method, a wrong token and no token at all are told apart', async () => {
    const body = async (path: string) => (await post(path, 'application/json', '{}')).json();
    expect(await body(`/bot${telegram.token}/fly`)).toEqual({ ok: false, error_code: 404, description: 'Not Found' });
    expect(await body('/bot99:wrong/getMe')).toEqual({ ok: false, error_code: 401, description: 'Unauthorized' });
    expect(await body('/botwrong/getMe')).toEqual({ ok: false, error_code: 404, description: 'Not Found' });
    expect(telegram.requests.map((request) => request.status)).toEqual([404, 401, 404]);
  });

  test('a path that leads nowhere is a 404, never a cut connection', async () => {
    const bot = `bot${telegram.token}`;
    for (const path of [`//${bot}/getMe`, `/${bot}/%ZZ`, `/${bot}/%FF`, `/${bot}/`, '/', `/file/${bot}/../x`]) {
      const { hostname, port } = new URL(telegram.url);
      // fetch would tidy such a path up before it sends it.
      const status = await new Promise((resolve, reject) => {
        get({ hostname, port, path }, (answer) => resolve(answer.resume().statusCode)).once('error', reject);
      });
      expect([path, status]).toEqual([path, 404]);
    }
  });

  test('escapes are read byte by byte: what is no escape is text, what is no UTF-8 is refused', async () => {
    annWrites('hi');
    const path = `/bot${telegram.token}/sendMessage`;
    const form = 'application/x-www-form-urlencoded';
    await post(path, form, 'chat_id=11&text=100%+%zz+%2B+a=b');
    expect(telegram.sent[0]?.plain).toBe('100% %zz + a=b');
    const refusals = await Promise.all([
      post(path, form, 'chat_id=11&text=%FF'),
      post(path, form, 'chat_id=11&text=%ED%A0%BD'),
      fetch(`${telegram.url}${path}?chat_id=11&text=%ED%A0%BD`),
    ]);
    for (const answer of refusals) {
      expect(await answer.json()).toMatchObject({ description: 'Bad Request: strings must be encoded in UTF-8' });
    }
    expect(telegram.sent).toHaveLength(1);
  });

  test('broken JSON and bytes that are not UTF-8 are refused', async () => {
    const path = `/bot${telegram.token}/sendMessage`;
    expect((await post(path, 'application/json', '{"chat_id":')).status).toBe(400);
    const bytes = Buffer.concat([Buffer.from('{"chat_id":11,"text":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    const answer = await fetch(`${telegram.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: bytes,
    });
    expect(await answer.json()).toMatchObject({ description: 'Bad Request: strings must be encoded in UTF-8' });
  });

  test('commands are checked and kept', async () => {
    await api.setMyCommands([{ command: 'status', description: 'What is going on' }]);
    expect(telegram.commands()).toEqual([{ command: 'status', description: 'What is going on' }]);
    const refused = await failure(api.setMyCommands([{ command: 'Not-Valid', description: 'x' }]));
    expect(refused.description).toBe('Bad Request: BOT_COMMAND_INVALID');
  });
});
