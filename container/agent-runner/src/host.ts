// The runner's side of the host's HTTP interface (GET /work, events, finish, send, history, media). Knows nothing about models and tools.
import http from 'node:http';
import { createInterface } from 'node:readline';
import { systemClock } from '../../../src/clock.js';
import type { FinishReport, HistoryResponse, RunnerEvent, SendRequest, WorkLine } from '../../../src/wire.js';
import { historyResponse, refusal, workLine } from '../../../src/wire.js';
import { head, wellFormed } from './text.js';

export interface Host {
  /** Calls `onLine` for each valid line until the stream ends; rejects when it breaks. */
  readWork(onLine: (line: WorkLine) => void): Promise<void>;
  /** Adds to the run's timeline, in order, in the background. Never throws. */
  event(runId: number, kind: RunnerEvent['kind'], detail: RunnerEvent['detail']): void;
  /** Resolves when every event of the run so far was delivered or given up. */
  flush(runId: number): Promise<void>;
  finish(runId: number, report: FinishReport): Promise<void>;
  send(request: SendRequest, signal: AbortSignal): Promise<void>;
  history(query: string, limit: number, signal: AbortSignal): Promise<HistoryResponse['results']>;
  media(messageId: number, index: number): Promise<Buffer>;
}

const EVENTS_PER_POST = 100;
const FINISH_TRIES = 5;

interface Call {
  method: 'GET' | 'POST';
  path: string;
  body?: unknown;
  signal?: AbortSignal;
}

// node:http and not fetch: no hidden time limit may end the work stream of an idle container.
function open(port: number, { method, path, body, signal }: Call): Promise<http.IncomingMessage> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const headers = bytes ? { 'content-type': 'application/json', 'content-length': bytes.length } : {};
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: '127.0.0.1', port, method, path, headers, ...(signal && { signal }) },
      resolve,
    );
    request.on('error', reject);
    request.end(bytes);
  });
}

async function readAll(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

async function call(port: number, request: Call): Promise<Buffer> {
  const response = await open(port, request);
  const bytes = await readAll(response);
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return bytes;
  const refused = refusal.safeParse(parseJson(bytes));
  throw new Error(refused.success ? refused.data.error.message : `the host answered ${status} to ${request.path}`);
}

function limitDetail(detail: RunnerEvent['detail']): RunnerEvent['detail'] {
  const entries = Object.entries(detail);
  return Object.fromEntries(entries.map(([k, v]) => [k, typeof v === 'string' ? head(wellFormed(v), 2_000) : v]));
}

function createEvents(port: number) {
  const waiting = new Map<number, RunnerEvent[]>();
  const posting = new Map<number, Promise<void>>();

  async function post(runId: number): Promise<void> {
    for (;;) {
      const events = waiting.get(runId)?.splice(0, EVENTS_PER_POST) ?? [];
      if (events.length === 0) break;
      try {
        await call(port, { method: 'POST', path: `/runs/${runId}/events`, body: { events } });
      } catch (error) {
        // The timeline is for people; losing a line of it must not stop the work.
        console.error('events not delivered', error);
      }
    }
    waiting.delete(runId);
    posting.delete(runId);
  }

  return {
    add(runId: number, event: RunnerEvent): void {
      const queue = waiting.get(runId) ?? [];
      waiting.set(runId, queue);
      queue.push(event);
      if (!posting.has(runId))
        posting.set(
          runId,
          Promise.resolve().then(() => post(runId)),
        );
    },
    flush: async (runId: number): Promise<void> => posting.get(runId),
  };
}

async function readWork(port: number, onLine: (line: WorkLine) => void): Promise<void> {
  const response = await open(port, { method: 'GET', path: '/work' });
  if (response.statusCode !== 200) throw new Error(`the host answered ${response.statusCode} to /work`);
  for await (const text of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (text.trim() === '') continue;
    const line = workLine.safeParse(parseJson(Buffer.from(text)));
    if (line.success) onLine(line.data);
    else console.error('ignored a work line', line.error.message);
  }
}

async function finish(port: number, runId: number, report: FinishReport): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await call(port, { method: 'POST', path: `/runs/${runId}/finish`, body: report });
      return;
    } catch (error) {
      if (attempt >= FINISH_TRIES) throw error;
      await systemClock.sleep(200 * 2 ** attempt);
    }
  }
}

/** The host as reached through the link at 127.0.0.1:`port`. */
export function createHost(port: number): Host {
  const events = createEvents(port);
  return {
    readWork: (onLine) => readWork(port, onLine),
    event: (runId, kind, detail) => events.add(runId, { kind, at: systemClock.now(), detail: limitDetail(detail) }),
    flush: events.flush,
    finish: (runId, report) => finish(port, runId, report),
    send: async (body, signal) => {
      await call(port, { method: 'POST', path: '/send', body, signal });
    },
    history: async (query, limit, signal) => {
      const bytes = await call(port, { method: 'POST', path: '/history', body: { query, limit }, signal });
      return historyResponse.parse(parseJson(bytes)).results;
    },
    media: (messageId, index) => call(port, { method: 'GET', path: `/media/${messageId}/${index}` }),
  };
}
