// Out of trouble from the phone alone: every command, the buttons of notices, emergency stop and resume; grammY and Baileys against the fakes, one
// real daemon with containers.
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { SentMessage } from '../fakes/telegram.js';
import { type FakeWhatsApp, type Peer, startFakeWhatsApp } from '../fakes/whatsapp.js';
import { type Family, registerFamily, startFamily } from './family.js';
import { eventually, newHome, removeHome, startDaemon } from './harness.js';
import { type Scene, startScene, waitForRun } from './talk.js';

const home = newHome();
let scene: Scene;
let env: Record<string, string>;
let people: Family;
let wa: FakeWhatsApp;
let anna: Peer;

beforeAll(async () => {
  // The fake's people use libsignal too, which prints whole sessions.
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => undefined);
  people = await startFamily();
  wa = await startFakeWhatsApp({ phone: '491700000000' });
  anna = wa.contact({ phone: '491701111111', lid: '200000000000001', name: 'Olga' });
  // Nobody is the owner on Telegram yet.
  const { PINCH_OWNER: _, ...settings } = people.env;
  const ofWhatsApp = { WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: wa.url, PINCH_OWNER: 'whatsapp:+491701111111' };
  env = { ...settings, ...ofWhatsApp, TZ: 'Europe/Berlin' };
  scene = await startScene({ daemon: { home, env } });
  await people.tg.waitForPoll();
});
afterAll(async () => {
  await scene.close();
  await Promise.all([people.tg.close(), wa.close()]);
  removeHome(home);
});

const pairing = z.object({ pairing: z.array(z.object({ code: z.string(), link: z.string().optional() })) });
const newest = async () =>
  z
    .object({ runs: z.array(z.object({ id: z.number(), state: z.string() })) })
    .parse((await scene.daemon.api('GET', '/api/runs?limit=1')).body).runs[0]?.id ?? 0;

/** What the owner's direct chat, or another, is told next after these words. */
async function told(text: string, { by = people.olga, chat = people.direct } = {}): Promise<SentMessage> {
  const { tg } = people;
  const from = tg.sent.length;
  tg.userSends(chat, by, text);
  return tg.waitForSent((sent) => tg.sent.indexOf(sent) >= from && sent.chat_id === chat.id);
}
const answered = async (text: string, where = {}) => (await told(text, where)).plain;
const buttonsOf = ({ message }: SentMessage) => message.reply_markup?.inline_keyboard.flat().map((one) => one.text);
const dataOf = ({ message }: SentMessage, label: string) => {
  const button = message.reply_markup?.inline_keyboard.flat().find((one) => one.text.startsWith(label));
  return button && 'callback_data' in button ? button.callback_data : '';
};

test('/start says how to pair and no more; the link of `pinch pair` pairs', async () => {
  const { tg, olga, ben, direct } = people;
  expect(await answered('/start', { by: ben, chat: tg.privateChat(ben) })).toMatch(/^I have no owner here yet\./);
  const { body } = await scene.daemon.api('POST', '/api/pairing');
  const [{ code, link } = { code: '' }] = pairing.parse(body).pairing;
  expect(link).toBe(`https://t.me/${tg.bot.username}?start=${code}`);
  expect(await answered(`/start ${code}`)).toContain('You are my owner now.');
  const calls = tg.sent.length;
  tg.userSends(tg.privateChat(ben), ben, '/start');
  tg.userSends(tg.privateChat(ben), ben, `/start ${code}`);
  await tg.waitForConfirmed();
  expect(tg.sent).toHaveLength(calls);
  await tg.waitFor(() => tg.commands(direct.id).length > 0);
  const shown = (chat?: number) => tg.commands(chat).map(({ command }) => command);
  expect(shown(olga.id)).toEqual(
    expect.arrayContaining(['retry', 'resume', 'budget', 'task', 'pause', 'model', 'runs']),
  );
  expect(shown()).toEqual(expect.arrayContaining(['help', 'status', 'stop', 'runs', 'tasks']));
  expect(shown()).not.toContain('retry');
  await registerFamily(people);
});

test('every command is answered, and no word of them reaches the model', async () => {
  const { ben, family } = people;
  const calls = scene.model.requests.length;
  const answers: [string, string | RegExp][] = [
    ['/help all', '/retry <number>'],
    ['/help undo', '/undo [yes]'],
    ['/recap', /^Since yesterday 18:00: nothing was done/],
    ['/recap 3d', 'Since '],
    ['/status', 'main'],
    ['/tasks', 'There are no tasks.'],
    ['/task add every day at 8:00 tell me the weather', 'Task 1 (tell me the weather) is scheduled'],
    ['/task 1 edit when every 2h', 'every 2h'],
    ['/task 1 pause', 'is paused'],
    ['/task 2', 'there is no task 2'],
    ['/runs', 'There was nothing to do yet.'],
    ['/runs 99', 'there is no run 99 here'],
    ['/retry 99', 'there is no run 99 here'],
    ['/stop', 'Nothing is running here.'],
    ['/new', 'New conversation.'],
    ['/cost', /\$0\.00/],
    ['/budget', '$5.00'],
    ['/model', 'works with'],
    ['/approvals', 'Nothing waits for your answer.'],
    ['/approve 9', /approval 9/],
    ['/deny 9', /approval 9/],
    ['/allow example.com', 'example.com'],
    ['/egress', 'Mode ask'],
    ['/taint', 'vouched'],
    ['/pause', 'is paused'],
    ['/resume', 'I go on.'],
    ['/register main', 'main'],
    ['/pair', ''],
    ['/retyr 12', 'Did you mean /retry <number>?'],
    ['/nothinglikeit', 'There is no /nothinglikeit.'],
  ];
  for (const [text, words] of answers.filter(([text]) => text !== '/pair'))
    expect(await answered(text), text).toMatch(words);
  // On the screen of a phone: few lines, and none that has to go on below itself.
  const help = (await answered('/help')).split('\n').slice(2);
  expect(help.length).toBeLessThan(14);
  for (const line of help) expect(line.length, line).toBeLessThan(52);
  const inFamily = { by: ben, chat: family };
  expect(await answered('/budget 99', inFamily)).toContain('Only my owner may use /budget.');
  expect(await answered('/runs 1', inFamily)).toContain('there is no run 1 here');
  expect(await answered('/retri 1', inFamily)).toContain('There is no /retri.');
  expect(scene.model.requests).toHaveLength(calls);
});

test('a dead run is shown and tried again by its buttons, once, also after a restart', async () => {
  const { tg, olga, ben, direct } = people;
  const refused = { fault: 400, type: 'invalid_request_error', message: 'no such thing' };
  scene.model.push(refused, refused);
  tg.userSends(direct, olga, 'hello?');
  const notice = await tg.waitForSent((sent) => sent.plain.startsWith('I gave up on run'));
  expect(buttonsOf(notice)).toEqual(['Try again', 'Show']);
  const run = await newest();
  await scene.daemon.kill('SIGKILL');
  scene.daemon = await startDaemon({ home, env: { ...scene.env, ...env } });
  await tg.waitForPoll();
  expect(tg.menuCalls()).toBe(2);
  tg.userPresses(direct, ben, notice.message_id, dataOf(notice, 'Try'), 'forged');
  tg.userPresses(direct, olga, notice.message_id, dataOf(notice, 'Show'));
  await tg.waitForSent((sent) => sent.plain.includes('no such thing') && sent.plain.includes('Attempts: 2'));
  scene.model.push({ text: 'Here I am.' });
  for (const _ of [1, 2]) tg.userPresses(direct, olga, notice.message_id, dataOf(notice, 'Try'), 'forged');
  await tg.waitForSent((sent) => sent.plain === 'Here I am.');
  await waitForRun(scene.daemon, run, ['done']);
  await tg.waitForSent((sent) => sent.plain.startsWith('That was pressed already.'));
  expect(tg.sent.filter(({ plain }) => plain.startsWith(`Run ${run} starts again.`))).toHaveLength(1);
  expect(await answered(`/retry ${run}`)).toContain(`run ${run} is done`);
});

test('a full budget is raised by its button, for today, and what waited goes on at once', async () => {
  const { tg, olga, direct } = people;
  await answered('/budget 0.01');
  scene.model.push({ text: 'Paid for.' });
  tg.userSends(direct, olga, 'and now?');
  const notice = await tg.waitForSent((sent) => sent.plain.startsWith('The budget of today for group main is used up'));
  expect(buttonsOf(notice)).toEqual(['Raise to $1 today', 'Show']);
  tg.userPresses(direct, olga, notice.message_id, dataOf(notice, 'Raise'));
  await tg.waitForSent((sent) => sent.plain === 'Paid for.');
  expect(tg.sent.some(({ plain }) => plain.startsWith('Raised to $1.00 for today'))).toBe(true);
  await answered('/budget default');
});

test('emergency stop and resume: a message meanwhile waits, is told so once, and is answered', async () => {
  const { tg, olga, ben, family, direct } = people;
  expect(await answered('/stop all')).toContain('Everything is stopped.');
  expect(await answered('are you there?')).toMatch(/^Everything is stopped since .*\/resume and I go on\.$/);
  const inFamily = { by: ben, chat: family };
  expect(await answered('@Pinch milk?', inFamily)).toMatch(/What is written waits; my owner lets me go on\.$/);
  const count = tg.sent.length;
  tg.userSends(family, ben, '@Pinch and bread?');
  tg.userSends(direct, olga, 'hello?');
  await tg.waitForConfirmed();
  scene.model.push({ text: 'Back.' }, { text: 'Back.' });
  const held = await tg.waitForSent(
    (sent) => sent.plain.startsWith('Everything is stopped since') && sent.chat_id === olga.id,
  );
  tg.userPresses(direct, olga, held.message_id, dataOf(held, 'Resume'));
  await eventually(async () => tg.sent.filter(({ plain }) => plain === 'Back.').length === 2, 'both are answered');
  expect(tg.sent.slice(count).map(({ plain }) => plain)).toEqual(['I go on.', 'Back.', 'Back.']);
  const asked = JSON.stringify(scene.model.requests.slice(-2).map(({ body }) => body?.messages));
  for (const words of ['are you there?', 'milk?', 'and bread?']) expect(asked).toContain(words);
});

test('WhatsApp: commands, a budget raised by a reaction, stop and resume', async () => {
  const link = z.object({
    channels: z.array(
      z.object({ name: z.string(), state: z.string(), link: z.object({ qr: z.string().optional() }).optional() }),
    ),
  });
  const channel = async () =>
    link.parse((await scene.daemon.api('GET', '/api/status')).body).channels.find(({ name }) => name === 'whatsapp');
  await wa.scan(await eventually(async () => (await channel())?.link?.qr, 'a QR code'));
  await eventually(async () => (await channel())?.state === 'open', 'whatsapp is open');
  const heard = async (words: string | RegExp) =>
    eventually(
      async () =>
        anna.received.find(({ text }) => (typeof words === 'string' ? text.includes(words) : words.test(text))),
      String(words),
    );
  const says: [string, string | RegExp][] = [
    ['/retyr 12', 'Did you mean `/retry <number>`'],
    ['/runs', /\*\d+\* done/],
    ['/task add in 2h look', 'Task 2 (look) is scheduled'],
    // Another amount than before: a limit is told once a day.
    ['/budget 0.02', '$0.02'],
  ];
  for (const [text, words] of says) {
    await anna.says(text);
    await heard(words);
  }
  scene.model.push({ text: 'Paid for.' });
  await anna.says('and now?');
  const notice = await heard(/is used up(.|\n)*Answer this with 👍 to raise to/);
  // The fake has it a moment before the daemon knows under which id.
  const isKnown = async () =>
    JSON.stringify((await scene.daemon.api('GET', '/api/outbox?limit=1')).body).includes('"state":"sent"');
  await eventually(isKnown, 'the notice counts as sent');
  await anna.reacts({ id: notice?.id ?? '', by: 'me' }, '👍');
  await heard('Raised to');
  await heard('Paid for.');
  await anna.says('/stop all');
  await heard(/^Everything is stopped\./);
  await anna.says('hello?');
  await heard(/^Everything is stopped since/);
  scene.model.push({ text: 'Back again.' });
  await anna.says('/resume');
  await heard('Back again.');
  expect(scene.model.rejections()).toEqual([]);
});
