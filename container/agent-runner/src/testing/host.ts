// For tests: the host as the runner sees it on 127.0.0.1: work stream, events, finish, send, tasks, ask, history, media; model calls go on to a fake.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import type { z } from 'zod';
import type {
  AnswerReport,
  FileRequest,
  FinishReport,
  HistoryResponse,
  McpBlock,
  McpTool,
  RunnerEvent,
  RunSpec,
  SendRequest,
  WorkLine,
} from '../../../../src/wire.js';
import {
  answerReport,
  askRequest,
  fileRequest,
  finishReport,
  groupListRequest,
  groupRegisterRequest,
  historyRequest,
  leftOutReport,
  mcpCallRequest,
  memoryReport,
  memoryRestored,
  mountRequest,
  RUN_HEADER,
  runnerEvents,
  sendRequest,
  serviceProposal,
  skillProposal,
  taskChangeRequest,
  taskListRequest,
  taskRequest,
} from '../../../../src/wire.js';

export interface TestHost {
  port: number;
  /** Writes a line to the runner's work stream, or keeps it until one is open. */
  push(line: WorkLine): void;
  /** Ends the work stream as a host that dies would. */
  dropWork(): void;
  /** Resolves when no work stream is open: a line pushed now waits for the next runner. */
  workEnded(): Promise<true>;
  /** The next report of the run that nobody has waited for yet. */
  finished(runId: number): Promise<FinishReport>;
  /** Resolves when an event for which `matches` holds has arrived, now or later. */
  event(matches: (event: RunnerEvent) => boolean): Promise<RunnerEvent>;
  /** The first of what `look` finds, now or later. */
  until<T>(look: () => T | undefined): Promise<T>;
  reports: { runId: number; report: FinishReport }[];
  /** Texts with which the model ended while messages waited, in order. */
  answers: (AnswerReport & { runId: number })[];
  /** Called before an answer or a report is taken; what it throws is a lost call (503), or one too many (429) when it says so. */
  beforeTaking: ((action: 'answer' | 'finish') => void)[];
  /** What happens to the connection once a report was taken, before it is answered. */
  afterTaking: ((response: http.ServerResponse) => void)[];
  events: RunnerEvent[];
  sends: SendRequest[];
  /** What was asked for at other hosts, as `METHOD target`; a URL is answered with a page, CONNECT is refused unless there is a door. */
  proxied: string[];
  /** Where a gateway listens that takes CONNECT and has services, and what is said about an approval that somebody waits for. */
  door: { port?: number; wait?: (id: number) => Promise<string> };
  files: (FileRequest & { text: string })[];
  /** What was asked for at /tasks, /tasks/list, /tasks/:id and /ask, in order. */
  asked: { path: string; body: object }[];
  /** When set, the next of these is refused so. */
  refusals: string[];
  history: HistoryResponse['results'];
  /** The journal: what the host has by mark, what was handed over, what was answered to `restore`; finds of a search in it. */
  memory: {
    known: Map<string, string>;
    reports: z.infer<typeof memoryReport>[];
    restored: z.infer<typeof memoryRestored>[];
    found: NonNullable<HistoryResponse['memory']>;
    /** So many hand-overs are refused as too many. */
    refusals: number;
  };
  /** What there is of MCP servers, what their tools answer, and what they were called with. */
  mcp: {
    tools: McpTool[];
    problems: { service: string; problem: string }[];
    calls: { name: string; input: Record<string, unknown> }[];
    answer(name: string): { isError?: boolean; source?: string; blocks: McpBlock[] } | Promise<never>;
    /** How many calls were given up before they were answered. */
    left: number;
  };
  /** Bytes by `<message id>/<index>`. */
  media: Map<string, Buffer>;
  /** Runs whose report is refused. */
  refuseFinish: Set<number>;
  /** Run header of each model call. */
  modelRuns: string[];
  /** Resolves when so many bytes of model replies were passed on to the runner. */
  modelBytes(atLeast: number): Promise<true>;
  close(): Promise<void>;
}

async function body<T>(request: http.IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return schema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}

async function readFile(request: http.IncomingMessage) {
  const spec = new URL(request.url ?? '', 'http://host').searchParams.get('spec');
  return { ...fileRequest.parse(JSON.parse(spec ?? '')), text: await text(request) };
}

/** What the host checks a body by; undefined for other paths. */
function askedSchema(url: string) {
  if (url === '/ask') return askRequest;
  if (url === '/skills') return skillProposal;
  if (url === '/skills/left-out') return leftOutReport;
  if (url === '/mounts') return mountRequest;
  if (url === '/mcp/propose') return serviceProposal;
  if (url === '/groups/list') return groupListRequest;
  if (url === '/groups/register') return groupRegisterRequest;
  if (url === '/tasks') return taskRequest;
  if (url === '/tasks/list') return taskListRequest;
  return /^\/tasks\/\d+$/.test(url) ? taskChangeRequest : undefined;
}

async function callMcp(
  mcp: TestHost['mcp'],
  { name, input }: z.infer<typeof mcpCallRequest>,
  response: http.ServerResponse,
): Promise<void> {
  mcp.calls.push({ name, input });
  response.once('close', () => {
    if (!response.writableEnded) mcp.left += 1;
  });
  const { isError = false, source, blocks } = await mcp.answer(name);
  const lines = [{ isError, source }, ...blocks].map((line) => `${JSON.stringify(line)}\n`);
  response.end(lines.join(''));
}

async function takeMemory(memory: TestHost['memory'], url: string, request: http.IncomingMessage): Promise<object> {
  if (url === '/memory/known') return { files: [...memory.known].map(([path, mark]) => ({ path, mark })) };
  if (url === '/memory/restored') memory.restored.push(await body(request, memoryRestored));
  else memory.reports.push(await body(request, memoryReport));
  return {};
}

interface Forward {
  request: http.IncomingMessage;
  response: http.ServerResponse;
  onBytes(count: number): void;
}

function forward(modelUrl: string, { request, response, onBytes }: Forward): void {
  const target = new URL(request.url ?? '/', modelUrl);
  const { host: _host, ...headers } = request.headers;
  const out = http.request(target, { method: request.method ?? 'POST', headers }, (reply) => {
    response.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(response);
    reply.on('data', (chunk: Buffer) => onBytes(chunk.length));
    reply.on('aborted', () => response.destroy());
  });
  out.on('error', () => response.destroy());
  response.on('close', () => out.destroy());
  request.pipe(out);
}

/** Starts the host; model calls are passed on to `modelUrl`. */
export async function startTestHost(modelUrl: string): Promise<TestHost> {
  const waiting: WorkLine[] = [];
  const wakes = new Set<() => void>();
  const taken = new Map<number, number>();
  let work: http.ServerResponse | undefined;
  let modelBytes = 0;
  const asked: TestHost['asked'] = [];
  const refusals: string[] = [];
  const state = {
    asked,
    refusals,
    reports: [] as TestHost['reports'],
    answers: [] as TestHost['answers'],
    beforeTaking: [] as TestHost['beforeTaking'],
    afterTaking: [] as TestHost['afterTaking'],
    events: [] as RunnerEvent[],
    sends: [] as SendRequest[],
    proxied: [] as string[],
    door: {} as TestHost['door'],
    files: [] as TestHost['files'],
    history: [] as HistoryResponse['results'],
    memory: { known: new Map(), reports: [], restored: [], found: [], refusals: 0 } as TestHost['memory'],
    mcp: {
      tools: [],
      problems: [],
      calls: [],
      answer: (name) => ({ blocks: [{ type: 'text', text: `${name} did it` }] }),
      left: 0,
    } as TestHost['mcp'],
    media: new Map<string, Buffer>(),
    modelRuns: [] as string[],
    refuseFinish: new Set<number>(),
  };
  const changed = () => {
    for (const wake of [...wakes]) wake();
  };
  const push = (line: WorkLine) => {
    if (work) work.write(`${JSON.stringify(line)}\n`);
    else waiting.push(line);
  };
  function until<T>(look: () => T | undefined): Promise<T> {
    return new Promise((resolve) => {
      const wake = () => {
        const found = look();
        if (found === undefined) return;
        wakes.delete(wake);
        resolve(found);
      };
      wakes.add(wake);
      wake();
    });
  }

  async function handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    const [, , id, action] = url.split('/');
    if (url.startsWith('/v1/')) {
      state.modelRuns.push(String(request.headers[RUN_HEADER]));
      const onBytes = (count: number) => {
        modelBytes += count;
        changed();
      };
      return forward(modelUrl, { request, response, onBytes });
    }
    if (url.startsWith('/service/')) {
      return forward(`http://127.0.0.1:${state.door.port}`, { request, response, onBytes: () => undefined });
    }
    if (!url.startsWith('/')) {
      state.proxied.push(`${request.method} ${url}`);
      return void response.setHeader('content-type', 'text/html').end('<title>Other</title>a page of another host');
    }
    if (url.startsWith('/approvals/')) {
      return void response.end(JSON.stringify({ text: await state.door.wait?.(Number(id)) }));
    }
    if (url === '/work') {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders();
      work = response;
      response.on('close', () => {
        if (work === response) work = undefined;
        changed();
      });
      for (const line of waiting.splice(0)) push(line);
      return;
    }
    if (url === '/mcp/tools') {
      const lines = [{ problems: state.mcp.problems }, ...state.mcp.tools].map((line) => `${JSON.stringify(line)}\n`);
      return void response.end(lines.join(''));
    }
    if (url === '/mcp/call') return callMcp(state.mcp, await body(request, mcpCallRequest), response);
    if (url.startsWith('/media/')) {
      const bytes = state.media.get(url.slice('/media/'.length));
      response.writeHead(bytes ? 200 : 404).end(bytes);
      return;
    }
    if (action === 'finish' && state.refuseFinish.has(Number(id))) {
      response.writeHead(403).end(JSON.stringify({ error: { code: 'forbidden', message: 'not yours' } }));
      return;
    }
    if (action === 'answer' || action === 'finish') {
      try {
        for (const look of state.beforeTaking) look(action);
      } catch (error) {
        return void response.writeHead(String(error).includes('too many') ? 429 : 503).end('{}');
      }
    }
    const schema = askedSchema(url);
    const refused = schema && state.refusals.shift();
    if (refused !== undefined) {
      response.writeHead(400).end(JSON.stringify({ error: { code: 'bad_task', message: refused } }));
      return;
    }
    let answer: object = {};
    if (action === 'events') state.events.push(...(await body(request, runnerEvents)).events);
    else if (action === 'answer') state.answers.push({ runId: Number(id), ...(await body(request, answerReport)) });
    else if (action === 'finish') {
      const { attempt: _, ...report } = await body(request, finishReport);
      state.reports.push({ runId: Number(id), report });
      state.afterTaking.shift()?.(response);
      if (response.destroyed) return;
    } else if (url.startsWith('/file?')) state.files.push(await readFile(request));
    else if (url === '/send') {
      state.sends.push(await body(request, sendRequest));
      answer = { text: 'Queued for delivery.' };
    } else if (schema) {
      state.asked.push({ path: url, body: await body<object>(request, schema) });
      answer = { text: `The host did ${url}.` };
    } else if (url === '/history') {
      await body(request, historyRequest);
      answer = { results: state.history, memory: state.memory.found };
    } else if (url === '/memory' && state.memory.refusals > 0) {
      state.memory.refusals -= 1;
      return void response.writeHead(429).end('{}');
    } else if (url.startsWith('/memory')) {
      answer = await takeMemory(state.memory, url, request);
    }
    response.end(JSON.stringify(answer));
    changed();
  }

  const server = http.createServer((request, response) => {
    handle(request, response).catch((error) => response.writeHead(400).end(JSON.stringify({ error: String(error) })));
  });
  server.on('connect', ({ url }, socket) => {
    state.proxied.push(`CONNECT ${url}`);
    if (state.door.port) {
      const door = net.connect(state.door.port, '127.0.0.1', () => door.write(`CONNECT ${url} HTTP/1.1\r\n\r\n`));
      door.on('error', () => socket.destroy()).on('close', () => socket.destroy());
      socket.on('error', () => door.destroy()).on('close', () => door.destroy());
      return void socket.pipe(door).pipe(socket);
    }
    socket.on('error', () => socket.destroy()).end('HTTP/1.1 403 not allowed\r\ncontent-length: 0\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    ...state,
    port: typeof address === 'object' && address ? address.port : 0,
    push,
    dropWork: () => work?.destroy(),
    workEnded: () => until(() => (work ? undefined : true)),
    finished: (runId) =>
      until(() => {
        const reports = state.reports.filter((r) => r.runId === runId);
        const at = taken.get(runId) ?? 0;
        if (reports[at]) taken.set(runId, at + 1);
        return reports[at]?.report;
      }),
    modelBytes: (atLeast) => until(() => (modelBytes >= atLeast ? true : undefined)),
    event: (matches) => until(() => state.events.find(matches)),
    until,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A run with defaults; message ids count from 1. */
export function testRun(changes: Partial<RunSpec> = {}): RunSpec {
  return {
    id: 1,
    attempt: 1,
    session: 'main-1',
    group: { folder: 'main', isMain: true },
    chat: { title: 'Ann' },
    assistantName: 'Pinch',
    model: 'claude-sonnet-5-5',
    timeZone: 'Europe/Berlin',
    ownSkills: [],
    messages: [testMessage(1, 'hello')],
    limits: { maxTokens: 4_000, maxModelCalls: 50, wallClockMs: 900_000 },
    ...changes,
  };
}

export function testMessage(id: number, text: string, changes: Partial<RunSpec['messages'][number]> = {}) {
  return { id, sender: 'Ann', sentAt: Date.UTC(2026, 10, 21, 9, 5), text, media: [], ...changes };
}
