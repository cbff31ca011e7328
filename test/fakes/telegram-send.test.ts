// Sending through the real grammY against the fake: limits, refusals, files up and down, and where a bot may not write.
import { Api, GrammyError, InputFile } from 'grammy';
import type { Chat, User } from 'grammy/types';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeTelegram, startFakeTelegram } from './telegram.js';

const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
let telegram: FakeTelegram;
let api: Api;
let ann: User;
let direct: Chat.PrivateChat;
beforeEach(async () => {
  telegram = await startFakeTelegram();
  api = new Api(telegram.token, { apiRoot: telegram.url });
  ann = telegram.user({ id: 11, first_name: 'Ann' });
  direct = telegram.privateChat(ann);
});
afterEach(() => telegram.close());

/** What the server said when it refused. */
async function refusal(promise: Promise<unknown>): Promise<{ code: number; why: string; parameters: object }> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GrammyError)) throw new Error(`expected a GrammyError, got ${String(error)}`);
  return { code: error.error_code, why: error.description, parameters: error.parameters };
}
const bad = (why: string) => ({ code: 400, why: `Bad Request: ${why}`, parameters: {} });

describe('text', () => {
  test('4,096 UTF-16 units pass, one more does not, counted after parsing', async () => {
    await api.sendMessage(11, 'x'.repeat(4096));
    await api.sendMessage(11, '😀'.repeat(2048));
    await api.sendMessage(11, `<b>${'&amp;'.repeat(4096)}</b>`, { parse_mode: 'HTML' });
    expect(telegram.sent.map((sent) => sent.plain.length)).toEqual([4096, 4096, 4096]);
    expect(await refusal(api.sendMessage(11, 'x'.repeat(4097)))).toEqual(bad('message is too long'));
    expect(await refusal(api.sendMessage(11, `${'😀'.repeat(2048)}x`))).toEqual(bad('message is too long'));
  });

  test('nothing to read is refused', async () => {
    expect(await refusal(api.sendMessage(11, ''))).toEqual(bad('message text is empty'));
    expect(await refusal(api.sendMessage(11, ' \n '))).toEqual(bad('text must be non-empty'));
    expect(await refusal(api.sendMessage(11, '<b></b>', { parse_mode: 'HTML' }))).toEqual(
      bad('text must be non-empty'),
    );
    expect(telegram.sent).toEqual([]);
  });

  test('half a surrogate pair is refused', async () => {
    expect(await refusal(api.sendMessage(11, 'half \ud83d'))).toEqual(bad('strings must be encoded in UTF-8'));
    expect(await refusal(api.sendMessage(11, '\ude00 other half'))).toEqual(bad('strings must be encoded in UTF-8'));
  });

  test('broken HTML is refused with the byte offset, other modes altogether', async () => {
    expect(await refusal(api.sendMessage(11, 'é<p>', { parse_mode: 'HTML' }))).toEqual(
      bad('can\'t parse entities: Unsupported start tag "p" at byte offset 2'),
    );
    expect(await refusal(api.sendMessage(11, '*x*', { parse_mode: 'MarkdownV2' }))).toEqual(
      bad('unsupported parse_mode'),
    );
  });

  test('without a parse mode markup is text; entities may come as a list', async () => {
    const plain = await api.sendMessage(11, '<b>x</b>');
    expect(plain.text).toBe('<b>x</b>');
    const listed = await api.sendMessage(11, '😀 bold', { entities: [{ type: 'bold', offset: 3, length: 4 }] });
    expect(listed.entities).toEqual([{ type: 'bold', offset: 3, length: 4 }]);
    const beyond = api.sendMessage(11, 'x', { entities: [{ type: 'bold', offset: 0, length: 2 }] });
    expect(await refusal(beyond)).toEqual(bad('entity beginning at UTF-16 offset 0 ends after the end of the text'));
  });

  test('the record keeps what was sent and what is read, and warnings', async () => {
    await api.sendMessage(11, 'a & <i>b</i>\t\r\n', { parse_mode: 'HTML' });
    expect(telegram.sent[0]).toMatchObject({
      method: 'sendMessage',
      chat_id: 11,
      text: 'a & <i>b</i>\t\r\n',
      parse_mode: 'HTML',
      plain: 'a & b',
      entities: [{ type: 'italic', offset: 4, length: 1 }],
      warnings: ['bare "&" at byte offset 2'],
    });
  });
});

describe('where a bot may write', () => {
  test('a chat must exist and its id must be one', async () => {
    for (const id of [12, 'twelve', '@nobody_here', '']) {
      const why = id === '' ? 'chat_id is empty' : 'chat not found';
      expect(await refusal(api.sendMessage(id, 'x'))).toEqual(bad(why));
    }
    await api.sendMessage('11', 'as text');
    expect(telegram.sent).toHaveLength(1);
  });

  test('a user who blocked the bot, and until she unblocks it', async () => {
    telegram.block(ann);
    expect(await refusal(api.sendMessage(11, 'x'))).toEqual({
      code: 403,
      why: 'Forbidden: bot was blocked by the user',
      parameters: {},
    });
    telegram.unblock(ann);
    await api.sendMessage(11, 'x');
    const updates = await api.getUpdates();
    expect(updates.map((update) => update.my_chat_member?.new_chat_member.status)).toEqual(['kicked', 'member']);
  });

  test('a group that threw the bot out, one it left, one that takes it back', async () => {
    const group = telegram.group({ id: -100_123_456_789_0, title: 'Home', members: [ann] });
    telegram.kick(group, ann);
    expect((await refusal(api.sendMessage(group.id, 'x'))).why).toBe(
      'Forbidden: bot was kicked from the supergroup chat',
    );
    telegram.userSends(group, ann, 'unheard');
    telegram.addBot(group, ann);
    await api.sendMessage(group.id, 'back');
    await api.leaveChat(group.id);
    expect((await refusal(api.sendChatAction(group.id, 'typing'))).why).toBe(
      'Forbidden: bot is not a member of the supergroup chat',
    );
    expect(telegram.pendingUpdates().map((update) => update.message?.text)).toEqual([undefined, undefined, undefined]);
  });

  test('a group that became a supergroup tells its new id', async () => {
    const group = telegram.group({ id: -5, title: 'Home', members: [ann] });
    const upgraded = telegram.migrate(group);
    expect(await refusal(api.sendMessage(group.id, 'x'))).toEqual({
      code: 400,
      why: 'Bad Request: group chat was upgraded to a supergroup chat',
      parameters: { migrate_to_chat_id: upgraded.id },
    });
    await api.sendMessage(upgraded.id, 'x');
    const updates = await api.getUpdates();
    expect(
      updates.map(({ message }) => [message?.chat.id, message?.migrate_to_chat_id, message?.migrate_from_chat_id]),
    ).toEqual([
      [-5, upgraded.id, undefined],
      [upgraded.id, undefined, -5],
    ]);
  });

  test('a chat gets only so many messages in a while, then 429 with the seconds to wait', async () => {
    const strict = await startFakeTelegram({ rateLimit: { messages: 2, perMs: 60_000 } });
    strict.privateChat(ann);
    const limited = new Api(strict.token, { apiRoot: strict.url });
    await limited.sendMessage(11, '1');
    await limited.sendMessage(11, '2');
    const { code, parameters } = await refusal(limited.sendMessage(11, '3'));
    await strict.close();
    expect(code).toBe(429);
    expect(parameters).toEqual({ retry_after: 60 });
  });
});

describe('answers, edits, reactions, actions', () => {
  test('a reply names a message of the chat, or is sent without on request', async () => {
    const question = telegram.userSends(direct, ann, 'why?');
    const answer = await api.sendMessage(11, 'so', { reply_parameters: { message_id: question.message_id } });
    expect(answer.reply_to_message).toMatchObject({ message_id: question.message_id, text: 'why?' });
    expect(telegram.sent[0]?.reply_to).toBe(question.message_id);
    const chained = await api.sendMessage(11, 'also', { reply_parameters: { message_id: answer.message_id } });
    expect(chained.reply_to_message).not.toHaveProperty('reply_to_message');
    expect(await refusal(api.sendMessage(11, 'x', { reply_parameters: { message_id: 77 } }))).toEqual(
      bad('message to be replied not found'),
    );
    const loose = { message_id: 77, allow_sending_without_reply: true };
    expect(await api.sendMessage(11, 'x', { reply_parameters: loose })).not.toHaveProperty('reply_to_message');
    telegram.userSends(direct, ann, { text: 'and?', reply_to: answer.message_id });
    const heard = (await api.getUpdates()).at(-1)?.message;
    expect(heard?.reply_to_message?.from?.id).toBe(telegram.bot.id);
    expect(heard?.reply_to_message).not.toHaveProperty('reply_to_message');
  });

  test('a bot edits its own text, and only to something else', async () => {
    const question = telegram.userSends(direct, ann, 'why?');
    const { message_id } = await api.sendMessage(11, 'draft');
    await api.editMessageText(11, message_id, '<b>final</b>', { parse_mode: 'HTML' });
    expect(telegram.sent.map((sent) => [sent.method, sent.message_id, sent.plain])).toEqual([
      ['sendMessage', 2, 'draft'],
      ['editMessageText', 2, 'final'],
    ]);
    const again = api.editMessageText(11, message_id, '<b>final</b>', { parse_mode: 'HTML' });
    expect((await refusal(again)).why).toMatch(/^Bad Request: message is not modified:/);
    expect(await refusal(api.editMessageText(11, 99, 'x'))).toEqual(bad('message to edit not found'));
    expect(await refusal(api.editMessageText(11, question.message_id, 'x'))).toEqual(bad("message can't be edited"));
  });

  test('a keyboard is below the message until it is taken away; each press reaches the bot and can be answered', async () => {
    const keyboard = (text: string, callback_data: string) => ({
      reply_markup: { inline_keyboard: [[{ text, callback_data }]] },
    });
    const { message_id } = await api.sendMessage(11, 'tea?', keyboard('Yes', 'y'));
    expect(telegram.sent[0]?.message.reply_markup?.inline_keyboard).toEqual([[{ text: 'Yes', callback_data: 'y' }]]);
    const id = telegram.userPresses(direct, ann, message_id, 'y');
    telegram.userPresses(direct, ann, message_id, 'y', 'too old');
    expect(() => telegram.userPresses(direct, ann, message_id, 'z')).toThrow('no button z');
    const [first, second] = (await api.getUpdates()).map((update) => update.callback_query);
    expect(first).toMatchObject({ id, from: { id: 11 }, data: 'y', message: { message_id, text: 'tea?' } });
    expect(second?.message).toEqual({ chat: direct, message_id, date: 0 });
    await api.answerCallbackQuery(id);
    expect(telegram.presses.map(({ answered }) => answered)).toEqual([true, false]);
    const tooOld = 'query is too old and response timeout expired or query ID is invalid';
    expect(await refusal(api.answerCallbackQuery('1'))).toEqual(bad(tooOld));
    await api.editMessageReplyMarkup(11, message_id);
    expect((await refusal(api.editMessageReplyMarkup(11, message_id))).why).toMatch(/message is not modified/);
    expect(await refusal(api.sendMessage(11, 'x', keyboard('Yes', 'é'.repeat(33))))).toEqual(
      bad('BUTTON_DATA_INVALID'),
    );
    expect((await refusal(api.sendMessage(11, 'x', keyboard(' ', 'y')))).why).toMatch(/text buttons are unallowed/);
  });

  test('reactions of people reach a bot that asks for them', async () => {
    const { message_id } = await api.sendMessage(11, 'tea?');
    telegram.userReacts(direct, ann, message_id, '👍');
    expect(await api.getUpdates({ allowed_updates: ['message', 'message_reaction'] })).toEqual([]);
    telegram.userReacts(direct, ann, message_id, '👎');
    telegram.userReacts(direct, ann, message_id, undefined);
    const heard = (await api.getUpdates()).map((update) => update.message_reaction);
    const emoji = (name: string) => [{ type: 'emoji', emoji: name }];
    expect(heard).toMatchObject([
      { chat: { id: 11 }, message_id, user: { id: 11 }, old_reaction: emoji('👍'), new_reaction: emoji('👎') },
      { old_reaction: emoji('👎'), new_reaction: [] },
    ]);
  });

  test('typing and reactions are kept', async () => {
    const { message_id } = telegram.userSends(direct, ann, 'hi');
    await api.sendChatAction(11, 'typing');
    await api.setMessageReaction(11, message_id, [{ type: 'emoji', emoji: '👍' }]);
    expect(telegram.actions).toMatchObject([{ chat_id: 11, action: 'typing' }]);
    expect(telegram.reactions).toMatchObject([{ chat_id: 11, message_id, emoji: ['👍'] }]);
    const unknown = await fetch(`${telegram.url}/bot${telegram.token}/sendChatAction?chat_id=11&action=sleep`);
    expect(unknown.status).toBe(400);
  });

  test('chats and members can be looked up', async () => {
    const bob = telegram.user({ id: 12, first_name: 'Bob' });
    const group = telegram.group({ id: -5, title: 'Home', members: [ann] });
    expect(await api.getChat(group.id)).toMatchObject({ id: -5, type: 'group', title: 'Home' });
    expect((await api.getChatMember(-5, ann.id)).status).toBe('member');
    expect((await api.getChatMember(-5, bob.id)).status).toBe('left');
    expect(await refusal(api.getChat(12))).toEqual(bad('chat not found'));
  });
});

describe('files', () => {
  const download = async (fileId: string) => {
    const { file_path } = await api.getFile(fileId);
    const answer = await fetch(`${telegram.url}/file/bot${telegram.token}/${file_path}`);
    return Buffer.from(await answer.arrayBuffer());
  };

  test('an upload arrives byte for byte, can be sent again by its id and fetched back', async () => {
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, n) => n % 256));
    const sent = await api.sendDocument(11, new InputFile(bytes, 'häßlich "1".bin'), {
      caption: '<i>here</i>',
      parse_mode: 'HTML',
    });
    expect(telegram.sent[0]?.file?.bytes.equals(bytes)).toBe(true);
    expect(telegram.sent[0]?.file?.fileName).toBe('häßlich "1".bin');
    expect(telegram.sent[0]).toMatchObject({ method: 'sendDocument', plain: 'here', text: '<i>here</i>' });
    expect(sent.document.file_size).toBe(70_000);
    const again = await api.sendDocument(11, sent.document.file_id);
    expect(again.document.file_id).toBe(sent.document.file_id);
    expect((await download(sent.document.file_id)).equals(bytes)).toBe(true);
  });

  test('a photo must be one, a caption has at most 1,024 units, an empty file is none', async () => {
    const photo = await api.sendPhoto(11, new InputFile(PNG, 'a.png'), { caption: 'x'.repeat(1024) });
    expect(photo.photo).toHaveLength(1);
    expect(await refusal(api.sendPhoto(11, new InputFile(Buffer.from('text'), 'a.png')))).toEqual(
      bad('IMAGE_PROCESS_FAILED'),
    );
    expect(await refusal(api.sendPhoto(11, new InputFile(PNG, 'a.png'), { caption: 'x'.repeat(1025) }))).toEqual(
      bad('message caption is too long'),
    );
    expect(await refusal(api.sendDocument(11, new InputFile(Buffer.alloc(0), 'a')))).toEqual(
      bad('file must be non-empty'),
    );
    expect(await refusal(api.sendDocument(11, 'no-such-id'))).toEqual(bad('wrong file identifier/HTTP URL specified'));
  });

  test('what a user sends can be fetched, up to 20 MB', async () => {
    telegram.userSends(direct, ann, { photo: { bytes: PNG }, caption: 'look @pinch_test_bot' });
    telegram.userSends(direct, ann, { voice: { bytes: Buffer.from('OggS'), durationSeconds: 3 } });
    const huge = { bytes: Buffer.from('x'), sizeBytes: 21_000_000, fileName: 'a.iso', mimeType: 'application/x-iso' };
    telegram.userSends(direct, ann, { document: huge });
    const [photo, voice, document] = (await api.getUpdates()).map((update) => update.message);
    expect(photo?.caption_entities).toEqual([{ type: 'mention', offset: 5, length: 15 }]);
    expect((await download(photo?.photo?.at(-1)?.file_id ?? '')).equals(PNG)).toBe(true);
    expect(voice?.voice).toMatchObject({ duration: 3, mime_type: 'audio/ogg', file_size: 4 });
    expect(document?.document).toMatchObject({ file_name: 'a.iso', file_size: 21_000_000 });
    expect(await refusal(api.getFile(document?.document?.file_id ?? ''))).toEqual(bad('file is too big'));
    expect(await refusal(api.getFile('no-such-id'))).toEqual(bad('invalid file_id'));
    expect((await fetch(`${telegram.url}/file/bot${telegram.token}/nowhere/file_9`)).status).toBe(404);
  });
});
