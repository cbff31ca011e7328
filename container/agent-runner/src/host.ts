// The runner's side of the host's HTTP interface (GET /work, events, finish, send, history, media). Knows nothing about models and tools.
import http from 'node:http';
import { createInterface } from 'node:readline';
import { systemClock } from '../../../src/clock.js';
import type { FinishReport, RunnerEvent, SendRequest, WorkLine } from '../../../src/wire.js';
import { historyResponse, refusal, workLine } from '../../../src/wire.js';
import { head, wellFormed } from './text.js';

const EVENTS_PER_POST = 100;
const FINISH_TRIES = 5;

interface Call {
  path: string;
  /** With a body it is a POST, else a GET. */
  body?: unknown;
  signal?: AbortSignal;
}

// node:http and not fetch: no hidden time limit may end the work stream of an idle container.
function open(port: number, { path, body, signal }: Call): Promise<http.IncomingMessage> {
  const bytes = body === undefined ? '' : JSON.stringify(body);
  const options = { host: '127.0.0.1', port, path, method: bytes ? 'POST' : 'GET', ...(signal && { signal }) };
  return new Promise((resolve, reject) => {
    const headers = bytes ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) } : {};
    http
      .request({ ...options, headers }, resolve)
      .on('error', reject)
      .end(bytes);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function call(port: number, request: Call): Promise<Buffer> {
  const response = await open(port, request);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(Buffer.from(chunk));
  const bytes = Buffer.concat(chunks);
  if (response.statusCode === 200) return bytes;
  const refused = refusal.safeParse(parseJson(bytes.toString()));
  throw new Error(refused.data?.error.message ?? `the host answered ${response.statusCode} to ${request.path}`);
}

function createEvents(port: number) {
  const open = new Map<number, RunnerEvent[]>();
  let last = Promise.resolve();
  return {
    add(runId: number, event: RunnerEvent): void {
      const batch = open.get(runId);
      if (batch && batch.length < EVENTS_PER_POST) return void batch.push(event);
      const events = [event];
      open.set(runId, events);
      const post = async () => {
        if (open.get(runId) === events) open.delete(runId);
        await call(port, { path: `/runs/${runId}/events`, body: { events } });
      };
      // The timeline is for people; losing a line of it must not stop the work.
      last = last.then(post).catch((error) => console.error('events not delivered', error));
    },
    flush: (): Promise<void> => last,
  };
}

async function readWork(port: number, onLine: (line: WorkLine) => void): Promise<void> {
  const response = await open(port, { path: '/work' });
  if (response.statusCode !== 200) throw new Error(`the host answered ${response.statusCode} to /work`);
  for await (const text of createInterface({ input: response })) {
    if (text.trim() === '') continue;
    const line = workLine.safeParse(parseJson(text));
    if (line.success) onLine(line.data);
    else console.error('ignored a work line', line.error.message);
  }
}

async function finish(port: number, runId: number, body: FinishReport): Promise<void> {
  for (let attempt = 1; attempt <= FINISH_TRIES; attempt++) {
    try {
      return void (await call(port, { path: `/runs/${runId}/finish`, body }));
    } catch (error) {
      console.error(`the report of run ${runId} was not taken`, error);
      await systemClock.sleep(200 * 2 ** attempt);
    }
  }
}

function limited(detail: RunnerEvent['detail']): RunnerEvent['detail'] {
  const cut = (value: string | number | boolean) =>
    typeof value === 'string' ? head(wellFormed(value), 2_000) : value;
  return Object.fromEntries(Object.entries(detail).map(([key, value]) => [key, cut(value)]));
}

export type Host = ReturnType<typeof createHost>;

/** The host as reached through the link at 127.0.0.1:`port`. */
export function createHost(port: number) {
  const events = createEvents(port);
  return {
    /** Calls `onLine` for each valid line until the stream ends; rejects when it breaks. */
    readWork: (onLine: (line: WorkLine) => void) => readWork(port, onLine),
    /** Adds to the run's timeline, in order, in the background. Never throws. */
    event: (runId: number, kind: RunnerEvent['kind'], detail: RunnerEvent['detail']) =>
      events.add(runId, { kind, at: systemClock.now(), detail: limited(detail) }),
    /** Resolves when all events so far were delivered or given up. */
    flush: events.flush,
    /** Delivers the report, with some patience. Never rejects: a host that no longer wants it lets the lease run out. */
    finish: (runId: number, report: FinishReport) => finish(port, runId, report),
    /** Queues a message; throws the host's reason when it refuses. */
    send: (body: SendRequest, signal: AbortSignal) => call(port, { path: '/send', body, signal }),
    async history(query: string, limit: number, signal: AbortSignal) {
      const bytes = await call(port, { path: '/history', body: { query, limit }, signal });
      return historyResponse.parse(parseJson(bytes.toString())).results;
    },
    media: (messageId: number, index: number) => call(port, { path: `/media/${messageId}/${index}` }),
  };
}
