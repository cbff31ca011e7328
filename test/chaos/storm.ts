// Ordinary traffic in both channels while the daemon is killed again and again; then what every chat got is held against what was asked.
// Every question is one token, e.g. `ours12`: the chat, what it takes (`o`nly an answer, an `e`ffect, a `n`ote on the way) and a number. The
// scripted model answers each token since its last end once, so a token without its answer was lost, one with two was answered twice.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { type DaemonProcess, eventually, newHome, removeHome, spawnDaemon, startDaemon } from '../e2e/harness.js';
import { type RecordedRequest, type ScriptBlock, type Step, startFakeAnthropic } from '../fakes/anthropic.js';
import { startFakeTelegram } from '../fakes/telegram.js';
import { startFakeWhatsApp } from '../fakes/whatsapp.js';
import { screenOf } from '../fakes/whatsapp-screen.js';
import { randomFrom } from './random.js';

export interface StormOptions {
  kills: number;
  /** Longest life of a daemon, ms. */
  maxGapMs: number;
  seed: number;
  /** After the last kill: how long everything may take to come to rest. */
  settleMs: number;
}

export interface StormReport {
  seed: number;
  kills: number;
  questions: number;
  answers: number;
  /** Further copies of one text on Telegram, whose acceptance had been lost. */
  telegramCopies: number;
  taskRuns: number;
  lost: string[];
  twice: string[];
  effectsDoubled: string[];
  wrongChat: string[];
  /** What the model's fake refused, and runs that were given up. */
  faults: string[];
}

interface Room {
  name: string;
  folder: string;
  /** Texts people read here, a copy each time it was shown. */
  texts(): string[];
  copiesAllowed: number;
  ask(text: string): unknown;
}

const TOKEN = /\b[a-z]{3}[oen]\d+\b/g;
const tokensIn = (text: string): string[] => [...text.matchAll(TOKEN)].map(([token]) => token);

type Blocks = { type: string; text?: string; name?: string; input?: unknown }[];
const blocksOf = (content: unknown): Blocks =>
  Array.isArray(content) ? content : [{ type: 'text', text: `${content}` }];

/** The model: a call for each token that takes one, then one text for all tokens since its last end. */
function reply({ body }: RecordedRequest, random: () => number): Step {
  const messages = body?.messages ?? [];
  const isEnd = (content: unknown) => !blocksOf(content).some(({ type }) => type === 'tool_use');
  const end = messages.findLastIndex(({ role, content }) => role === 'assistant' && isEnd(content));
  const since = messages.slice(end + 1);
  const said = since.filter(({ role }) => role === 'user').flatMap(({ content }) => blocksOf(content));
  const asked = said.map(({ type, text }) => (type === 'text' ? (text ?? '') : '')).join('\n');
  const calls = JSON.stringify(since.filter(({ role }) => role === 'assistant').map(({ content }) => content));
  const tokens = tokensIn(asked);
  const open = tokens.filter((token) => token[3] !== 'o' && !calls.includes(token));
  const waitMs = Math.round(random() * 300);
  // A run has fifty steps. What a long storm has piled up is done several at a time, as models do.
  if (open.length > 0) return { content: open.slice(0, Math.ceil(open.length / 10)).map(callFor), waitMs };
  const task = /<message id="-(\d+)"/.exec(asked)?.[1];
  const text = task ? `task run ${task}.` : `answer to ${tokens.join(' ')}`;
  return { text, waitMs, delayMs: Math.round(random() * 20) };
}

function callFor(token: string): ScriptBlock {
  const command = `echo ${token} >> /workspace/effects; sleep 0.1`;
  if (token[3] === 'e') return { type: 'tool_use', name: 'bash', input: { command } };
  return { type: 'tool_use', name: 'send_message', input: { text: `note ${token}` } };
}

export async function storm({ kills, maxGapMs, seed, settleMs }: StormOptions): Promise<StormReport> {
  const random = randomFrom(seed);
  const model = await startFakeAnthropic({ responder: (request) => reply(request, random) });
  const tg = await startFakeTelegram();
  const wa = await startFakeWhatsApp({ phone: '491700000000' });
  const home = newHome();
  const env = {
    TELEGRAM_BOT_TOKEN: tg.token,
    TELEGRAM_API_ROOT: tg.url,
    WHATSAPP_ENABLED: '1',
    WHATSAPP_WS_URL: wa.url,
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: 'test-key',
    PINCH_LOG_LEVEL: 'info',
    PINCH_BUDGET_USD_DAY: '100000',
    PINCH_BUDGET_USD_GROUP_DAY: '100000',
  };
  let daemon = await startDaemon({ home, env });
  const rooms = await settleIn({ tg, wa, daemon });
  const questions: { token: string; room: Room }[] = [];
  const askSomething = async () => {
    const room = rooms[Math.floor(random() * rooms.length)];
    if (!room) return;
    const token = `${room.name}${'oooen'[Math.floor(random() * 5)]}${questions.length}`;
    questions.push({ token, room });
    await room.ask(token);
  };
  for (let kill = 0; kill < kills; kill++) {
    // Some die before they are ready, most with work under way.
    if (random() < 0.7) await daemon.waitForLog((line) => line.msg === 'ready');
    const lifeMs = random() * maxGapMs;
    const moments = Array.from({ length: 1 + Math.floor(random() * 4) }, () => random() * lifeMs).sort((a, b) => a - b);
    const began = Date.now();
    for (const moment of moments) {
      await sleep(Math.max(0, began + moment - Date.now()));
      await askSomething();
    }
    await sleep(Math.max(0, began + lifeMs - Date.now()));
    await daemon.kill('SIGKILL');
    daemon = await spawnDaemon({ home, env });
  }
  await daemon.waitForLog((line) => line.msg === 'ready');
  const left = await atRest({ daemon, home, tg, settleMs, asked: questions.length });
  await daemon.kill('SIGTERM');
  const report = judge({ home, rooms, questions });
  report.faults.push(...left.map((row) => `not at rest: ${row}`));
  report.faults.push(...model.rejections().map((request) => request.rejected?.message ?? ''));
  await Promise.all([tg.close(), wa.close(), model.close()]);
  if (process.env.PINCH_CHAOS_KEEP) console.log(`kept ${home}`);
  else removeHome(home);
  return { ...report, seed, kills };
}

interface People {
  tg: Awaited<ReturnType<typeof startFakeTelegram>>;
  wa: Awaited<ReturnType<typeof startFakeWhatsApp>>;
  daemon: DaemonProcess;
}

/** Olga pairs on both channels, registers a group on each, and has a task run all the time. */
async function settleIn({ tg, wa, daemon }: People): Promise<Room[]> {
  const olga = tg.user({ id: 11, first_name: 'Olga' });
  const direct = tg.privateChat(olga);
  const team = tg.group({ id: -500, title: 'Team', members: [olga] });
  const person = wa.contact({ phone: '491701111111', lid: '200000000000001', name: 'Olga' });
  const family = wa.group({ subject: 'Family', members: [person], addressing: 'lid' });
  const channelOf = async (name: string) => {
    const { body } = await daemon.api('GET', '/api/status');
    return status.parse(body).channels.find((channel) => channel.name === name);
  };
  await wa.scan(await eventually(async () => (await channelOf('whatsapp'))?.link?.qr, 'a QR code', 60_000));
  await eventually(async () => (await channelOf('whatsapp'))?.state === 'open', 'whatsapp is open', 60_000);
  const codes = [...daemon.stderr().matchAll(/\/pair (\S+)/g)].map((match) => match[1]);
  for (const code of codes) {
    tg.userSends(direct, olga, `/pair ${code}`);
    await person.says(`/pair ${code}`);
  }
  await tg.waitForSent(({ plain }) => plain.includes('my owner'), 60_000);
  await wa.untilSent(({ text }) => text.includes('my owner'), 60_000);
  tg.userSends(team, olga, '/register team');
  await person.says('/register family', { to: family });
  await tg.waitForSent(({ plain }) => plain.includes('team'), 60_000);
  await wa.untilSent(({ text }) => text.includes('family'), 60_000);
  const task = await daemon.api('POST', '/api/tasks', { prompt: 'TASK', every: '10s', chat: `telegram:${direct.id}` });
  if (task.status !== 201) throw new Error(`no task: ${JSON.stringify(task.body)}`);
  const read = (id: number) => () => tg.sent.filter(({ chat_id }) => chat_id === id).map(({ plain }) => plain);
  const heard = (to: (jid: string) => boolean) => () =>
    screenOf(wa.sent.filter((sent) => to(sent.to))).map(({ text }) => text);
  const inFamily = (jid: string) => jid === family.id;
  return [
    {
      name: 'tgd',
      folder: 'main',
      texts: read(direct.id),
      copiesAllowed: 2,
      ask: (text) => tg.userSends(direct, olga, text),
    },
    {
      name: 'tgg',
      folder: 'team',
      texts: read(team.id),
      copiesAllowed: 2,
      ask: (text) => tg.userSends(team, olga, `@Pinch ${text}`),
    },
    {
      name: 'wad',
      folder: 'main',
      texts: heard((jid) => !inFamily(jid)),
      copiesAllowed: 1,
      ask: (text) => person.says(text, { encrypted: true }),
    },
    {
      name: 'wag',
      folder: 'family',
      texts: heard(inFamily),
      copiesAllowed: 1,
      ask: (text) => person.says(`@Pinch ${text}`, { to: family, encrypted: true }),
    },
  ];
}

const status = z.object({
  channels: z.array(
    z.object({ name: z.string(), state: z.string(), link: z.object({ qr: z.string().optional() }).optional() }),
  ),
});

interface Rest {
  daemon: DaemonProcess;
  home: string;
  tg: People['tg'];
  settleMs: number;
  /** Questions, each of which is to become a row. */
  asked: number;
}

/** Ends the task, then waits until no run is open, nothing is to be sent and no update waits. Returns what is left. */
async function atRest({ daemon, home, tg, settleMs, asked }: Rest): Promise<string[]> {
  await daemon.api('PATCH', '/api/tasks/1', { action: 'cancel' });
  const db = new Database(join(home, 'data', 'pinch.db'), { readonly: true });
  const open = db
    .prepare(
      `SELECT (SELECT count(*) FROM runs WHERE state IN ('ready', 'leased')) + (SELECT count(*) FROM outbox WHERE state = 'queued')`,
    )
    .pluck();
  // WhatsApp hands over what was written meanwhile only once it is linked again, on a busy machine long after the start.
  const stored = db
    .prepare(`SELECT count(*) FROM messages WHERE direction = 'in' AND text GLOB '*[a-z][a-z][a-z][oen][0-9]*'`)
    .pluck();
  let since = Date.now();
  const until = Date.now() + settleMs;
  // Quiet for a while: WhatsApp hands over what was written meanwhile some time after the login.
  while (Date.now() - since < 4_000 && Date.now() < until) {
    if (open.get() !== 0 || stored.get() !== asked || tg.pendingUpdates().length > 0) since = Date.now();
    await sleep(50);
  }
  const left = db.prepare(`SELECT id, key, state, attempt, cut_offs, error FROM runs WHERE state IN ('ready', 'leased')
    UNION ALL SELECT id, key, state, attempt, 0, error FROM outbox WHERE state = 'queued'`);
  const rows = open.get() === 0 ? [] : left.all().map((row) => JSON.stringify(row));
  db.close();
  return rows;
}

function judge({
  home,
  rooms,
  questions,
}: {
  home: string;
  rooms: Room[];
  questions: { token: string; room: Room }[];
}) {
  const report = {
    ...{ questions: questions.length, answers: 0, telegramCopies: 0, taskRuns: 0 },
    lost: [] as string[],
    twice: [] as string[],
    effectsDoubled: [] as string[],
    wrongChat: [] as string[],
    faults: [] as string[],
  };
  for (const { name, texts, copiesAllowed } of rooms) {
    const copies = new Map<string, number>();
    for (const text of texts()) copies.set(text, (copies.get(text) ?? 0) + 1);
    for (const [text, count] of copies) {
      const ours = tokensIn(text).length > 0 || text.startsWith('task run');
      if (!ours) continue;
      if (count > copiesAllowed) report.twice.push(`${count} × ${text}`);
      if (copiesAllowed > 1) report.telegramCopies += count - 1;
      report.wrongChat.push(...tokensIn(text).filter((token) => !token.startsWith(name)));
      if (text.startsWith('task run') && name !== 'tgd') report.wrongChat.push(text);
    }
    const answers = [...copies.keys()].filter((text) => text.startsWith('answer to')).map(tokensIn);
    report.answers += answers.length;
    for (const { token } of questions.filter(({ room }) => room.name === name)) {
      const times = answers.filter((tokens) => tokens.includes(token)).length;
      if (times === 0) report.lost.push(token);
      if (times > 1) report.twice.push(token);
      if (token[3] === 'n' && [...copies].filter(([text]) => text === `note ${token}`).length > 1)
        report.twice.push(`note ${token}`);
    }
  }
  for (const folder of new Set(rooms.map((room) => room.folder)))
    report.effectsDoubled.push(...doubled(effectsOf(home, folder)));
  return { ...report, ...judgeTask(home, rooms, report) };
}

/** Every run of the task that is done has sent its text, and no slot has two runs. */
function judgeTask(home: string, rooms: Room[], report: { lost: string[]; faults: string[] }) {
  const db = new Database(join(home, 'data', 'pinch.db'), { readonly: true });
  const done = z
    .array(z.number())
    .parse(db.prepare(`SELECT id FROM runs WHERE kind = 'task' AND state = 'done'`).pluck().all());
  const dead = db.prepare(
    `SELECT id || ' ' || key || ' ' || coalesce(error, '') FROM runs WHERE state IN ('dead', 'cancelled') AND task_id IS NULL`,
  );
  report.faults.push(
    ...z
      .array(z.string())
      .parse(dead.pluck().all())
      .map((run) => `given up: ${run}`),
  );
  const failed = db.prepare(`SELECT id || ' ' || coalesce(error, '') FROM outbox WHERE state = 'dead'`);
  report.faults.push(
    ...z
      .array(z.string())
      .parse(failed.pluck().all())
      .map((row) => `not sent: ${row}`),
  );
  db.close();
  const texts = rooms[0]?.texts() ?? [];
  report.lost.push(...done.map((id) => `task run ${id}.`).filter((text) => !texts.includes(text)));
  return { taskRuns: done.length };
}

const doubled = (lines: string[]) => lines.filter((line, index) => line !== '' && lines.indexOf(line) < index);

function effectsOf(home: string, folder: string): string[] {
  try {
    return readFileSync(join(home, 'groups', folder, 'effects'), 'utf8').split('\n');
  } catch {
    return [];
  }
}
