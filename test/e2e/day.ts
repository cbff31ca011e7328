// A day with the assistant: what people type in the set-ups of README ("What can I ask it to do?"), and what comes of it. Real daemon and
// containers, grammY against the fake Telegram; the model follows a script.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { z } from 'zod';
import type { SentMessage } from '../fakes/telegram.js';
import { type Family, startFamily } from './family.js';
import { containersOf, type DaemonOptions, eventually, newHome, removeHome, startDaemon } from './harness.js';
import { type Scene, startScene } from './talk.js';

const repository = join(import.meta.dirname, '../..');

/**
 * The set-up of this number, word for word as README has it: what to do once, what is typed then, what comes back, each from 0. Throws where
 * README says no such thing.
 */
export function setUp(number: number) {
  const readme = readFileSync(join(repository, 'README.md'), 'utf8');
  const lines = new RegExp(`^${number}\\. \\*\\*.*\\*\\* Once: (.*)\n +You: (.*)\n +Pinch: (.*)$`, 'm').exec(readme);
  const pick = (line: number, mark: string) => (at: number) => {
    const words = lines?.[line]?.split(mark)[2 * at + 1];
    if (words === undefined) throw new Error(`README has no part ${at} in line ${line} of set-up ${number}`);
    return words;
  };
  return { once: pick(1, '`'), typed: pick(2, '*'), answer: pick(3, '*') };
}

/** The skills that this line of README applies. */
export const skillsIn = (line: string): string[] => (/^npm run skill -- apply (.+)$/.exec(line)?.[1] ?? '').split(' ');

/** What this line of README says to `pinch` at a terminal. */
export const commandIn = (line: string): string[] => (/^npm run -s pinch -- (.+)$/.exec(line)?.[1] ?? '').split(' ');

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
const approvalList = z.object({
  approvals: z.array(z.object({ id: z.number(), kind: z.string(), state: z.string(), subject: z.string() })),
});

export interface DayOptions {
  /** What stands in services.json. */
  services?: Record<string, unknown>;
  /** What stands in .env. */
  secrets?: Record<string, string>;
  env?: Record<string, string>;
  /** Another checkout whose dist/ runs. */
  repository?: string;
}

export type Day = Awaited<ReturnType<typeof startDay>>;

export async function startDay({ services = {}, secrets = {}, env: more = {}, ...where }: DayOptions = {}) {
  const people = await startFamily();
  const home = newHome();
  const lines = Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(home, 'services.json'), JSON.stringify(services), { mode: 0o600 });
  writeFileSync(join(home, '.env'), lines.join(''), { mode: 0o600 });
  // So that hours can pass in a second: what a container read counts until it is gone.
  const env = { ...people.env, TZ: 'Europe/Berlin', PINCH_IDLE_MS: '1000', ...more };
  const scene = await startScene({ daemon: { home, env, ...where } });
  await people.tg.waitForPoll();
  const close = async () => {
    expect(scene.model.rejections()).toEqual([]);
    await scene.close();
    await people.tg.close();
    removeHome(home);
  };
  return {
    ...people,
    ...talk(people, scene),
    ...plans(scene),
    ...machine(scene, { home, env, ...where }),
    scene,
    home,
    close,
  };
}

/** What is written and read in the chats. */
function talk({ tg, olga, direct }: Family, { model }: Scene) {
  type Chat = Parameters<typeof tg.userSends>[0];
  const hears = async (text: string, chat: Chat = direct, since = 0) => {
    const fits = (sent: SentMessage) =>
      tg.sent.indexOf(sent) >= since && sent.chat_id === chat.id && sent.plain.includes(text);
    return tg.waitForSent(fits).catch((cause: unknown) => {
      throw new Error(`"${text}" was not said; last: ${JSON.stringify(tg.sent.slice(-3).map(({ plain }) => plain))}`, {
        cause,
      });
    });
  };
  return {
    hears,
    /** Somebody writes; resolves with the message after that in the same chat that contains `answer`. */
    async ask(what: Parameters<typeof tg.userSends>[2], answer: string, chat: Chat = direct, person = olga) {
      const before = tg.sent.length;
      tg.userSends(chat, person, what);
      return (await hears(answer, chat, before)).plain;
    },
    yes: ({ message_id }: SentMessage) => tg.userPresses(direct, olga, message_id, 'allow'),
    read: (chat: Chat) => tg.sent.filter((sent) => sent.chat_id === chat.id).map((sent) => sent.plain),
    calls: () => model.requests.length,
    /** What the model was last told: the whole conversation as text, its prompt, or the last message. */
    told: () => JSON.stringify(model.requests.at(-1)?.body?.messages),
    prompt: () => JSON.stringify(model.requests.at(-1)?.body?.system),
    lastTurn: () => JSON.stringify(model.requests.at(-1)?.body?.messages.at(-1)),
  };
}

/** Tasks, and what waits for the owner. */
function plans(scene: Scene) {
  const tasks = async () => taskList.parse((await scene.daemon.api('GET', '/api/tasks')).body).tasks;
  async function taskOf(title: string) {
    const task = (await tasks()).find((one) => one.title === title);
    if (!task) throw new Error(`there is no task ${title}`);
    return task;
  }
  return {
    tasks,
    taskOf,
    slotsDone: (title: string, count: number) =>
      eventually(
        async () => (await taskOf(title)).slots.filter(({ state }) => state === 'done').length >= count,
        `${count} slots of ${title}`,
      ),
    cards: async () => approvalList.parse((await scene.daemon.api('GET', '/api/approvals')).body).approvals,
  };
}

/** The machine that the daemon runs on. */
function machine(scene: Scene, { home, env, ...where }: DaemonOptions & { home: string }) {
  return {
    /** What the group `main` has as /workspace. */
    folder: join(home, 'groups', 'main'),
    async restart(): Promise<void> {
      await scene.daemon.kill('SIGTERM');
      scene.daemon = await startDaemon({ home, env: { ...scene.env, ...env }, ...where });
    },
    /** The container of what was said before is gone, as it is hours later. */
    hoursPass: () => eventually(async () => (await containersOf(home)).length === 0, 'no container is left'),
    /** At a terminal: `npm run -s pinch -- …`. */
    async pinch(...args: string[]): Promise<string> {
      const program = `import('./dist/cli.js').then(({ runCli }) => runCli(process.argv.slice(1))).then((code) => process.exit(code))`;
      const settings = { ...process.env, PINCH_HOME: home, PINCH_PORT: `${scene.daemon.port}` };
      const ran = promisify(execFile)('node', ['-e', program, ...args], { cwd: repository, env: settings });
      return (await ran).stdout;
    },
  };
}

export const use = (name: string, input: Record<string, unknown>) => ({
  content: [{ type: 'tool_use' as const, name, input }],
});
