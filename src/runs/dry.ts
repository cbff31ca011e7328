// A dry run: what its container asks for that would change anything outside is written down in its timeline and not carried out. What is not in
// the list here is held back, so a new call is so until somebody says that it changes nothing.
import { finished } from 'node:stream/promises';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import type { Run } from '../core/types.js';
import { parseJson, readJson } from '../gateway/body.js';
import { type Call, type Hold, type Route, reply } from '../gateway/server.js';
import * as wire from '../wire.js';
import { parse, unknownThing, workingRun } from './calls.js';
import type { Store } from './store.js';

/** What a model, or a program, is told in the place of what it asked for. */
export const NOTED = 'Noted; this is a dry run, so it was not carried out. Go on as if it had been.';

/** Method and path of the calls that a dry run is served: they change nothing, or hold back by themselves what would. */
export const SERVED = new Set([
  'GET /work',
  'GET /media/:message/:index',
  'POST /runs/:id/events',
  // Kept in the timeline and not sent: runs/answers.ts.
  'POST /runs/:id/answer',
  'POST /runs/:id/finish',
  'POST /history',
  'POST /memory/known',
  'POST /tasks/list',
  'POST /groups/list',
  'POST /services/list',
  // Reading only: services/door.ts.
  'any /service/*',
  'POST /mcp/tools',
  // Tools that say of themselves that they only read: mcp/calls.ts.
  'POST /mcp/call',
  'POST /v1/messages',
  'GET /v1/messages',
  'POST /v1/messages/count_tokens',
  'GET /v1/messages/count_tokens',
]);

/** How people call what is held back; anything else by its path. */
const WHAT: Record<string, string> = {
  '/send': 'message',
  '/file': 'file',
  '/ask': 'question',
  '/tasks': 'task',
  '/tasks/:id': 'task',
  '/mounts': 'folder of the machine',
  '/skills': 'skill',
  '/mcp/propose': 'service',
  '/groups/register': 'registration of a chat',
};
/** What is wrong with a call is said as ever, so that the model corrects it. */
const SCHEMAS: Record<string, z.ZodType> = {
  '/send': wire.sendRequest,
  '/file': wire.fileRequest,
  '/ask': wire.askRequest,
  '/tasks': wire.taskRequest,
  '/tasks/:id': wire.taskChangeRequest,
  '/mounts': wire.mountRequest,
  '/skills': wire.skillProposal,
  '/mcp/propose': wire.serviceProposal,
  '/groups/register': wire.groupRegisterRequest,
};
/** Reports of the runner that would tell nobody anything. */
const QUIET = new Set(['/skills/left-out', '/memory', '/approvals/:id/wait']);

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_TEXT_CHARS = 4_000;
const MAX_ANSWER_CHARS = 20_000;
const MAX_KEY_CHARS = 200;
const MAX_ABOUT_CHARS = 300;
/** Of the timeline, with what its runner reports. */
const MAX_TIMELINE_BYTES = 3 * 1024 * 1024;

/** Of what is held back: a text with which the model ended. */
export const ANSWER = 'answer';

export interface DryDeps {
  store: Store;
  clock: Pick<Clock, 'now'>;
}

/** One thing that a dry run would have done. With the same `key` it is the same thing, however often it is asked for. */
export interface Held {
  what: string;
  about: string;
  text?: string | undefined;
  key?: string | undefined;
}

/** Throws `too_many` for what would fill the disk. */
export function checkHeldRoom({ store }: Pick<DryDeps, 'store'>, runId: number): void {
  const { bytes } = store.events.sizeOf(runId) ?? { bytes: 0 };
  if (store.events.hasRoom(runId) && bytes < MAX_TIMELINE_BYTES) return;
  const why = 'this dry run has had so much held back that no more is written down; end your turn';
  throw new PinchError('too_many', why);
}

/** Writes it down, in the caller's transaction; who lets a container write much asks `checkHeldRoom` before. */
export function noteHeld(
  { store }: Pick<DryDeps, 'store'>,
  runId: number,
  { now, ...held }: Held & { now: number },
): void {
  const { what, about, text } = held;
  const key = held.key?.slice(0, MAX_KEY_CHARS);
  if (key !== undefined && store.events.hasHeld(runId, key)) return;
  const said = text === undefined ? {} : { text: cut(text, what === ANSWER ? MAX_ANSWER_CHARS : MAX_TEXT_CHARS) };
  const detail = { what, about: oneLine(about, MAX_ABOUT_CHARS), ...said, ...(key !== undefined && { key }) };
  store.events.add(runId, now, 'held_back', detail);
}

/** What a call would have done, of a run that works. Throws `too_many`. */
export function holdBack({ store, clock }: DryDeps, runId: number, held: Held): void {
  checkHeldRoom({ store }, runId);
  store.transaction(() => noteHeld({ store }, runId, { ...held, now: clock.now() }));
}

export const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text);

/** For the gateway: answers a call of a dry run in the place of its route; undefined for what is served. */
export function createDryHold(deps: DryDeps): Hold {
  return (call, { method, path }) => {
    const { dryRun } = call.link;
    if (dryRun === undefined || SERVED.has(`${method} ${path}`)) return undefined;
    return hold(deps, call, { dryRun, path });
  };
}

async function hold(
  deps: DryDeps,
  { link, request, response, ids, room }: Call,
  { dryRun, path }: { dryRun: number } & Pick<Route, 'path'>,
): Promise<void> {
  const isFile = path === '/file';
  const spec = new URLSearchParams((request.url ?? '').split('?')[1]).get('spec') ?? '';
  const body = isFile ? parseJson(spec) : await readJson(request, MAX_BODY_BYTES, room);
  if (isFile) {
    request.resume();
    await finished(request).catch(() => undefined);
  }
  const run = workingRun(deps.store, link, dryRun);
  if (!QUIET.has(path)) holdBack(deps, run.id, describe(deps.store, run, { path, ids, body }));
  reply(response, 200, { text: NOTED, queued: false });
}

interface HeldCall extends Pick<Route, 'path'> {
  ids: number[];
  body: unknown;
}

const anyBody = z.record(z.string(), z.unknown()).catch({});

/** Throws `bad_request`, and `forbidden` for a chat that is not there. */
function describe(store: Store, run: Run, { path, ids, body }: HeldCall): Held {
  const schema = SCHEMAS[path];
  const { runId: _, key, ...fields } = anyBody.parse(schema ? parse(schema, body) : body);
  const what = WHAT[path] ?? path;
  const named = { what, ...(typeof key === 'string' && { key: `${path} ${key}` }) };
  const send = wire.sendRequest.safeParse(path === '/send' ? body : undefined).data;
  if (send) return { ...named, about: `to ${chatTitle(store, run, send.chat)}`, text: send.text };
  const { about, ...rest } = aboutOf(path, ids, fields);
  const text = JSON.stringify(rest);
  return { ...named, about, ...(text !== '{}' && { text }) };
}

function chatTitle(store: Store, { chatId }: Run, name = `${chatId}`): string {
  const chat = store.groups.findChat(name);
  if (!chat || chat.groupId === null) throw unknownThing(`chat ${name}`);
  return chat.title || name;
}

/** The field that says most, and the others. */
function aboutOf(path: string, [id]: number[], fields: Record<string, unknown>) {
  if (path === '/tasks/:id') return { ...fields, about: `${fields.action} task ${id}` };
  const name = ['title', 'path', 'question', 'name', 'chat', 'prompt'].find((one) => typeof fields[one] === 'string');
  if (name === undefined) return { ...fields, about: id === undefined ? '' : `${id}` };
  const { [name]: about, ...rest } = fields;
  return { ...rest, about: `${about}` };
}
