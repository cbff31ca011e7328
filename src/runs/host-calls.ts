// What a container may ask of the host, checked: the group comes from the link, a run must be leased and of that group.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { finished, pipeline } from 'node:stream/promises';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import type { Chat, Run } from '../core/types.js';
import { mimeTypeOf, type OutboxFiles } from '../delivery/files.js';
import type { NewOutboxRow } from '../delivery/rows.js';
import { parseJson } from '../gateway/body.js';
import { type Call, type Link, post, type Route, reply } from '../gateway/server.js';
import type { TimelineEvent } from '../groups/timeline.js';
import { markWorking } from '../taint/taint.js';
import * as wire from '../wire.js';
import { answerKey, queueAnswer } from './answers.js';
import { badRequest, ownRun, parse, unknownThing, workingRun } from './calls.js';
import { checkHeldRoom } from './dry.js';
import type { Store } from './store.js';

export interface HostCallDeps {
  store: Store;
  clock: Clock;
  /** Hands a report to the queue, which owns the run's outcome; false when it no longer waits for this run. */
  onFinish(runId: number, report: wire.FinishReport): boolean;
  mediaFile(messageId: number, index: number): string;
  outboxFiles: OutboxFiles;
  /** Throws `disk_full` when no file may be written for this group. */
  checkRoom(groupId: number): void;
  searchMemory(groupId: number, query: string, limit: number): Promise<wire.HistoryResponse['memory']>;
  /** Asks the owner where a message to this chat needs it: what the agent is told then, else undefined. */
  askToSend(link: Link, run: Run, message: { chat: Chat; name: string; text: string }): string | undefined;
}

/** Reading events into objects blocks this process, so there may be fewer bytes of them than of other bodies. */
const MAX_EVENTS_BYTES = 256 * 1024;
/** Of the longest answer, in any alphabet. */
const MAX_ANSWER_BYTES = 1_700_000;

export function createHostCalls(deps: HostCallDeps): Route[] {
  const { store } = deps;
  const uploads: Uploads = new Map();
  const ofAnswer = { rate: 'finish', maxBytes: MAX_ANSWER_BYTES } as const;
  return [
    { method: 'GET', path: '/work', serve: ({ link, response }) => link.onWork(response) },
    { method: 'GET', path: '/media/:message/:index', serve: (call) => sendMedia(deps, call) },
    {
      method: 'POST',
      path: '/file',
      // Reads the rest of a body that nobody needs, before it answers: otherwise the caller might not get the answer.
      async serve({ link, request, response }) {
        const answer = await queueFile(deps, uploads, link, request).finally(() => request.resume());
        await finished(request).catch(() => undefined);
        reply(response, 200, answer);
      },
    },
    post('/runs/:id/events', (link, body, id = 0) => takeEvents(store, ownRun(store, link, id), body), {
      maxBytes: MAX_EVENTS_BYTES,
    }),
    post('/runs/:id/answer', (link, body, id = 0) => takeAnswer(deps, workingRun(store, link, id), body), ofAnswer),
    post('/runs/:id/finish', (link, body, id = 0) => takeReport(deps, ownRun(store, link, id), body), ofAnswer),
    post('/send', (link, body) => send(deps, link, parse(wire.sendRequest, body))),
    post('/ask', (link, body) => ask(deps, link, parse(wire.askRequest, body))),
    post(
      '/history',
      async ({ groupId, dryRun }, body) => {
        const { query, limit = 10 } = parse(wire.historyRequest, body);
        const { results, note } = await store.messages.search(groupId, query, limit);
        const memory = await deps.searchMemory(groupId, query, limit);
        const untrusted = results.find((one) => one.untrusted);
        if (untrusted)
          store.transaction(() =>
            markWorking(store, groupId, `an old message of ${oneLine(untrusted.sender, 80)}`, deps.clock.now(), dryRun),
          );
        return { results: results.map(({ untrusted: _, ...hit }) => hit), memory, note };
      },
      { rate: 'history' },
    ),
  ];
}

async function sendMedia({ store, mediaFile, checkRoom }: HostCallDeps, { link, response, ids }: Call): Promise<void> {
  const [messageId = 0, index = 0] = ids;
  const message = store.messages.get(messageId);
  const chat = message && store.groups.chat(message.chatId);
  if (chat?.groupId !== link.groupId || !message?.media[index]?.fetched) throw unknownThing('media');
  // It goes into the group's folders.
  checkRoom(link.groupId);
  const file = mediaFile(messageId, index);
  const { size } = await stat(file);
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': size });
  // A caller that leaves in the middle gets no answer; the file is closed all the same.
  await pipeline(createReadStream(file), response).catch(() => response.destroy());
}

function takeEvents(store: Store, run: Run, body: unknown) {
  const { events } = parse(wire.runnerEvents, body);
  checkEvents(store, run.id, events);
  store.transaction(() => {
    for (const event of events) store.events.add(run.id, event.at, event.kind, event.detail);
    store.signal('run:event', run.id);
  });
  return {};
}

/** A text with which the model ended, before the run goes on: an outbox row when this returns. */
function takeAnswer(deps: HostCallDeps, run: Run, body: unknown) {
  const { store, clock } = deps;
  const end = parse(wire.answerReport, body);
  if (run.dry) checkHeldRoom(deps, run.id);
  else checkSendLimit(deps, run.id, answerKey(run.id, end.step), end.text);
  store.transaction(() => {
    queueAnswer(store, run, end, clock.now());
    store.runs.progressed(run.id);
  });
  return {};
}

function takeReport({ onFinish }: HostCallDeps, run: Run, body: unknown) {
  const report = wire.finishReport.safeParse(body);
  const { attempt = run.attempt } = report.data ?? {};
  if (attempt !== run.attempt) return { accepted: false };
  // The runner has ended, whatever its report says: without an outcome the run would stay leased until it is overdue.
  const accepted = onFinish(run.id, report.data ?? NOT_UNDERSTOOD);
  if (report.error) throw badRequest(report.error);
  return { accepted };
}

const NOT_UNDERSTOOD: wire.FinishReport = {
  outcome: 'failed',
  errorClass: 'unknown',
  message: 'the report of the agent runner was not understood',
  handledMessageIds: [],
};
const MAX_EVENT = { keys: 16, bytes: 8_192 };
const MAX_TIMELINE = { rows: 5_000, bytes: 2 * 1024 * 1024 };
const MAX_WAITING_FILE_BYTES = 200 * 1024 * 1024;

const tooMany = (of: 'events' | 'messages' | 'files', what: string) => new PinchError(`too_many_${of}`, what);

/** Throws `too_many` for what would fill the disk through the timeline. */
function checkEvents(store: Store, runId: number, events: wire.RunnerEvent[]): void {
  const timeline = store.events.sizeOf(runId) ?? { rows: 0, bytes: 0 };
  const sizes = events.map(({ detail }) => Buffer.byteLength(JSON.stringify(detail)));
  const isLarge = ({ detail }: wire.RunnerEvent) => Object.keys(detail).length > MAX_EVENT.keys;
  if (events.some(isLarge) || sizes.some((bytes) => bytes > MAX_EVENT.bytes))
    throw tooMany('events', `an event may have ${MAX_EVENT.keys} fields and ${MAX_EVENT.bytes} bytes`);
  const bytes = sizes.reduce((sum, size) => sum + size, timeline.bytes);
  if (timeline.rows + events.length > MAX_TIMELINE.rows || bytes > MAX_TIMELINE.bytes)
    throw tooMany('events', 'the timeline of this run is full');
}

type Keyed = Pick<wire.SendRequest, 'runId' | 'key'>;
type Outgoing = Pick<NewOutboxRow, 'chatId' | 'text' | 'file' | 'buttons'>;

/** What one run may send: enough for any work, too little to flood a chat. A long text counts by about the parts it is sent in. */
const PART_CHARS = 3_500;
const PARTS_PER_MINUTE = 30;
const PARTS_PER_RUN = 300;

/** Throws `too_many` past the limit. What is queued already may be asked for again. */
function checkSendLimit({ store, clock }: HostCallDeps, runId: number, key: string, text: string): void {
  if (store.outbox.has(key)) return;
  const now = clock.now();
  const parts = 1 + Math.floor(text.length / PART_CHARS);
  const inAll = store.outbox.partsOfRun(runId, 0, PART_CHARS) + parts;
  const lately = store.outbox.partsOfRun(runId, now - 60_000, PART_CHARS) + parts;
  if (inAll <= PARTS_PER_RUN && lately <= PARTS_PER_MINUTE) return;
  const why =
    inAll > PARTS_PER_RUN
      ? `a run may send ${PARTS_PER_RUN} messages, long ones counted by their parts; end your turn`
      : `a run may send ${PARTS_PER_MINUTE} messages a minute, long ones counted by their parts; wait, or put the text into a file`;
  throw tooMany('messages', why);
}

/** Queues a message once per key of the run, with its event. */
function queue(deps: HostCallDeps, { runId, key }: Keyed, message: Outgoing, event: TimelineEvent): void {
  const { store, clock } = deps;
  const now = clock.now();
  checkSendLimit(deps, runId, `${runId}:${key}`, message.text);
  store.transaction(() => {
    const added = store.outbox.add({ key: `${runId}:${key}`, runId, now, ...message });
    if (added) store.events.add(runId, now, ...event);
  });
}

function send(deps: HostCallDeps, link: Link, request: wire.SendRequest) {
  const { store } = deps;
  const run = workingRun(store, link, request.runId);
  const name = request.chat ?? `${run.chatId}`;
  const chat = store.groups.findChat(name);
  if (!chat || chat.groupId === null) throw unknownThing(`chat ${name}`);
  const { text } = request;
  const waits = deps.askToSend(link, run, { chat, name, text });
  if (waits) return { queued: false, text: waits };
  const message = { chatId: chat.id, text };
  queue(deps, request, message, ['message_queued', { chat: chat.title, key: request.key }]);
  return { queued: true, text: 'Queued for delivery.' };
}

function ask(deps: HostCallDeps, link: Link, request: wire.AskRequest) {
  const { question, choices } = request;
  const { chatId } = workingRun(deps.store, link, request.runId);
  const text = [question, ...choices.map((choice, index) => `${index + 1}. ${choice}`)].join('\n');
  const buttons = choices.map((label, index) => ({ label, value: `choice:${index + 1}` }));
  const message = { chatId, text, buttons: buttons.length > 0 ? buttons : undefined };
  queue(deps, request, message, ['asked', { question, choices: choices.join(' | '), key: request.key }]);
  return { text: 'Asked. The answer will come as a message in this conversation, in a later run.' };
}

/** Files on their way to the disk, by key. */
type Uploads = Map<string, { groupId: number; bytes: number }>;

/** What a call of `POST /file` says about its body. Throws `bad_request` or `too_large`. */
function readFileCall({ url = '', headers }: IncomingMessage) {
  const spec = parse(wire.fileRequest, parseJson(new URLSearchParams(url.split('?')[1]).get('spec') ?? ''));
  const bytes = Number(headers['content-length']);
  if (!(bytes >= 0)) throw new PinchError('bad_request', 'a file needs its content-length');
  if (bytes > wire.MAX_SENT_FILE_BYTES) throw new PinchError('too_large', 'a file may have 16 MB');
  return { ...spec, bytes };
}

/** The bytes go straight to the disk. Throws `no_room` beyond what may wait there. */
async function queueFile(deps: HostCallDeps, uploads: Uploads, { groupId }: Link, request: IncomingMessage) {
  const { store, outboxFiles } = deps;
  const { bytes, path, caption: text, ...call } = readFileCall(request);
  const { chatId } = workingRun(store, { groupId }, call.runId);
  const key = `${call.runId}:${call.key}`;
  // The first call's file may have been sent and removed by now: nothing would ever remove a second copy.
  if (store.outbox.has(key)) return { queued: true };
  deps.checkRoom(groupId);
  if (uploads.has(key)) throw tooMany('files', 'this file is being taken already');
  uploads.set(key, { groupId, bytes });
  try {
    const coming = [...uploads.values()].filter((file) => file.groupId === groupId);
    if (coming.reduce((sum, file) => sum + file.bytes, store.outbox.waitingBytes(groupId)) > MAX_WAITING_FILE_BYTES)
      throw new PinchError('no_room', 'too many files of this group wait to be sent; try again later');
    // Bytes first: a row whose file is missing could never be sent.
    const start = await outboxFiles.keep(key, request).catch((error: unknown) => {
      throw request.errored ? new PinchError('bad_request', 'the file broke off') : error;
    });
    const fileName = path.split('/').at(-1) || 'file';
    const file = { fileName, mimeType: mimeTypeOf(fileName, start), path, bytes };
    queue(deps, call, { chatId, text, file }, ['file_queued', { path, bytes, key: call.key }]);
    return { queued: true };
  } finally {
    uploads.delete(key);
    if (!store.outbox.has(key)) await outboxFiles.drop(key);
  }
}
