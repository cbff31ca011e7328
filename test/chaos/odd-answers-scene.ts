// Groups that talk with a back end of odd answers, one turn after the other in each, all at once; the daemon and its containers die now and
// then. What every chat got is held against the table of odd-answers.ts.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import Docker from 'dockerode';
import type { Chat, User } from 'grammy/types';
import { containersOf, type DaemonProcess, eventually, newHome, removeHome, startDaemon } from '../e2e/harness.js';
import { type FakeAnthropic, type RecordedRequest, type Step, startFakeAnthropic } from '../fakes/anthropic.js';
import { type FakeTelegram, type SentMessage, startFakeTelegram } from '../fakes/telegram.js';
import { whenBusy } from '../limits.js';
import { answerTo, KINDS, type Kind, type Turn } from './odd-answers.js';

export interface Options {
  turns: number;
  groups: number;
  /** How often the daemon is killed meanwhile. */
  kills: number;
  random(): number;
}

export interface Report {
  turns: number;
  longestMs: number;
  /** What must not be, a line each. */
  wrong: string[];
}

/** A group and the turn it is in. */
interface Room {
  folder: string;
  chat: Chat.GroupChat | Chat.SupergroupChat;
  kinds: Kind[];
  turn: Turn | undefined;
  steps: Step[];
  /** Model calls of this turn. */
  calls: number;
  /** All tokens so far, this turn's too. */
  tokens: string[];
  tasks: number;
}

interface Scene {
  model: FakeAnthropic;
  tg: FakeTelegram;
  olga: User;
  home: string;
  daemon: DaemonProcess;
  db: Database.Database;
  rooms: Room[];
  wrong: string[];
  /** When the daemon was killed, epoch ms. */
  killedAt: number[];
}

/** How long a turn may take: most are over in seconds, one that a kill hits waits for several attempts. */
const TURN_MS = whenBusy(60_000);

const TOKEN = /\bq\d+x\d+q\b/g;
const tokensIn = (said: string): string[] => said.match(TOKEN) ?? [];
/** The words with which a summary is asked for, and what comes before it. */
const ASKS_TO_WRITE_DOWN = 'A summary is about to take the place';
const ASKS_FOR_SUMMARY = 'Summarize it now for yourself';

/** A room's requests are told by the tokens in them: its own, and in each the ones of all earlier turns. */
function answer(rooms: Room[], wrong: string[], { body }: RecordedRequest): Step {
  const said = JSON.stringify(body?.messages ?? []);
  const tokens = new Set(tokensIn(said));
  const room = rooms.find((one) => one.tokens.some((token) => tokens.has(token)));
  if (!room?.turn) return { text: 'who is this?' };
  const lost = room.tokens.filter((token) => !tokens.has(token));
  if (lost.length > 0) wrong.push(`${room.turn.token}: the conversation has lost ${lost}`);
  if (said.includes(ASKS_TO_WRITE_DOWN)) return { text: 'nothing' };
  if (said.includes(ASKS_FOR_SUMMARY)) return { text: `They asked: ${[...tokens].join(' ')}` };
  room.calls += 1;
  return room.steps.shift() ?? { text: answerTo(room.turn.token) };
}

const start = (home: string, tg: FakeTelegram, model: FakeAnthropic, groups: number) =>
  startDaemon({
    home,
    env: {
      TELEGRAM_BOT_TOKEN: tg.token,
      TELEGRAM_API_ROOT: tg.url,
      PINCH_OWNER: 'telegram:11',
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: 'test-key',
      PINCH_MAX_CONTAINERS: `${groups}`,
      PINCH_LOG_LEVEL: 'info',
      ...Object.fromEntries(['DAY', 'GROUP_DAY', 'MONTH', 'RUN'].map((one) => [`PINCH_BUDGET_USD_${one}`, '100000'])),
    },
  });

/** A PNG by its head; nobody here looks further. */
const PICTURE = Buffer.concat([
  Buffer.from('89504e470d0a1a0a0000000d494844520000001e00000014', 'hex'),
  Buffer.alloc(64),
]);

/** The texts that came into a chat from the `since`-th sent message on. */
const texts = ({ tg }: Scene, chatId: number, since: number) =>
  tg.sent.slice(since).filter(({ chat_id }) => chat_id === chatId);

/** The message is stored, no run of the room is open, and everything is sent. */
function isOver({ db }: Scene, room: Room, token: string): boolean {
  const row = db
    .prepare(`SELECT (SELECT count(*) FROM messages WHERE direction = 'in' AND text LIKE @token) AS stored,
    (SELECT count(*) FROM runs JOIN groups ON groups.id = group_id WHERE folder = @folder AND runs.state IN ('ready', 'leased'))
    + (SELECT count(*) FROM outbox JOIN chats ON chats.id = chat_id WHERE address = @address AND state = 'queued') AS open`)
    .get({ token: `%${token}%`, folder: room.folder, address: `${room.chat.id}` });
  return JSON.stringify(row) === '{"stored":1,"open":0}';
}

/** What happened in the run of a turn, and when, ms since its beginning. */
function timeline({ db }: Scene, token: string): string {
  const events =
    db.prepare(`SELECT events.at - min(events.at) OVER () || ' ' || events.kind || ' ' || substr(detail, 1, 120) FROM events
    JOIN run_messages USING (run_id) JOIN messages ON messages.id = message_id WHERE text LIKE ? ORDER BY events.id`);
  return events.pluck().all(`%${token}%`).join('; ');
}

async function killContainer(home: string, folder: string): Promise<void> {
  const [found] = (await containersOf(home)).filter(({ Config }) => Config.Labels['pinch.group'] === folder);
  await new Docker().getContainer(found?.Id ?? '').kill();
}

/** What only a restart or a long trouble adds, in whatever turn it falls. */
const ON_THE_WAY = /^(I was restarted|I get no answer from the model|The model answers again: I go on)/;

const fits = (text: string | undefined, wanted: string | RegExp) =>
  typeof wanted === 'string' ? text === wanted : wanted.test(text ?? '');

async function takeTurn(scene: Scene, room: Room, kind: Kind): Promise<number> {
  const { tg, olga, home, wrong } = scene;
  const token = `q${scene.rooms.indexOf(room)}x${room.tokens.length}q`;
  room.turn = { token, wrong, killContainer: () => killContainer(home, room.folder) };
  room.steps = kind.steps(room.turn);
  room.calls = 0;
  room.tokens.push(token);
  const since = tg.sent.length;
  const began = Date.now();
  const caption = { caption: `@${tg.bot.username} ${token}`, photo: { bytes: PICTURE } };
  tg.userSends(room.chat, olga, kind.picture ? caption : `@${tg.bot.username} ${token}`);
  const name = `${token} (${kind.name})`;
  await eventually(() => isOver(scene, room, token) || undefined, `${name} is over`, TURN_MS).catch((error) => {
    wrong.push(`${error.message}: ${timeline(scene, token)}`);
  });
  judge(scene, room, { kind, name, token, since, began });
  return Date.now() - began;
}

interface Taken {
  kind: Kind;
  name: string;
  token: string;
  since: number;
  began: number;
}

/** Telegram takes a text again when the daemon died before it knew that the text was taken; it is one row all the same (`judgeRows`). */
function withoutCopies({ killedAt }: Scene, sent: SentMessage[]): SentMessage[] {
  const isCopy = (one: SentMessage, other: SentMessage) =>
    one.plain === other.plain && killedAt.some((at) => other.at > at - 5_000 && other.at <= at && one.at > at);
  return sent.filter((one, place) => !sent.slice(0, place).some((other) => isCopy(one, other)));
}

function judge(scene: Scene, room: Room, { kind, name, token, since, began }: Taken): void {
  const { wrong, killedAt, olga } = scene;
  const said = withoutCopies(scene, texts(scene, room.chat.id, since)).map(({ plain }) => plain.trim());
  const heard = said.filter((text) => !ON_THE_WAY.test(text));
  const wanted = kind.says?.(token) ?? [answerTo(token)];
  const isAsWanted = (list: (string | RegExp)[]) =>
    heard.length === list.length && list.every((one, at) => fits(heard[at], one));
  // What a step was to lead to may have died with the daemon: then the next attempt has the answer.
  const wasKilled = killedAt.some((at) => at > began - 1_000);
  if (!isAsWanted(wanted) && !(wasKilled && endsWell(heard, wanted, token)))
    wrong.push(`${name}: the chat got ${JSON.stringify(said)}`);
  if (!wasKilled && room.calls > (kind.calls ?? room.calls)) wrong.push(`${name}: took ${room.calls} model calls`);
  const told = texts(scene, olga.id, since)
    .map(({ plain }) => plain)
    .filter((text) => new RegExp(`group ${room.folder}\\b`).test(text));
  const owner = kind.owner ?? [];
  const twice = owner.filter((one) => told.filter((text) => one.test(text)).length > 1);
  const strange = told.filter((text) => !owner.some((one) => one.test(text)));
  if (twice.length > 0 || strange.length > 0) wrong.push(`${name}: the owner got ${JSON.stringify(told)}`);
  room.tasks += kind.tasks ?? 0;
}

/** One end, and of the rest each at most once. */
function endsWell(heard: string[], wanted: (string | RegExp)[], token: string): boolean {
  const known = [...wanted, answerTo(token)];
  const last = [wanted.at(-1) ?? '', answerTo(token)];
  return (
    new Set(heard).size === heard.length &&
    heard.every((text) => known.some((one) => fits(text, one))) &&
    last.some((one) => fits(heard.at(-1), one))
  );
}

/** The daemon dies and starts again, some time apart, until all rooms are through. */
async function killNowAndThen(scene: Scene, { kills, random, groups }: Options, over: AbortSignal): Promise<void> {
  for (let kill = 0; kill < kills; kill += 1) {
    await sleep(10_000 + random() * 15_000, undefined, { signal: over }).catch(() => undefined);
    if (over.aborted) return;
    scene.killedAt.push(Date.now());
    await scene.daemon.kill('SIGKILL');
    scene.daemon = await start(scene.home, scene.tg, scene.model, groups);
  }
}

/** What was queued twice, and tasks that were made twice or not at all. */
function judgeRows({ db, rooms, wrong, killedAt }: Scene): void {
  const twice = db.prepare(
    `SELECT count(*) || ' × ' || text FROM outbox WHERE text GLOB '*q[0-9]*x[0-9]*q*' GROUP BY chat_id, text HAVING count(*) > 1`,
  );
  for (const row of twice.pluck().all()) wrong.push(`queued twice: ${row}`);
  const made = db.prepare('SELECT count(*) FROM tasks').pluck().get();
  const wanted = rooms.reduce((sum, { tasks }) => sum + tasks, 0);
  if (made !== wanted && killedAt.length === 0) wrong.push(`${made} tasks instead of ${wanted}`);
}

/** Every kind in turn, as often as there is room, in an order that chance makes. */
function dealt({ turns, groups, random }: Options): Kind[][] {
  const all = Array.from({ length: turns }, (_, at) => ({ at: random(), kind: KINDS[at % KINDS.length] }));
  const order = all.sort((a, b) => a.at - b.at).flatMap(({ kind }) => kind ?? []);
  return Array.from({ length: groups }, (_, at) => order.filter((_kind, place) => place % groups === at));
}

async function setUp(options: Options): Promise<Scene> {
  const rooms: Room[] = [];
  const wrong: string[] = [];
  const model = await startFakeAnthropic({ responder: (request) => answer(rooms, wrong, request) });
  const tg = await startFakeTelegram();
  const olga = tg.user({ id: 11, first_name: 'Olga' });
  const home = newHome();
  const daemon = await start(home, tg, model, options.groups);
  tg.privateChat(olga);
  for (const [at, kinds] of dealt(options).entries()) {
    const folder = `room${at}`;
    const chat = tg.group({ id: -500 - at, title: folder, members: [olga] });
    tg.userSends(chat, olga, `/register ${folder}`);
    rooms.push({ folder, chat, kinds, turn: undefined, steps: [], calls: 0, tokens: [], tasks: 0 });
  }
  for (const { folder, chat } of rooms)
    await tg.waitForSent(({ chat_id, plain }) => chat_id === chat.id && plain.includes(folder));
  const db = new Database(join(home, 'data', 'pinch.db'), { readonly: true });
  return { model, tg, olga, home, daemon, db, rooms, wrong, killedAt: [] };
}

export async function talk(options: Options): Promise<Report> {
  const scene = await setUp(options);
  const { model, tg, db, rooms, wrong } = scene;
  const over = new AbortController();
  const times: number[] = [];
  const killing = killNowAndThen(scene, options, over.signal);
  await Promise.all(
    rooms.map(async (room) => {
      for (const kind of room.kinds) {
        const ms = await takeTurn(scene, room, kind);
        times.push(ms);
      }
    }),
  );
  over.abort();
  await killing;
  judgeRows(scene);
  wrong.push(...model.rejections().map(({ rejected }) => `refused: ${rejected?.message}`));
  db.close();
  await scene.daemon.kill('SIGTERM');
  await Promise.all([tg.close(), model.close()]);
  removeHome(scene.home);
  return { turns: times.length, longestMs: Math.max(...times), wrong };
}
