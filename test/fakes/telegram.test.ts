// The fake Bot API held against the real grammY: if the two disagree, tests of the Telegram channel prove nothing.
import { Bot } from 'grammy';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeTelegram, startFakeTelegram } from './telegram.js';

let telegram: FakeTelegram;
let bot: Bot;
beforeEach(async () => {
  telegram = await startFakeTelegram();
  bot = new Bot(telegram.token, { client: { apiRoot: telegram.url } });
});
afterEach(async () => {
  await bot.stop();
  await telegram.close();
});

describe('a conversation', () => {
  test('a real bot hears a user and answers, and the update is confirmed', async () => {
    const ann = telegram.user({ id: 11, first_name: 'Ann', username: 'ann_example' });
    const chat = telegram.privateChat(ann);
    bot.on('message:text', (ctx) => ctx.reply(`<b>you said</b> ${ctx.message.text}`, { parse_mode: 'HTML' }));
    const started = bot.start();
    await telegram.waitForPoll();
    telegram.userSends(chat, ann, 'hello');
    const [sent] = await telegram.waitForSent(1);
    expect(sent).toMatchObject({ method: 'sendMessage', chat_id: 11, message_id: 2, plain: 'you said hello' });
    expect(sent?.entities).toEqual([{ type: 'bold', offset: 0, length: 8 }]);
    await telegram.waitForConfirmed();
    await bot.stop();
    await started;
  });
});
