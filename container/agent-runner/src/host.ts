// The runner's side of the host's HTTP interface (GET /work, events, finish, send, tasks, ask, history, media). Knows nothing about models and tools.
import { systemClock } from '../../../src/core/clock.js';
import type { AnswerReport, FileRequest, FinishReport, RunnerEvent, SendRequest, WorkLine } from '../../../src/wire.js';
import { historyResponse, hostText, refusal, workLine } from '../../../src/wire.js';
import { createFetch } from './fetch.js';

export type Host = ReturnType<typeof createHost>;

/** The host's own no, with its reason as message. */
class HostRefusal extends Error {
  constructor(
    reason: string,
    readonly status: number,
  ) {
    super(reason);
  }
}

const later = (status: number): boolean => status >= 500;
const laterOrBusy = (status: number): boolean => later(status) || status === 429;

/** Repeats the call until the host took it. Throws when the host refuses it for good, or when `signal` aborts. */
async function insist(call: () => Promise<unknown>, mayTakeItLater: (status: number) => boolean, signal?: AbortSignal) {
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
    try {
      return void (await call());
    } catch (error) {
      if ((error instanceof HostRefusal && !mayTakeItLater(error.status)) || signal?.aborted) throw error;
      await systemClock.sleep(pauseMs, signal);
    }
  }
}

/** The host as reached through the link at 127.0.0.1:`port`. */
export function createHost(port: number) {
  const fetch = createFetch();
  let events: Promise<unknown> = Promise.resolve();

  /** With a body, bytes or what becomes JSON, it is a POST, else a GET. Throws the host's reason when it refuses. */
  async function open(path: string, body?: unknown, signal: AbortSignal | null = null): Promise<Response> {
    const isFile = body instanceof Uint8Array;
    const type = isFile ? 'application/octet-stream' : 'application/json';
    const post = { method: 'POST', body: isFile ? body : JSON.stringify(body), headers: { 'content-type': type } };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { ...(body !== undefined && post), signal });
    if (response.ok) return response;
    const refused = refusal.safeParse(await response.json().catch(() => undefined));
    const reason = refused.data?.error.message ?? `the host answered ${response.status} to ${path}`;
    throw new HostRefusal(reason, response.status);
  }
  const call = async (...request: Parameters<typeof open>) => Buffer.from(await (await open(...request)).arrayBuffer());

  return {
    /** Each valid line of the work stream until it ends; throws when it breaks. */
    async *work(): AsyncGenerator<WorkLine> {
      const decoder = new TextDecoder();
      let rest = '';
      for await (const chunk of (await open('/work')).body ?? []) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        for (const text of lines.filter((line) => line.trim() !== '')) {
          const { success, data, error } = workLine.safeParse(JSON.parse(text));
          if (success) yield data;
          else console.error('ignored a work line', error.message);
        }
      }
    },
    /** Adds to the run's timeline, in order, in the background; texts are at most 4,000 characters. Never throws. */
    event(runId: number, kind: RunnerEvent['kind'], detail: RunnerEvent['detail']): void {
      const body = { events: [{ kind, at: systemClock.now(), detail }] };
      // The timeline is for people; losing a line of it must not stop the work.
      const lost = (error: unknown) => console.error('event not delivered', error);
      events = events.then(() => call(`/runs/${runId}/events`, body)).catch(lost);
    },
    /** A text with which the model ended; true when the host has it for good, false when the run has sent so much that it has to end first. */
    answer: (runId: number, end: AnswerReport, signal: AbortSignal): Promise<boolean> =>
      insist(() => call(`/runs/${runId}/answer`, end, signal), later, signal).then(
        () => true,
        (error) => (error instanceof HostRefusal && error.status === 429 ? false : Promise.reject(error)),
      ),
    /** After all events. Never rejects: when the report is refused, the next attempt finds the answer in the history. */
    finish(runId: number, report: FinishReport): Promise<unknown> {
      const taken = events.then(() => insist(() => call(`/runs/${runId}/finish`, report), laterOrBusy));
      return taken.catch((error) => console.error(`report ${runId} not taken`, error));
    },
    /** Queues a message; throws the host's reason when it refuses. */
    send: (body: SendRequest, signal: AbortSignal) => call('/send', body, signal),
    /** Queues a file for the run's chat; throws the host's reason when it refuses. */
    file: (spec: FileRequest, bytes: Buffer, signal: AbortSignal) =>
      call(`/file?${new URLSearchParams({ spec: JSON.stringify(spec) })}`, bytes, signal),
    /** Has the host do something about tasks or put a question; returns its text about it, throws its reason when it refuses. */
    ask: async (path: string, body: object, signal: AbortSignal) =>
      hostText.parse(await (await open(path, body, signal)).json()).text,
    history: async (query: string, limit: number, signal: AbortSignal) =>
      historyResponse.parse(await (await open('/history', { query, limit }, signal)).json()).results,
    media: (messageId: number, index: number) => call(`/media/${messageId}/${index}`),
  };
}
