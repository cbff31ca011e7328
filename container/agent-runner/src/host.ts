// The host's HTTP interface as the runner calls it (src/wire.ts has its bodies). Knows nothing about models and tools.

import type { z } from 'zod';
import { systemClock, timeLimit } from '../../../src/core/clock.js';
import type {
  AnswerReport,
  FileRequest,
  FinishReport,
  memoryReport,
  memoryRestored,
  RunnerEvent,
  WorkLine,
} from '../../../src/wire.js';
import {
  historyResponse,
  hostText,
  mcpBlock,
  mcpHead,
  mcpTool,
  mcpToolsHead,
  memoryKnown,
  REFUSED_HEADER,
  refusal,
  workLine,
} from '../../../src/wire.js';
import { createFetch } from './fetch.js';

export type Host = ReturnType<typeof createHost>;

/** The host answered with an error status; the message is its reason. */
class HostError extends Error {
  constructor(
    reason: string,
    readonly status: number,
  ) {
    super(reason);
  }
}

/** Of a service's answer. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** A report whose answer got lost is sent again: the host takes it once. */
const FINISH_TIMEOUT_MS = 10_000;
const MEMORY_TIMEOUT_MS = 30_000;

const isRefusal = (error: unknown): boolean => error instanceof HostError && error.status < 500;
const isTooMany = (error: unknown): boolean => error instanceof HostError && error.status === 429;

/** Repeats the call until the host took it. Throws an error that `isFinal`, and any error once `signal` aborted. */
async function repeat(call: () => Promise<unknown>, isFinal: (error: unknown) => boolean, signal?: AbortSignal) {
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
    try {
      return void (await call());
    } catch (error) {
      if (isFinal(error) || signal?.aborted) throw error;
      await systemClock.sleep(pauseMs, signal);
    }
  }
}

/**
 * A GET at the owner's services, or a POST when there is a body; the answer, whatever its status. Throws the host's reason when it was not let
 * through, and when the answer is too long.
 */
async function callService(
  fetch: ReturnType<typeof createFetch>,
  url: string,
  { body, signal }: { body: object | undefined; signal: AbortSignal },
) {
  const headers = { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) };
  const response = await fetch(url, { headers, signal, ...(body && { method: 'POST', body: JSON.stringify(body) }) });
  const chunks: Uint8Array[] = [];
  let left = MAX_ANSWER_BYTES;
  for await (const chunk of response.body ?? []) {
    left -= chunk.length;
    if (left < 0) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  if (response.headers.has(REFUSED_HEADER)) throw new HostError(text.trim(), response.status);
  return { status: response.status, text };
}

/** The host as reached through the link at 127.0.0.1:`port`. */
export function createHost(port: number) {
  const fetch = createFetch();
  let events: Promise<unknown> = Promise.resolve();

  /** A POST when there is a body (bytes, or else sent as JSON), else a GET. Throws the host's reason when it refuses. */
  async function open(path: string, body?: unknown, signal: AbortSignal | null = null): Promise<Response> {
    const isFile = body instanceof Uint8Array;
    const type = isFile ? 'application/octet-stream' : 'application/json';
    const post = { method: 'POST', body: isFile ? body : JSON.stringify(body), headers: { 'content-type': type } };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { ...(body !== undefined && post), signal });
    if (response.ok) return response;
    const refused = refusal.safeParse(await response.json().catch(() => undefined));
    const reason = refused.data?.error.message ?? `the host answered ${response.status} to ${path}`;
    throw new HostError(reason, response.status);
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
    /** Hands over a final reply. False when the run has sent too much and must end with it. */
    answer: (runId: number, reply: AnswerReport, signal: AbortSignal): Promise<boolean> =>
      repeat(() => call(`/runs/${runId}/answer`, reply, signal), isRefusal, signal).then(
        () => true,
        (error) => (isTooMany(error) ? false : Promise.reject(error)),
      ),
    /** After all events. Never rejects: when the host refuses the report, the next attempt finds the reply in the history. */
    finish(runId: number, report: FinishReport): Promise<unknown> {
      const isFinal = (error: unknown) => isRefusal(error) && !isTooMany(error);
      const taken = events.then(() =>
        repeat(() => call(`/runs/${runId}/finish`, report, timeLimit(FINISH_TIMEOUT_MS)), isFinal),
      );
      return taken.catch((error) => console.error(`report ${runId} not taken`, error));
    },
    /** These throw the host's reason when it refuses. */
    file: (spec: FileRequest, bytes: Buffer, signal: AbortSignal) =>
      call(`/file?${new URLSearchParams({ spec: JSON.stringify(spec) })}`, bytes, signal),
    /** Has the host send, ask, wait or do something about tasks; returns its text about it. */
    ask: async (path: string, body: object, signal: AbortSignal) =>
      hostText.parse(await (await open(path, body, signal)).json()).text,
    history: async (query: string, limit: number, signal: AbortSignal) =>
      historyResponse.parse(await (await open('/history', { query, limit }, signal)).json()),
    service: (path: string, body: object | undefined, signal: AbortSignal) =>
      callService(fetch, `http://127.0.0.1:${port}/service/${path}`, { body, signal }),
    ...mcpCalls(call),
    ...memoryCalls(call),
    media: (messageId: number, index: number) => call(`/media/${messageId}/${index}`),
  };
}

/** The journal of memory files. These are tried until the host took them, and throw its reason when it refuses. */
function memoryCalls(call: (path: string, body: object, signal: AbortSignal) => Promise<Buffer>) {
  const isFinal = (error: unknown) => isRefusal(error) && !isTooMany(error);
  const send = (path: string, body: object) => {
    const over = timeLimit(MEMORY_TIMEOUT_MS);
    return repeat(() => call(path, body, over), isFinal, over);
  };
  return {
    knownMemory: async () =>
      memoryKnown.parse(JSON.parse(`${await call('/memory/known', {}, timeLimit(MEMORY_TIMEOUT_MS))}`)).files,
    memory: (report: z.input<typeof memoryReport>) => send('/memory', report),
    restored: (answer: z.input<typeof memoryRestored>) => send('/memory/restored', answer),
  };
}

/** What the host does with MCP servers; its answers are lines of JSON. */
function mcpCalls(call: (path: string, body: object, signal: AbortSignal) => Promise<Buffer>) {
  const lines = async (...request: Parameters<typeof call>) => {
    const text = (await call(...request)).toString().trimEnd();
    return text.split('\n').map((line): unknown => JSON.parse(line));
  };
  return {
    /** Which tools there are. */
    async mcpTools(runId: number, signal: AbortSignal) {
      const [head, ...tools] = await lines('/mcp/tools', { runId }, signal);
      return { ...mcpToolsHead.parse(head), tools: tools.map((one) => mcpTool.parse(one)) };
    },
    async callMcp(body: object, signal: AbortSignal) {
      const [head, ...blocks] = await lines('/mcp/call', body, signal);
      return { head: mcpHead.parse(head), blocks: blocks.map((one) => mcpBlock.parse(one)) };
    },
  };
}
