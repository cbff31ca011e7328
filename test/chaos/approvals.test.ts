// kill -9 of the daemon at every step of an approval: what the owner saw is done exactly once, or is still asked.
import type { Chat, User } from 'grammy/types';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { containersOf, type DaemonProcess, eventually, newHome, startDaemon } from '../e2e/harness.js';
import { type FakeAnthropic, startFakeAnthropic } from '../fakes/anthropic.js';
import { type FakeTelegram, startFakeTelegram } from '../fakes/telegram.js';

const SECRET = 'the very text';
let tg: FakeTelegram;
let model: FakeAnthropic;
let home: string;
let daemon: DaemonProcess;
let olga: User;
let direct: Chat.PrivateChat;
let family: Chat.GroupChat | Chat.SupergroupChat;
let team: Chat.GroupChat | Chat.SupergroupChat;

beforeEach(async () => {
  tg = await startFakeTelegram();
  olga = tg.user({ id: 11, first_name: 'Olga' });
  direct = tg.privateChat(olga);
  family = tg.group({ id: -500, title: 'Family', members: [olga] });
  team = tg.group({ id: -600, title: 'Team', members: [olga] });
  // Told anything by the host, it says so; asked by a person, it wants to write to the team.
  model = await startFakeAnthropic({
    responder({ body }) {
      const last = JSON.stringify(body?.messages.at(-1));
      if (last.includes('role=\\"host\\"')) return { text: `heard: ${/yes|: no/.exec(last)?.[0]}` };
      if (last.includes('tool_result')) return { text: 'asked' };
      const input = { text: SECRET, chat: `telegram:${team.id}` };
      return { content: [{ type: 'tool_use', name: 'send_message', input }] };
    },
  });
  home = newHome();
  daemon = await start();
  tg.userSends(direct, olga, '/help');
  tg.userSends(family, olga, '/register family');
  tg.userSends(team, olga, '/register team');
  await tg.waitForSent(3);
});
afterEach(async () => {
  await daemon.kill('SIGTERM');
  await tg.close();
  await model.close();
});

const start = () =>
  startDaemon({
    home,
    env: {
      ...{ TELEGRAM_BOT_TOKEN: tg.token, TELEGRAM_API_ROOT: tg.url, PINCH_OWNER: 'telegram:11' },
      ...{ ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'test-key' },
    },
  });
async function crash(): Promise<void> {
  await daemon.kill('SIGKILL');
  const running = async () => (await containersOf(home)).filter((info) => info.State.Running);
  await eventually(async () => (await running()).length === 0, 'no container runs on');
  tg.faults.clear();
  daemon = await start();
}

const ask = () => tg.userSends(family, olga, '@Pinch tell the team');
const isCard = ({ chat_id, plain }: { chat_id: number; plain: string }) =>
  chat_id === direct.id && plain.startsWith('Approval 1: send a message to Team') && plain.includes(SECRET);
const cards = () => tg.sent.filter(isCard);
const asked = async () => {
  ask();
  const card = await tg.waitForSent(isCard);
  await tg.waitForSent(({ plain }) => plain === 'asked');
  return card.message_id;
};
const copies = () => tg.sent.filter(({ chat_id, plain }) => chat_id === team.id && plain === SECRET).length;
const heard = () => tg.sent.filter(({ plain }) => plain.startsWith('heard: '));
const list = z.object({ approvals: z.array(z.object({ state: z.string() })) });
const states = async () =>
  list.parse((await daemon.api('GET', '/api/approvals')).body).approvals.map(({ state }) => state);
const outboxList = z.object({ outbox: z.array(z.object({ key: z.string(), text: z.string() })) });
const decide = () => daemon.api('POST', '/api/approvals/1', { decision: 'allow' });

/**
 * Everything is over: one approval, done, one message of it, told once. Resolves with how often the team read the text. `most`: copies where
 * Telegram took a message and the daemon died before it knew.
 */
async function end(most = 1): Promise<number> {
  await tg.waitForSent(({ plain }) => plain === 'heard: yes');
  await allSent();
  expect(await states()).toEqual(['done']);
  const { outbox } = outboxList.parse((await daemon.api('GET', '/api/outbox')).body);
  expect(outbox.filter(({ key }) => key === 'approved:1')).toHaveLength(1);
  expect(heard().length).toBeLessThanOrEqual(most);
  expect(outbox.filter(({ text }) => text === 'heard: yes')).toHaveLength(1);
  expect(model.rejections()).toEqual([]);
  return copies();
}
/** And known to be. */
const allSent = () =>
  eventually(async () => {
    const { body } = await daemon.api('GET', '/api/status');
    return copies() > 0 && JSON.stringify(body).includes('"outboxQueued":0');
  }, 'everything is sent');
const HANGS = { hangMs: Number.POSITIVE_INFINITY, dropConnection: true } as const;
const ACCEPTED = { after: 'accepted', hangMs: Number.POSITIVE_INFINITY } as const;

test('after the row, before its card is sent', async () => {
  tg.faults.always('sendMessage', HANGS);
  ask();
  await tg.waitForRequest(({ method, fields }) => method === 'sendMessage' && fields.chat_id === `${direct.id}`);
  await crash();
  const card = await tg.waitForSent(isCard);
  expect([cards().length, copies(), await states()]).toEqual([1, 0, ['open']]);
  tg.userPresses(direct, olga, card.message_id, 'allow');
  expect(await end()).toBe(1);
});

test('after its card was accepted and nobody knows: a second copy, of which one counts', async () => {
  tg.faults.always('sendMessage', ACCEPTED);
  ask();
  const first = await tg.waitForSent(isCard);
  await crash();
  await tg.waitFor(() => cards().length === 2);
  await eventually(
    async () => JSON.stringify((await daemon.api('GET', '/api/status')).body).includes('"outboxQueued":0'),
    'sent',
  );
  tg.userPresses(direct, olga, first.message_id, 'allow');
  await tg.waitForConfirmed();
  expect([copies(), await states()]).toEqual([0, ['open']]);
  tg.userPresses(direct, olga, cards()[1]?.message_id ?? 0, 'allow');
  expect(await end()).toBe(1);
});

test.each([0, 3, 10, 30, 100])('%i ms after the press', async (ms) => {
  const card = await asked();
  tg.userPresses(direct, olga, card, 'allow');
  await new Promise((resolve) => setTimeout(resolve, ms));
  await crash();
  // Once more, as somebody does who saw nothing happen; the buttons may be gone.
  tg.userPresses(direct, olga, card, 'allow', 'forged');
  expect([1, 2]).toContain(await end(2));
});

test('after the yes, before its message is accepted', async () => {
  await asked();
  tg.faults.always('sendMessage', HANGS);
  expect((await decide()).status).toBe(200);
  await tg.waitForRequest(({ method, fields }) => method === 'sendMessage' && fields.chat_id === `${team.id}`);
  await crash();
  expect(await end()).toBe(1);
  expect((await decide()).status).toBe(400);
});

test('after its message was accepted and nobody knows: one copy more at most', async () => {
  await asked();
  tg.faults.always('sendMessage', ACCEPTED);
  await decide();
  await tg.waitFor(() => copies() === 1);
  await crash();
  expect(await end()).toBeLessThanOrEqual(2);
});

test('after the yes, before the agent has heard of it', async () => {
  await asked();
  const calls = model.requests.length;
  model.push({ text: 'never read', waitMs: 600_000 });
  await decide();
  await model.waitForRequests(calls + 1);
  await allSent();
  await crash();
  expect(await end()).toBe(1);
});
