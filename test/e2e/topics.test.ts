// A forum on Telegram, from its first topic to one that somebody deletes: two topics and General, each a conversation of its own.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type FakeTelegram, startFakeTelegram } from '../fakes/telegram.js';
import { eventually, startDaemon } from './harness.js';
import { bash, type Scene, startScene } from './talk.js';

const FORUM = -1_000_000_000_500;
let scene: Scene;
let tg: FakeTelegram;
let env: Record<string, string>;
let people: ReturnType<typeof settle>;

function settle() {
  const olga = tg.user({ id: 11, first_name: 'Olga' });
  const ben = tg.user({ id: 12, first_name: 'Ben' });
  const home = tg.group({ id: FORUM, title: 'Home', members: [olga, ben], forum: true });
  return { olga, ben, home, direct: tg.privateChat(olga) };
}

beforeAll(async () => {
  tg = await startFakeTelegram({ topicsInDirectChats: true });
  people = settle();
  env = { TELEGRAM_BOT_TOKEN: tg.token, TELEGRAM_API_ROOT: tg.url, PINCH_OWNER: 'telegram:11' };
  scene = await startScene({ daemon: { env } });
  await tg.waitForPoll();
});
afterAll(async () => {
  await scene.close();
  await tg.close();
});

const tool = (name: string, input: Record<string, unknown>) => ({
  content: [{ type: 'tool_use' as const, name, input }],
});
const sentText = (text: string) => tg.waitForSent(({ plain }) => plain === text);
const lastConversation = () => JSON.stringify(scene.model.requests.at(-1)?.body?.messages);
const chatList = z.object({
  chats: z.array(z.object({ address: z.string(), title: z.string(), folder: z.string().nullable() })),
});
const queued = async () =>
  z.object({ outboxQueued: z.number() }).parse((await scene.daemon.api('GET', '/api/status')).body).outboxQueued;
const chats = async () => chatList.parse((await scene.daemon.api('GET', '/api/chats')).body).chats;

describe('a forum, end to end', () => {
  let garden: number;
  let kitchen: number;

  test('registered as a whole, each topic and General answers where it was asked, knowing only its own words', async () => {
    const { olga, ben, home } = people;
    garden = tg.topic(home, olga, 'Garden');
    tg.userSends(home, olga, { text: '/register home forum', topic: garden });
    await tg.waitForSent(
      ({ plain, message_thread_id }) => message_thread_id === garden && plain.includes('all its topics'),
    );
    kitchen = tg.topic(home, ben, 'Kitchen');
    const places = [
      ['roses', garden],
      ['soup', kitchen],
      ['keys', undefined],
    ] as const;
    for (const [word, topic] of places) {
      scene.model.push({ text: `I heard of ${word}.` });
      tg.userSends(home, ben, { text: `@Pinch remember ${word}`, ...(topic && { topic }) });
      expect(await sentText(`I heard of ${word}.`)).toMatchObject({ chat_id: FORUM, message_thread_id: topic });
      const others = places.map(([other]) => other).filter((other) => other !== word);
      for (const other of others) expect(lastConversation()).not.toContain(other);
    }
    expect(new Set(tg.actions.map(({ message_thread_id }) => message_thread_id))).toEqual(
      new Set([garden, kitchen, 1]),
    );
    expect(await chats()).toMatchObject([
      { address: `${FORUM}/${garden}`, title: 'Home › Garden', folder: 'home' },
      { address: `${FORUM}/${kitchen}`, title: 'Home › Kitchen', folder: 'home' },
      { address: `${FORUM}`, title: 'Home', folder: 'home' },
    ]);
  });

  test('an answer needs no name, files go to their topic, and the agent knows what the topic is called', async () => {
    const { ben, home } = people;
    const heard = await sentText('I heard of roses.');
    scene.model.push(bash('echo list > list.txt'), tool('send_file', { path: 'list.txt', caption: 'the list' }), {
      text: 'Sent.',
    });
    tg.userSends(home, ben, { text: 'send me the list', reply_to: heard.message_id });
    expect(await sentText('the list')).toMatchObject({ method: 'sendDocument', message_thread_id: garden });
    expect(await sentText('Sent.')).toMatchObject({ message_thread_id: garden });
    expect(lastConversation()).toContain('Home › Garden');
    expect(lastConversation()).toContain('remember roses');
  });

  test('a message to another topic goes there, by its address', async () => {
    const { ben, home } = people;
    scene.model.push(tool('send_message', { text: 'Soup is ready.', chat: `telegram:${FORUM}/${kitchen}` }), {
      text: 'Told them.',
    });
    tg.userSends(home, ben, { text: '@Pinch tell the kitchen', topic: garden });
    await sentText('Told them.');
    expect(await sentText('Soup is ready.')).toMatchObject({ message_thread_id: kitchen });
  });

  test('a question is answered after a restart, also when Telegram no longer says in which topic it stands', async () => {
    const { ben, home } = people;
    scene.model.push(tool('ask', { question: 'Which rose?', choices: ['Red', 'White'] }), { text: 'I asked.' });
    tg.userSends(home, ben, { text: '@Pinch buy a rose', topic: garden });
    const question = await tg.waitForSent(({ plain }) => plain.startsWith('Which rose?'));
    expect(question.message_thread_id).toBe(garden);
    await sentText('I asked.');
    await scene.daemon.kill('SIGKILL');
    tg.userPresses(home, ben, question.message_id, 'choice:2', 'too old');
    scene.model.push({ text: 'White it is.' });
    scene.daemon = await startDaemon({ home: scene.daemon.home, env: { ...scene.env, ...env } });
    expect(await sentText('White it is.')).toMatchObject({ message_thread_id: garden });
    expect(lastConversation()).toMatch(/remember roses.*Which rose.*White/);
    expect(lastConversation()).not.toContain('soup');
    await tg.waitForRequest(({ method, status }) => method === 'editMessageReplyMarkup' && status === 200);
    await tg.waitFor(() => tg.presses.every(({ answered }) => answered));
  });

  test('another name of a topic is known without a message in it', async () => {
    const { olga, home } = people;
    tg.renameTopic(home, olga, kitchen, 'Cooking');
    await tg.waitForConfirmed();
    expect((await chats()).map(({ title }) => title)).toContain('Home › Cooking');
  });

  test("the owner's direct chat has topics too; a card stands where the owner wrote last", async () => {
    const { olga, ben, direct } = people;
    const mine = tg.topic(direct, olga, 'Mine');
    scene.model.push({ text: 'Hello in here.' });
    tg.userSends(direct, olga, { text: 'hi', topic: mine });
    expect(await sentText('Hello in here.')).toMatchObject({ chat_id: 11, message_thread_id: mine });
    const club = tg.group({ id: FORUM - 1, title: 'Club', members: [ben], forum: true });
    const pets = tg.topic(club, ben, 'Pets');
    tg.userSends(club, ben, { text: '@Pinch who are you?', topic: pets });
    const card = await tg.waitForSent(({ plain }) => plain.includes('Club › Pets'));
    expect(card).toMatchObject({ chat_id: 11, message_thread_id: mine });
    await eventually(async () => (await queued()) === 0 || undefined, 'the card to be known as sent');
    // Telegram tells of a reaction without its topic.
    tg.userReacts(direct, olga, card.message_id, '👍');
    await eventually(async () => (await chats()).some(({ folder }) => folder === 'club-pets') || undefined, 'a yes');
    const ofClub = (await chats()).filter(({ address }) => address.startsWith(`${FORUM - 1}`));
    expect(ofClub).toMatchObject([{ address: `${FORUM - 1}/${pets}`, folder: 'club-pets' }]);
  });

  test('what a deleted topic was to get is told to the owner, and nothing of it comes out in General', async () => {
    const { olga, ben, home } = people;
    scene.model.push(bash('sleep 3'), { text: 'Dug.' });
    tg.userSends(home, ben, { text: '@Pinch dig', topic: garden });
    await eventually(async () => lastConversation()?.includes('@Pinch dig') || undefined, 'the agent to dig');
    tg.deleteTopic(home, garden);
    const told = await tg.waitForSent(({ plain, chat_id }) => chat_id === 11 && plain.includes('could not be sent'));
    expect(told.plain).toMatch(/Home › Garden .*deleted/);
    expect(tg.sent.filter(({ plain }) => plain === 'Dug.')).toEqual([]);
    scene.model.push({ text: 'General is still there.' });
    tg.userSends(home, olga, '@Pinch you there?');
    expect(await sentText('General is still there.')).toMatchObject({ message_thread_id: undefined });
  });
});
