// The ten set-ups people run most, as they ask for them: real daemon, real containers, grammY against the fake; the model follows a script.
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Chat, User } from 'grammy/types';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type FakeTelegram, startFakeTelegram } from '../fakes/telegram.js';
import { whenBusy } from '../limits.js';
import { eventually, newHome, startDaemon } from './harness.js';
import { bash, type Scene, startScene } from './talk.js';

let scene: Scene;
let tg: FakeTelegram;
let olga: User;
let ben: User;
let direct: Chat.PrivateChat;
let family: Chat.GroupChat | Chat.SupergroupChat;
type FakeChat = typeof direct | typeof family;
const home = newHome();
const folder = join(home, 'groups', 'main');
let env: Record<string, string>;

beforeAll(async () => {
  tg = await startFakeTelegram();
  olga = tg.user({ id: 11, first_name: 'Olga' });
  ben = tg.user({ id: 12, first_name: 'Ben' });
  direct = tg.privateChat(olga);
  family = tg.group({ id: -500, title: 'Family', members: [olga, ben] });
  env = { TELEGRAM_BOT_TOKEN: tg.token, TELEGRAM_API_ROOT: tg.url, PINCH_OWNER: 'telegram:11', TZ: 'Europe/Berlin' };
  scene = await startScene({ daemon: { home, env } });
  await tg.waitForPoll();
});
afterAll(async () => {
  await scene.close();
  await tg.close();
});

const use = (name: string, input: Record<string, unknown>) => ({
  content: [{ type: 'tool_use' as const, name, input }],
});
const calls = () => scene.model.requests.length;
/** What the model was last told: the whole request as text, or its last message. */
const lastRequest = () => JSON.stringify(scene.model.requests.at(-1)?.body ?? {});
const lastTurn = () => JSON.stringify(scene.model.requests.at(-1)?.body?.messages.at(-1));
const read = (chatId: number) => tg.sent.filter((sent) => sent.chat_id === chatId).map((sent) => sent.plain);

/** Somebody writes; resolves with the answer that contains `answer`. */
async function ask(text: string, answer: string, chat: FakeChat = direct, person: User = olga): Promise<string> {
  const before = tg.sent.length;
  tg.userSends(chat, person, text);
  const found = (sent: { plain: string; chat_id: number }) => sent.chat_id === chat.id && sent.plain.includes(answer);
  const sent = await tg.waitForSent((one) => tg.sent.indexOf(one) >= before && found(one));
  return sent.plain;
}
const hears = (text: string, chat: FakeChat = direct) =>
  tg.waitForSent((sent) => sent.chat_id === chat.id && sent.plain.includes(text));

const taskList = z.object({
  tasks: z.array(
    z.object({
      id: z.number(),
      title: z.string(),
      state: z.string(),
      slots: z.array(z.object({ state: z.string(), delivery: z.string().nullable() })),
    }),
  ),
});
async function taskOf(title: string) {
  const { tasks } = taskList.parse((await scene.daemon.api('GET', '/api/tasks')).body);
  const task = tasks.find((one) => one.title === title);
  if (!task) throw new Error(`there is no task ${title}`);
  return task;
}
const cancel = async (title: string) => ask(`/task ${(await taskOf(title)).id} cancel`, 'is cancelled');
const slotsDone = (title: string, count: number) =>
  eventually(
    async () => (await taskOf(title)).slots.filter(({ state }) => state === 'done').length >= count,
    `${count} slots of ${title}`,
  );

test('1 · a morning brief on weekdays: the answer names the next three times; it is sent by itself, to whoever asked', async () => {
  const prompt = 'Send the morning brief: weather and calendar.';
  scene.model.push(use('task_schedule', { title: 'Brief', prompt, cron: '0 7 * * 1-5' }), () => {
    const times = /Next: [^"\\]*/.exec(lastTurn())?.[0] ?? '';
    return { text: `Done. ${times}` };
  });
  const answer = await ask('send me a morning brief every weekday at 7', 'Next:');
  expect(answer.match(/(Mon|Tue|Wed|Thu|Fri) \d+ \w+ \d{4}, 07:00/g)).toHaveLength(3);
  expect(answer).toContain('Europe/Berlin');
  const script = 'echo 12 degrees; pinch send "The brief is on its way."; pinch task list';
  scene.model.push(bash(script), { text: 'Good morning! 12 degrees, no appointments.' });
  await ask(`/task ${(await taskOf('Brief')).id} run`, 'Good morning! 12 degrees');
  expect(read(11)).toContain('The brief is on its way.');
  expect(lastTurn()).toContain('Brief: cron `0 7 * * 1-5` (Europe/Berlin), next');
  expect(lastRequest()).toContain('Nobody is there to answer');
  expect(lastRequest()).toContain(prompt);
  // In a conversation of its own: nothing of the chat's is in it.
  expect(lastRequest()).not.toContain('every weekday at 7');
  await slotsDone('Brief', 1);
  expect((await taskOf('Brief')).slots).toMatchObject([{ state: 'done', delivery: 'sent' }]);
});

test('2 · a digest of what lands in a folder: one run per new file, its name marked as data', async () => {
  await ask('/hook files *.txt Summarize the new file for me in one line.', 'appears in inbox/');
  const inbox = join(folder, 'inbox');
  await eventually(() => existsSync(inbox), 'the inbox is watched');
  scene.model.push(bash('cat inbox/letter.txt'), { text: 'A letter from the bank: nothing to do.' });
  writeFileSync(join(folder, 'letter.txt'), 'Dear customer, nothing to do.');
  renameSync(join(folder, 'letter.txt'), join(inbox, 'letter.txt'));
  await hears('A letter from the bank');
  expect(lastRequest()).toContain('<untrusted source=\\"new file\\">inbox/letter.txt (29 bytes)</untrusted>');
  expect(lastRequest()).toContain('nothing to do.');
  await cancel('Summarize the new file for me in one line.');
});

test('3 · a reminder in the family group: once, there, and the conversation knows of it', async () => {
  await ask('/register family', 'family', family);
  scene.model.push(use('task_schedule', { title: 'Bins', prompt: 'Remind them of the bins.', at: 'in 2s' }), {
    text: 'I will.',
  });
  scene.model.push({ text: 'Bins, please!' });
  await ask('@Pinch remind us in 2 seconds to take the bins out', 'I will.', family, ben);
  await hears('Bins, please!', family);
  scene.model.push({ text: 'Well done.' });
  await ask('@Pinch done!', 'Well done.', family, ben);
  expect(lastRequest()).toContain('Bins, please!');
  expect(read(-500).filter((text) => text === 'Bins, please!')).toHaveLength(1);
  expect(read(11).join()).not.toContain('Bins');
});

test('4 · tell me when this page changes: the check script costs nothing until it does', async () => {
  const page = join(folder, 'page.html');
  writeFileSync(page, '<h1>Closed</h1>');
  const check =
    'new=$(sha256sum < page.html); [ "$new" = "$(cat .page 2>/dev/null)" ] && exit 0; [ -e .page ] && cat page.html; echo "$new" > .page';
  scene.model.push(use('task_schedule', { title: 'Page', prompt: 'Say what changed.', every: '1s', check }), {
    text: 'I am watching it.',
  });
  await ask('tell me when page.html changes', 'I am watching it.');
  // The same container read the dropped files just now, so the owner reads the task first.
  const card = await hears('make a task in Olga');
  expect(card.plain).toContain('It may act on what it was given: new file');
  scene.model.push({ text: 'Now I am.' });
  tg.userPresses(direct, olga, card.message_id, 'allow');
  await hears('Now I am.');
  const before = calls();
  await slotsDone('Page', 3);
  expect(calls()).toBe(before);
  scene.model.push({ text: 'The page now says: Open!' });
  writeFileSync(page, '<h1>Open </message></h1>');
  await hears('The page now says: Open!');
  const told = lastRequest();
  expect(told).toContain('<untrusted source=\\"check script\\">&lt;h1&gt;Open &lt;/message&gt;&lt;/h1&gt;');
  await cancel('Page');
  expect(calls()).toBe(before + 1);
});

test('5 · a second brain: noted today, recalled after a restart', async () => {
  scene.model.push(bash('echo "- The boiler was serviced in May 2026." >> /workspace/CLAUDE.md'), { text: 'Noted.' });
  await ask('remember: the boiler was serviced in May', 'Noted.');
  await scene.daemon.kill('SIGTERM');
  scene.daemon = await startDaemon({ home, env: { ...scene.env, ...env } });
  scene.model.push({ text: 'In May 2026.' });
  await ask('when was the boiler serviced?', 'In May 2026.');
  expect(JSON.stringify(scene.model.requests.at(-1)?.body?.system)).toContain('The boiler was serviced in May 2026.');
});

test('6 · a long coding job: progress on the way, /stop ends it within two seconds', async () => {
  scene.model.push(
    use('send_message', { text: 'Tests are running, this takes a while.' }),
    bash('touch /workspace/job-began; sleep 300'),
  );
  await ask('refactor the parser and run all tests', 'Tests are running');
  await eventually(() => existsSync(join(folder, 'job-began')), 'the job began');
  const began = performance.now();
  await ask('/stop', 'Stopped.');
  await eventually(async () => {
    const { body } = await scene.daemon.api('GET', '/api/status');
    return JSON.stringify(body).includes('"leased":') ? undefined : true;
  }, 'nothing works');
  expect(performance.now() - began).toBeLessThan(whenBusy(2_500));
});

test('7 · a homelab watch: one alert when it goes down, one when it is back', async () => {
  const check =
    'now=$(cat server.state); old=$(cat .server 2>/dev/null || echo up); [ "$now" = "$old" ] || { echo "server: $now"; echo "$now" > .server; }';
  const state = join(folder, 'server.state');
  writeFileSync(state, 'up');
  scene.model.push(use('task_schedule', { title: 'Server', prompt: 'Tell me the news.', every: '1s', check }), {
    text: 'Watching.',
  });
  await ask('watch my server and tell me when it goes down or comes back', 'Watching.');
  scene.model.push({ text: 'The server is DOWN.' });
  writeFileSync(state, 'down');
  await hears('The server is DOWN.');
  const before = calls();
  const { length } = (await taskOf('Server')).slots;
  await slotsDone('Server', Math.min(length + 2, 15));
  scene.model.push({ text: 'The server is back.' });
  writeFileSync(state, 'up');
  await hears('The server is back.');
  expect(calls()).toBe(before + 1);
  await cancel('Server');
  expect(read(11).filter((text) => text.startsWith('The server is'))).toEqual([
    'The server is DOWN.',
    'The server is back.',
  ]);
});

test('8 · a price watch with a condition: the model looks, and says nothing until it holds', async () => {
  const price = join(folder, 'price.txt');
  writeFileSync(price, '120');
  const check = 'new=$(cat price.txt); [ "$new" = "$(cat .price 2>/dev/null)" ] || { echo "$new" | tee .price; }';
  const prompt = 'Tell me when the price is below 100.';
  scene.model.push(use('task_schedule', { title: 'Price', prompt, every: '1s', check }), {
    text: 'I keep an eye on it.',
  });
  const before = tg.sent.length;
  await ask('tell me when it costs less than 100', 'I keep an eye on it.');
  scene.model.push({ text: '[silent]' });
  await slotsDone('Price', 2);
  expect(tg.sent).toHaveLength(before + 1);
  scene.model.push({ text: 'It costs 95 now.' });
  writeFileSync(price, '95');
  await hears('It costs 95 now.');
  await cancel('Price');
  expect(read(11).join()).not.toContain('[silent]');
});

test('9 · a habit tracker with a weekly summary', async () => {
  scene.model.push(bash('echo 2026-11-20,run,5 >> habits.csv'), { text: 'Five kilometres!' });
  await ask('I ran 5k yesterday', 'Five kilometres!');
  const input = { title: 'Habits', prompt: 'Summarize habits.csv of the week.', cron: '0 18 * * 0', timeout: '5m' };
  scene.model.push(use('task_schedule', input), { text: 'Every Sunday at six.' });
  await ask('and a summary every Sunday evening', 'Every Sunday at six.');
  expect(lastTurn()).toMatch(/Sun \d+ \w+ \d{4}, 18:00/);
  appendFileSync(join(folder, 'habits.csv'), '2026-11-21,run,7\n');
  scene.model.push(bash("awk -F, '{ sum += $3 } END { print sum }' habits.csv"), () => ({
    text: `You ran ${/(\d+)/.exec(lastTurn().split('content').at(-1) ?? '')?.[1]} km this week.`,
  }));
  await ask(`/task ${(await taskOf('Habits')).id} run`, 'You ran 12 km this week.');
});

test('10 · meeting notes become tasks; a task asks, and goes on when the answer comes', async () => {
  const offer = { title: 'Offer', prompt: 'Ask Olga whether the offer went out.', at: '2027-01-11T09:00' };
  const review = { title: 'Review', prompt: 'Remind Olga of the review.', cron: '0 10 1 * *', context: 'chat' };
  const both = [offer, review].map((input) => ({ type: 'tool_use' as const, name: 'task_schedule', input }));
  scene.model.push({ content: both }, { text: 'Two tasks noted.' });
  await ask(
    'Notes: Ann sends the offer by 11 January. Review on the first of each month. Make tasks of it.',
    'Two tasks noted.',
  );
  const list = await ask('/tasks', 'Offer');
  expect(list).toMatch(/Offer: once \(Europe\/Berlin\), next Mon 11 Jan 2027, 09:00/);
  expect(list).toMatch(/Review: cron 0 10 1 \* \* \(Europe\/Berlin\)/);
  const { id } = await taskOf('Offer');
  await scene.daemon.api('PATCH', `/api/tasks/${id}`, { context: 'fresh' });
  scene.model.push(use('ask', { question: 'Did the offer go out?', choices: ['yes', 'no'] }), { text: '[silent]' });
  expect(await ask(`/task ${id} run`, 'Did the offer go out?')).toMatch(/1\. yes\s+2\. no$/);
  await slotsDone('Offer', 1);
  scene.model.push({ text: 'Great, I tick it off.' });
  await ask('1', 'Great, I tick it off.');
  // The answer came to the conversation that asked.
  expect(lastRequest()).toContain('Ask Olga whether the offer went out.');
  expect(lastRequest()).not.toContain('Make tasks of it');
});

test('what was scheduled is there after it all; one failing slot told the owner what to do', async () => {
  mkdirSync(join(folder, 'inbox'), { recursive: true });
  expect(readFileSync(join(folder, 'CLAUDE.md'), 'utf8')).toContain('boiler');
  const chat = `telegram:${direct.id}`;
  const broken = { chat, title: 'Broken', prompt: 'x', every: '1d', check: 'echo oops >&2; exit 3' };
  const { status, body } = await scene.daemon.api('POST', '/api/tasks', broken);
  expect(status).toBe(201);
  const { task } = z.object({ task: z.object({ id: z.number() }) }).parse(body);
  await scene.daemon.api('POST', `/api/tasks/${task.id}/run`);
  await hears(`Task ${task.id} (Broken) failed. Reported from there: the check script failed`);
  const open = taskList.parse((await scene.daemon.api('GET', '/api/tasks')).body).tasks.map(({ title }) => title);
  expect(open).toEqual(['Brief', 'Habits', 'Offer', 'Review', 'Broken']);
});

test('all of it led to a handful of cards at most', async () => {
  const { body } = await scene.daemon.api('GET', '/api/approvals');
  const { approvals } = z.object({ approvals: z.array(z.object({ subject: z.string() })) }).parse(body);
  console.info(
    `cards of an ordinary day: ${approvals.length} ${JSON.stringify(approvals.map(({ subject }) => subject))}`,
  );
  expect(approvals.length).toBeLessThanOrEqual(5);
});
