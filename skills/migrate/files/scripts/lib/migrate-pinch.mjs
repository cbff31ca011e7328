// Chats and tasks into the running daemon through its JSON API, and the record of what was brought over before.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { shown } from './migrate-plan.mjs';
import { SetupError } from './progress.mjs';

/**
 * @typedef {import('./migrate-plan.mjs').Plan} Plan
 * @typedef {import('./migrate-plan.mjs').PlannedTask} PlannedTask
 * @typedef {{ method: string, path: string, body?: unknown }} Call
 * @typedef {(call: Call) => Promise<{ status: number, body: unknown }>} Ask
 * @typedef {z.infer<typeof chatsAnswer>['chats'][number]} Chat
 * @typedef {z.infer<typeof recordSchema>} MigrationRecord
 */

const recordSchema = z.object({ files: z.array(z.string()), tasks: z.record(z.string(), z.number()) });
const chatsAnswer = z.object({
  chats: z.array(z.object({ id: z.number(), channel: z.string(), address: z.string(), folder: z.string().nullable() })),
});
const tasksAnswer = z.object({
  tasks: z.array(z.object({ id: z.number(), chatId: z.number(), prompt: z.string(), title: z.string() })),
});
const taskAnswer = z.object({ task: z.object({ id: z.number() }) });
const refusal = z.object({ error: z.object({ message: z.string(), hint: z.string().optional() }) });

const recordFile = (/** @type {string} */ home, /** @type {string} */ from) =>
  join(home, 'data', `migrated-from-${from}.json`);

/** @param {string} home @param {string} from @returns {MigrationRecord} */
export function readRecord(home, from) {
  const file = recordFile(home, from);
  if (!existsSync(file)) return { files: [], tasks: {} };
  const parsed = recordSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new SetupError(`${file} is not a record of a migration: move it away to begin again.`);
}

/** Whole or not at all. @param {string} home @param {string} from @param {MigrationRecord} record */
export function writeRecord(home, from, record) {
  const file = recordFile(home, from);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}

/** The running daemon of this home; undefined when none answers. @param {string} home @param {string | undefined} port */
export async function connect(home, port = '7462') {
  const file = join(home, 'data', 'dashboard-token');
  if (!existsSync(file)) return undefined;
  const authorization = `Bearer ${readFileSync(file, 'utf8').trim()}`;
  /** @type {Ask} */
  const ask = async ({ method, path, body }) => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = { authorization, 'content-type': 'application/json' };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...init }).catch((cause) => {
      throw new SetupError('Pinch does not answer any more: start it, then run this again.', '', { cause });
    });
    return { status: answer.status, body: await answer.json() };
  };
  const first = await ask({ method: 'GET', path: '/api/status' }).catch(() => undefined);
  return first?.status === 200 ? ask : undefined;
}

/** @param {Ask} ask */
export async function readChats(ask) {
  return chatsAnswer.parse((await ask({ method: 'GET', path: '/api/chats' })).body).chats;
}

/** @param {{ channel: string, address: string }} chat */
const nameOf = ({ channel, address }) => `${channel}:${address}`;

/**
 * Which chats to register; those that are somebody else's stay so.
 * @param {Plan} plan
 * @param {Chat[]} known
 */
export function planChats({ chats }, known) {
  const folders = new Map(known.map((chat) => [nameOf(chat), chat.folder]));
  return {
    register: chats.filter(({ chat }) => !folders.get(chat)),
    left: chats.flatMap(({ chat, folder }) => {
      const now = folders.get(chat);
      return !now || now === folder ? [] : [`${chat}: it is registered to ${now} already, not to ${folder}`];
    }),
  };
}

/** Why it could not be; undefined when it is done. @param {Ask} ask @param {Plan['chats'][number]} chat */
export async function register(ask, { chat, folder, senders, listed }) {
  const path = `/api/chats/${encodeURIComponent(chat)}/register`;
  return problemOf(await ask({ method: 'POST', path, body: { folder, senders, listed } }));
}

/**
 * Stores the task, unless it is there. Returns its number, or why it could not be.
 * @param {Ask} ask
 * @param {PlannedTask} task
 * @returns {Promise<{ id: number } | { why: string }>}
 */
export async function addTask(ask, { id: _, chat, paused, ...input }) {
  const known = await readChats(ask);
  const to = chat === 'main' ? await ownersChat(ask, known) : known.find((one) => nameOf(one) === chat);
  if (!to?.folder) return { why: `${chat} is not registered: register it, then run this again` };
  const open = tasksAnswer.parse((await ask({ method: 'GET', path: '/api/tasks' })).body).tasks;
  const same = open.find(({ chatId, prompt }) => chatId === to.id && prompt === input.prompt);
  if (same) return { id: same.id };
  const answer = await ask({ method: 'POST', path: '/api/tasks', body: { ...input, chat: nameOf(to) } });
  const why = problemOf(answer);
  if (why !== undefined) return { why };
  const added = taskAnswer.parse(answer.body).task;
  if (paused) await ask({ method: 'PATCH', path: `/api/tasks/${added.id}`, body: { action: 'pause' } });
  return added;
}

/** Where the owner is: a chat of the main group, else the page. @param {Ask} ask @param {Chat[]} known */
async function ownersChat(ask, known) {
  const mine = known.filter(({ folder }) => folder === 'main');
  const chat = mine.find(({ channel }) => channel !== 'web') ?? mine[0];
  if (chat) return chat;
  await ask({ method: 'POST', path: '/api/chats/web:owner/register', body: { folder: 'main' } });
  return (await readChats(ask)).find((one) => nameOf(one) === 'web:owner');
}

/** @param {{ status: number, body: unknown }} answer */
function problemOf({ status, body }) {
  if (status < 300) return undefined;
  const { data } = refusal.safeParse(body);
  const hint = data?.error.hint ? `; ${data.error.hint}` : '';
  return data ? shown(`${data.error.message}${hint}`.replaceAll('\n', ' ')) : `Pinch answered ${status}`;
}
