// HTTP for the fake Bot API: paths, tokens, faults, answers, file downloads, going offline. Knows no method by itself.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { errorBody, type Fault, type Faults } from './telegram-faults.js';
import { METHODS } from './telegram-methods.js';
import { ApiError, type CallParams, readParams, unescapeBytes } from './telegram-params.js';
import type { BotState } from './telegram-state.js';
import { DOWNLOAD_LIMIT_BYTES } from './telegram-world.js';

/** One call as it came in, refused ones too. */
export interface LoggedRequest {
  /** As the client spelled it; `file` for a download. */
  method: string;
  /** Every field as text; objects in their JSON spelling. */
  fields: Record<string, string>;
  /** Names of the uploaded files. */
  files: string[];
  /** Epoch ms. */
  at: number;
  /** The status answered; undefined while it is open and when the connection was cut. */
  status: number | undefined;
  /** The error answered. */
  description: string | undefined;
}

export interface ServeDeps {
  token: string;
  state: BotState;
  faults: Faults;
  requests: LoggedRequest[];
}

export interface FakeServer {
  port: number;
  /** Destroys every connection, present and future ones, until told otherwise. */
  offline(isOffline: boolean): void;
  close(): Promise<void>;
}

interface Answer {
  status: number;
  type: string;
  body: string | Buffer;
  description?: string;
}

/** Starts to listen on 127.0.0.1; port 0 takes a free one. */
export async function serveBotApi(deps: ServeDeps, port: number): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  let isOffline = false;
  const server: Server = createServer((req, res) => {
    handle(deps, req, res).catch(() => req.socket.destroy());
  });
  server.on('connection', (socket: Socket) => {
    if (isOffline) return socket.destroy();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return undefined;
  });
  const destroyAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: portOf(server.address()),
    offline(next) {
      isOffline = next;
      if (isOffline) destroyAll();
    },
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      destroyAll();
      return closed;
    },
  };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the fake Bot API has no port');
  return address.port;
}

async function handle(deps: ServeDeps, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  const call = readCall(req, await readAll(req));
  const { entry } = call;
  deps.requests.push(entry);
  deps.state.waiters.notify();
  const fault = deps.faults.take(entry.method);
  const answer = await answerWithFault(fault, () => perform(deps, call, gone.signal), gone.signal);
  if (!answer || gone.signal.aborted) {
    req.socket.destroy();
    return;
  }
  entry.status = answer.status;
  entry.description = answer.description;
  res.writeHead(answer.status, { 'content-type': answer.type, 'content-length': Buffer.byteLength(answer.body) });
  res.end(answer.body);
  deps.state.waiters.notify();
}

interface Call {
  entry: LoggedRequest;
  token: string | undefined;
  /** Set for a download. */
  filePath: string | undefined;
  params: CallParams | ApiError;
}

/** Reads everything before the call shows in the log, so that whoever waits for it finds its fields. */
function readCall(req: IncomingMessage, body: Buffer): Call {
  // By hand: the URL class takes `//bot…` for a host, and tidies `..` up.
  const [rawPath = '/', ...query] = (req.url ?? '/').split('?');
  const path = unescapeBytes(rawPath).toString();
  const [, isFile, token, rest] = /^\/(file\/)?bot([^/]+)\/(.+)$/.exec(path) ?? [];
  const params = attempt(() => readParams(req.headers['content-type'] ?? '', body, query.join('?')));
  const isRead = !(params instanceof ApiError);
  const entry: LoggedRequest = {
    method: isFile === undefined ? (rest ?? path) : 'file',
    fields: isRead ? Object.fromEntries(params.fields) : {},
    files: isRead ? [...params.files.values()].map((file) => file.fileName) : [],
    at: Date.now(),
    status: undefined,
    description: undefined,
  };
  return { entry, token, filePath: isFile === undefined ? undefined : rest, params };
}

function attempt<T>(read: () => T): T | ApiError {
  try {
    return read();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

async function perform(
  { token, state }: ServeDeps,
  { entry, token: given, filePath, params }: Call,
  signal: AbortSignal,
): Promise<Answer> {
  checkToken(token, given);
  if (filePath !== undefined) return download(state, filePath);
  const name = entry.method.toLowerCase();
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  if (!method) throw new ApiError(404, 'Not Found');
  if (params instanceof ApiError) throw params;
  const result = await method(state, params, signal);
  return { status: 200, type: 'application/json', body: JSON.stringify({ ok: true, result }) };
}

function checkToken(token: string, given: string | undefined): void {
  if (given === token) return;
  // What is no token at all is not routed to any bot.
  if (given === undefined || !/^\d+:[\w-]+$/.test(given)) throw new ApiError(404, 'Not Found');
  throw new ApiError(401, 'Unauthorized');
}

function download(state: BotState, path: string): Answer {
  const file = [...state.world.files.values()].find((known) => known.path === path);
  if (!file || file.sizeBytes > DOWNLOAD_LIMIT_BYTES) throw new ApiError(404, 'Not Found');
  return { status: 200, type: 'application/octet-stream', body: file.bytes };
}

/** Undefined: cut the connection. */
async function answerWithFault(
  fault: Fault | undefined,
  run: () => Promise<Answer>,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const refused = (error: unknown): Answer => {
    if (!(error instanceof ApiError)) throw error;
    const body = errorBody(error.status, error.description, error.parameters);
    return { status: error.status, type: 'application/json', body, description: error.description };
  };
  if (!fault) return run().catch(refused);
  const accepted = fault.after === 'accepted' ? await run().catch(refused) : undefined;
  // A call the server refuses was not accepted: the client hears why.
  if (accepted && accepted.status !== 200) return accepted;
  if (fault.hangMs !== undefined) await hang(fault.hangMs, signal);
  if (fault.dropConnection) return undefined;
  if (fault.status !== undefined) return faultAnswer(fault, fault.status);
  if (fault.body !== undefined) return { status: 200, type: 'text/html', body: fault.body };
  return accepted ? undefined : run().catch(refused);
}

function faultAnswer(fault: Fault, status: number): Answer {
  if (fault.body !== undefined) return { status, type: 'text/html', body: fault.body };
  const body = errorBody(status, fault.description, fault.parameters);
  return { status, type: 'application/json', body, ...(fault.description && { description: fault.description }) };
}

function hang(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = Number.isFinite(ms) ? setTimeout(end, ms) : undefined;
    function end() {
      clearTimeout(timer);
      resolve();
    }
    if (signal.aborted) return end();
    signal.addEventListener('abort', end, { once: true });
  });
}

async function readAll(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
