// What a container may ask of the host, checked: the group comes from the link, a run must be leased and of that group.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../clock.js';
import { PinchError } from '../errors.js';
import { answerKey, queueAnswer } from '../loops/answers.js';
import { mimeTypeOf, type OutboxFiles } from '../outbox-files.js';
import type { Store } from '../store/index.js';
import type { NewOutboxRow } from '../store/outbox.js';
import type { Tasks } from '../tasks.js';
import type { Wake } from '../wake.js';
import * as wire from '../wire.js';
import { findChat, leasedRun, ownRun, parse, unknownThing, workingRun } from './calls.js';
import type { Link } from './server.js';
import { createTaskApi } from './task-api.js';

export interface HostApiDeps {
  store: Store;
  wake: Wake;
  clock: Clock;
  /** Hands a report to the queue, which owns the run's outcome; false when it no longer waits for this run. */
  onFinish(runId: number, report: wire.FinishReport): boolean;
  mediaFile(messageId: number, index: number): string;
  outboxFiles: OutboxFiles;
  tasks: Tasks;
}

export type HostApi = ReturnType<typeof createHostApi>;

export function createHostApi(deps: HostApiDeps) {
  const { store } = deps;
  return {
    /** The only runs a link may speak for are leased ones of its group. */
    leasedRun: (link: Link, runId: number) => leasedRun(store, link, runId),
    events(link: Link, runId: number, body: unknown) {
      const run = ownRun(store, link, runId);
      const { events } = parse(wire.runnerEvents, body);
      store.transaction(() => {
        for (const event of events) store.events.addReported(run.id, event.at, event.kind, event.detail);
      });
      deps.wake.emit('changed');
      return {};
    },
    finish(link: Link, runId: number, body: unknown) {
      const run = ownRun(store, link, runId);
      const report = wire.finishReport.safeParse(body);
      // Whatever it was, the runner has ended: without an outcome the run would stay leased until its time is up.
      if (!report.success) deps.onFinish(run.id, NOT_UNDERSTOOD);
      return { accepted: deps.onFinish(run.id, parse(wire.finishReport, body)) };
    },
    /** A text with which the model ended, before the run goes on: an outbox row when this returns. */
    answer(link: Link, runId: number, body: unknown) {
      const run = workingRun(store, link, runId);
      const end = parse(wire.answerReport, body);
      checkSendLimit(deps, run.id, answerKey(run.id, end.step), end.text);
      store.transaction(() => {
        queueAnswer(store, run, end, deps.clock.now());
        store.runs.progressed(run.id);
      });
      deps.wake.emit('outbox');
      return {};
    },
    send(link: Link, body: unknown) {
      const request = parse(wire.sendRequest, body);
      const run = workingRun(store, link, request.runId);
      const name = request.chat ?? `${run.chatId}`;
      const chat = findChat(store, name);
      if (chat?.groupId !== link.groupId) throw unknownThing(`chat ${name}`);
      const message = { chatId: chat.id, text: request.text };
      queue(deps, request, message, ['message_queued', { chat: chat.title }]);
      return { queued: true, chat: chat.title };
    },
    ask: (link: Link, body: unknown) => ask(deps, link, parse(wire.askRequest, body)),
    tasks: createTaskApi(deps),
    file: (link: Link, body: unknown) => queueFile(deps, link, parse(wire.fileRequest, body)),
    history(link: Link, body: unknown) {
      const { query, limit } = parse(wire.historyRequest, body);
      return { results: store.messages.search(link.groupId, query, limit ?? 10) };
    },
    async media(link: Link, messageId: number, index: number, response: ServerResponse): Promise<void> {
      const message = store.messages.get(messageId);
      const chat = message && store.groups.chat(message.chatId);
      if (chat?.groupId !== link.groupId || !message?.media[index]?.fetched) throw unknownThing('media');
      const file = deps.mediaFile(messageId, index);
      const { size } = await stat(file);
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': size });
      // Closes the file as well when the caller leaves in the middle, which is all the answer it then gets.
      await pipeline(createReadStream(file), response).catch(() => response.destroy());
    },
  };
}

const NOT_UNDERSTOOD: wire.FinishReport = {
  outcome: 'failed',
  errorClass: 'unknown',
  message: 'the report of the agent runner was not understood',
  handledMessageIds: [],
};

type Call = Pick<wire.SendRequest, 'runId' | 'key'>;
type Words = Pick<NewOutboxRow, 'chatId' | 'text' | 'file'>;
type Told = [event: string, detail: Record<string, unknown>];

/** What one run may send: enough for any work, too little to flood a chat. A long text counts by about the parts it is sent in. */
const PART_CHARS = 3_500;
const PARTS_PER_MINUTE = 30;
const PARTS_PER_RUN = 300;

/** Throws `too_many` past the limit, and the timeline says so. What is queued already may be asked for again. */
function checkSendLimit({ store, clock }: HostApiDeps, runId: number, key: string, text: string): void {
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
  store.events.addReported(runId, now, 'send_refused', { why });
  throw new PinchError('too_many', why);
}

/** Once per key of the run; the timeline is told when it is new. */
function queue(deps: HostApiDeps, { runId, key }: Call, words: Words, [event, detail]: Told): void {
  const { store, clock, wake } = deps;
  const now = clock.now();
  checkSendLimit(deps, runId, `${runId}:${key}`, words.text);
  store.transaction(() => {
    const added = store.outbox.add({ key: `${runId}:${key}`, runId, now, ...words });
    if (added) store.events.add(runId, now, event, { ...detail, key });
  });
  wake.emit('outbox');
}

function ask(deps: HostApiDeps, link: Link, request: wire.AskRequest) {
  const { question, choices } = request;
  const { chatId } = workingRun(deps.store, link, request.runId);
  const text = [question, ...choices.map((choice, index) => `${index + 1}. ${choice}`)].join('\n');
  queue(deps, request, { chatId, text }, ['asked', { question, choices: choices.join(' | ') }]);
  return { text: 'Asked. The answer will come as a message in this conversation, in a later run.' };
}

async function queueFile(deps: HostApiDeps, link: Link, request: wire.FileRequest) {
  const { runId, path, caption: text } = request;
  const { chatId } = workingRun(deps.store, link, runId);
  const bytes = Buffer.from(request.base64, 'base64');
  const fileName = path.split('/').at(-1) || 'file';
  const file = { fileName, mimeType: mimeTypeOf(fileName, bytes), path };
  // Bytes first: a row whose file is missing could never be sent.
  await deps.outboxFiles.keep(`${runId}:${request.key}`, bytes);
  queue(deps, request, { chatId, text, file }, ['file_queued', { path, bytes: bytes.length }]);
  return { queued: true };
}
