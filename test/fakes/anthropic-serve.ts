// Writes one scripted step as an HTTP response: whole JSON or an event stream, with every way it can go wrong half-way.
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordedRequest } from './anthropic.js';
import {
  encodeEvent,
  messageEvents,
  type ReplyBlock,
  type ReplyMessage,
  type ReplyUsage,
  type SseEvent,
} from './anthropic-events.js';

/** A block of a scripted reply: ids and signatures are filled in when absent; `rawInput` is sent as the tool call's JSON, however broken. */
export type ScriptBlock =
  | { type: 'text'; text: string; cites?: string }
  /** A search of the provider, and what it found or the error; apart from each other where the turn is paused in between. */
  | { type: 'server_tool_use'; id: string; query: string }
  | { type: 'web_search_tool_result'; id: string; found: { url: string; title: string }[] | string }
  | { type: 'thinking'; thinking: string; signature?: string }
  | { type: 'redacted_thinking'; data: string }
  | { type: 'compaction'; content: string | null }
  | { type: 'tool_use'; id?: string; name: string; input?: Record<string, unknown>; rawInput?: string };

export interface ReplyStep {
  /** Either a text or the blocks. */
  text?: string;
  content?: ScriptBlock[];
  /** `tool_use` when there is a tool call, else `end_turn`. */
  stopReason?: string;
  /** Over the simulated figures. */
  usage?: Partial<ReplyUsage>;
  /** Usage without any cache field, as Ollama sends it. */
  noCacheFields?: boolean;
  /** Writes the stream in pieces of this many bytes: 1 cuts inside UTF-8 and JSON everywhere. */
  splitBytes?: number;
  /** Characters per delta. */
  deltaChars?: number;
  /** Wait before the response begins, ms. */
  waitMs?: number;
  /** Wait before each event, ms. */
  delayMs?: number;
  /** A ping before each event. */
  pings?: boolean;
  /** Breaks the stream after so many events: silence, a cut socket, a clean end without message_stop, or an `error` event. */
  interrupt?:
    | { after: number; by: 'stall' | 'cut' | 'end' }
    | { after: number; by: 'error'; type: string; message?: string };
  headers?: Record<string, string>;
  /** Changes the events before they are sent: what back ends that only look like this API leave out or add. */
  edit?: (events: SseEvent[]) => SseEvent[];
}

export interface FaultStep {
  /** HTTP status. */
  fault: number;
  type: string;
  message?: string;
  headers?: Record<string, string>;
}

/** Any answer at all, or none: a page of a proxy, an error of another shape, a cut connection. */
export interface RawStep {
  raw: (response: ServerResponse) => void;
}

export type Step = ReplyStep | FaultStep | RawStep | ((request: RecordedRequest) => Step | Promise<Step>);

/** The API's error body. */
export function errorBody(type: string, message: string, requestId: string) {
  return { type: 'error', error: { type, message }, request_id: requestId };
}

export function sendFault(response: ServerResponse, fault: FaultStep, requestId: string): void {
  const body = JSON.stringify(errorBody(fault.type, fault.message ?? fault.type, requestId));
  response
    .writeHead(fault.fault, { 'content-type': 'application/json', 'request-id': requestId, ...fault.headers })
    .end(body);
}

/** Serves a finished reply. Resolves when the last byte was handed over, the script broke it off, or the client left. */
export async function sendReply(
  response: ServerResponse,
  reply: { step: ReplyStep; message: ReplyMessage; stream: boolean; requestId: string },
): Promise<void> {
  const { step, message, requestId } = reply;
  if (step.waitMs) await sleep(step.waitMs);
  if (response.destroyed) return;
  const headers = { 'request-id': requestId, ...step.headers };
  if (!reply.stream) {
    response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(message));
    return;
  }
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    ...headers,
  });
  response.flushHeaders();
  const events = eventsOf(step, message);
  const shown = step.interrupt ? events.slice(0, step.interrupt.after) : events;
  for (const event of shown) {
    if (step.delayMs) await sleep(step.delayMs);
    if (step.pings) await write(response, encodeEvent({ type: 'ping' }), step.splitBytes);
    await write(response, encodeEvent(event), step.splitBytes);
    if (response.destroyed) return;
  }
  await end(response, step);
}

async function end(response: ServerResponse, { interrupt }: ReplyStep): Promise<void> {
  if (interrupt?.by === 'stall') return;
  if (interrupt?.by === 'cut') {
    response.socket?.destroy();
    return;
  }
  if (interrupt?.by === 'error') {
    const error = { type: interrupt.type, message: interrupt.message ?? interrupt.type };
    await write(response, encodeEvent({ type: 'error', error }), undefined);
  }
  response.end();
}

function eventsOf(step: ReplyStep, message: ReplyMessage): SseEvent[] {
  const raw = new Map((step.content ?? []).flatMap((block, at) => rawInputOf(block, message.content[at])));
  const events = messageEvents(message, {
    toolJson: (block) => raw.get(block.id) ?? JSON.stringify(block.input),
    ...(step.deltaChars === undefined ? {} : { deltaChars: step.deltaChars }),
  });
  return step.edit?.(events) ?? events;
}

function rawInputOf(scripted: ScriptBlock, served: ReplyBlock | undefined): [string, string][] {
  if (scripted.type !== 'tool_use' || scripted.rawInput === undefined || served?.type !== 'tool_use') return [];
  return [[served.id, scripted.rawInput]];
}

async function write(response: ServerResponse, bytes: Buffer, pieceBytes: number | undefined): Promise<void> {
  const size = pieceBytes ?? bytes.length;
  for (let at = 0; at < bytes.length && !response.destroyed; at += size) {
    const room = response.write(bytes.subarray(at, at + size));
    // One turn of the event loop per piece, so that pieces leave as packets of their own.
    if (pieceBytes !== undefined) await new Promise(setImmediate);
    if (!room && !response.destroyed) await drained(response);
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}
