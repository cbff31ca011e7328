// A daemon with scheduled tasks whose owner is on Telegram, to be killed at any step, and the books of its tasks as they are in its store.
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import Docker from 'dockerode';
import { expect } from 'vitest';
import { z } from 'zod';
import { homeId } from '../../src/sandbox/home.js';
import { eventually, newHome, removeHome, startDaemon } from '../e2e/harness.js';
import { bash } from '../e2e/talk.js';
import { type RecordedRequest, startFakeAnthropic } from '../fakes/anthropic.js';
import { startFakeTelegram } from '../fakes/telegram.js';

export interface Made {
  id: number;
  everyMs: number;
  /** When its first slot is due. */
  firstAt: number;
}

const slotRow = z.object({
  slotAt: z.number(),
  state: z.string(),
  count: z.number(),
  runId: z.number().nullable(),
  attempt: z.number().nullable(),
  runState: z.string().nullable(),
  key: z.string().nullable(),
});
export type SlotRow = z.infer<typeof slotRow>;

const taskView = z.object({ task: z.object({ id: z.number(), nextAt: z.number() }) });

/** Which slot a request belongs to, as the model can see it: its task, and when it was due to the second. */
export function slotName({ body }: RecordedRequest): string {
  const [, task, due] = /\[Task (\d+) .*?, due \w+ ([^.]*)\./.exec(JSON.stringify(body?.messages)) ?? [];
  return `${task}@${Date.parse(`${due} UTC`) / 1_000}`;
}

/** The model of every scene: each run has one effect, then a text; both name its slot. */
export const say = (request: RecordedRequest) => ({ text: slotName(request) });
export const work = (request: RecordedRequest) =>
  lastOf(request).includes('tool_result') ? say(request) : bash(`echo ${slotName(request)} >> /workspace/effects`);
export const lastOf = (request: RecordedRequest) => JSON.stringify(request.body?.messages.at(-1));

export type TaskScene = Awaited<ReturnType<typeof openTaskScene>>;

export async function openTaskScene() {
  const tg = await startFakeTelegram();
  const olga = tg.user({ id: 11, first_name: 'Olga' });
  const chat = tg.privateChat(olga);
  const model = await startFakeAnthropic({ responder: work });
  const home = newHome();
  const start = (env: Record<string, string> = {}) =>
    startDaemon({
      home,
      env: {
        TELEGRAM_BOT_TOKEN: tg.token,
        TELEGRAM_API_ROOT: tg.url,
        PINCH_OWNER: 'telegram:11',
        ANTHROPIC_BASE_URL: model.url,
        ANTHROPIC_API_KEY: 'test-key',
        ...env,
      },
    });
  const docker = new Docker();
  const daemon = await start();
  const scene = {
    ...booksOf(join(home, 'data/pinch.db')),
    tg,
    model,
    home,
    daemon,
    olgaSays: (text: string) => void tg.userSends(chat, olga, text),
    /** What was sent after the answer to `/tasks`. */
    sent: () => tg.sent.slice(1).map(({ plain }) => plain),
    requestsOf: (name = '') => model.requests.filter((request) => slotName(request) === name),
    effects: (name = 'effects') => linesOf(join(home, 'groups/main', name)),
    async schedule(every: string, more: Record<string, unknown> = {}): Promise<Made> {
      const when = more.cron === undefined ? { every } : {};
      const input = { chat: 'telegram:11', prompt: 'do it', ...when, ...more };
      const { body } = await scene.daemon.api('POST', '/api/tasks', input);
      const { id, nextAt } = taskView.parse(body).task;
      const [count = '', unit = ''] = [every.slice(0, -1), every.slice(-1)];
      return { id, everyMs: Number(count) * (unit === 'm' ? 60_000 : 1_000), firstAt: nextAt };
    },
    /** After it nothing of the daemon runs. A container that was created but not started can only be removed by the next start. */
    async crash(): Promise<void> {
      await scene.daemon.kill('SIGKILL');
      const running = () => docker.listContainers({ filters: { label: [`pinch.home=${homeId(home)}`] } });
      await eventually(async () => (await running()).length === 0 || undefined, 'no container runs on');
    },
    async restart(env?: Record<string, string>): Promise<void> {
      await scene.daemon.kill('SIGTERM');
      scene.daemon = await start(env);
    },
    async close(): Promise<void> {
      await scene.daemon.kill('SIGTERM');
      await Promise.all([tg.close(), model.close()]);
      scene.closeBooks();
      removeHome(home);
    },
  };
  scene.olgaSays('/tasks');
  await tg.waitForSent(1);
  return scene;
}

/** The store of a daemon, read and changed from outside. */
function booksOf(file: string) {
  const db = new Database(file);
  const query = <T>(schema: z.ZodType<T>, sql: string, id: number) => z.array(schema).parse(db.prepare(sql).all(id));
  const books = {
    change: (sql: string) => void db.exec(sql),
    closeBooks: () => void db.close(),
    /** Nobody else can commit until the returned function is called; whoever tries waits in SQLite. */
    lock(): () => void {
      db.exec('BEGIN IMMEDIATE');
      return () => void db.exec('ROLLBACK');
    },
    /** Oldest first. */
    slotsOf: ({ id }: Made): SlotRow[] =>
      query(
        slotRow,
        `SELECT s.slot_at AS slotAt, s.state, s.count, s.run_id AS runId, r.attempt, r.state AS runState, r.key
         FROM slots s LEFT JOIN runs r ON r.id = s.run_id WHERE s.task_id = ? ORDER BY s.slot_at`,
        id,
      ),
    nextAtOf: ({ id }: Made): number | undefined =>
      query(z.object({ at: z.number() }), 'SELECT next_at AS at FROM tasks WHERE id = ?', id)[0]?.at,
    /** Names of the slots that were worked on. */
    doneOf: (task: Made): string[] =>
      books
        .slotsOf(task)
        .flatMap(({ slotAt, state }) => (state === 'done' ? [`${task.id}@${Math.floor(slotAt / 1_000)}`] : [])),
    slotThat: (task: Made, fits: (slot: SlotRow) => boolean, what: string): Promise<SlotRow> =>
      eventually(() => books.slotsOf(task).find(fits), `a slot of task ${task.id} that ${what}`),
    /** Whatever would have run or been sent twice has been by now. */
    settled: () =>
      eventually(() => {
        const sql = `SELECT ? + (SELECT count(*) FROM slots WHERE state IN ('waiting', 'running'))
          + (SELECT count(*) FROM runs WHERE state IN ('ready', 'leased'))
          + (SELECT count(*) FROM outbox WHERE state = 'queued') AS open`;
        return query(z.object({ open: z.number() }), sql, 0)[0]?.open === 0 || undefined;
      }, 'nothing waits, works or is to be sent'),
  };
  return books;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}

/** Waits until a later slot than any so far is done, ends the series and checks the books. */
export async function expectToGoOn(scene: TaskScene, ...tasks: Made[]): Promise<void> {
  for (const task of tasks) {
    const latest = scene.slotsOf(task).at(-1)?.slotAt ?? 0;
    await scene.slotThat(task, ({ slotAt, state }) => slotAt > latest && state === 'done', 'is later and done');
    expect(scene.nextAtOf(task)).toBeGreaterThan(scene.slotsOf(task).at(-1)?.slotAt ?? 0);
    await scene.daemon.api('PATCH', `/api/tasks/${task.id}`, { action: 'pause' });
  }
  await scene.settled();
  for (const task of tasks) expectEachTimeOnce(scene, task);
  expect(scene.model.rejections()).toEqual([]);
}

/** From the first slot on each time of the series is in exactly one row, and each that was worked on has the run of its key. */
export function expectEachTimeOnce(scene: TaskScene, task: Made): void {
  const slots = scene.slotsOf(task);
  let before = task.firstAt - task.everyMs;
  for (const { slotAt, count, runId, key } of slots) {
    expect(slotAt, JSON.stringify(slots)).toBe(before + count * task.everyMs);
    if (runId !== null) expect(key).toBe(`task:${task.id}:${slotAt}`);
    before = slotAt;
  }
}

/** Each slot that was worked on had its effect once and sent its text once, in order. For scenes of one task. */
export function expectEachDoneOnce(scene: TaskScene, task: Made): void {
  const done = scene.doneOf(task);
  expect(scene.sent()).toEqual(done);
  expect(scene.effects()).toEqual(done);
}

/** The daemon starts again: every slot is worked on once, and the series goes on. For scenes of one task. */
export async function expectRecovery(scene: TaskScene, task: Made): Promise<void> {
  await scene.restart();
  await expectToGoOn(scene, task);
  expectEachDoneOnce(scene, task);
}

/** The engine behind a socket of its own that can fall silent: calls are taken and never answered. */
export async function startEngineRelay(path: string) {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => undefined));
    if (relay.silent) return;
    const engine = connect({ path: '/var/run/docker.sock', allowHalfOpen: true });
    sockets.add(engine.on('error', () => undefined));
    socket.pipe(engine).pipe(socket);
  });
  const relay = {
    silent: false,
    close(): void {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return relay;
}
