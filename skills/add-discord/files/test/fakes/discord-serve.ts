// The lines to the fake Discord: HTTP for the REST API and for files, WebSockets for the gateway, and ways to break them.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import type { Fault, World } from './discord.js';
import { describeGuild, type Request, routes } from './discord-routes.js';

const MESSAGE_CONTENT = 1 << 15;
/** How the gateway ends a connection, https://discord.com/developers/docs/topics/opcodes-and-status-codes. */
const [BAD_TOKEN, BAD_INTENTS] = [4004, 4014];

const command = z.object({
  op: z.number(),
  d: z.object({ token: z.string(), intents: z.number() }).partial().nullable().catch(null),
});

export type DiscordServer = Awaited<ReturnType<typeof serveDiscord>>;

export async function serveDiscord(world: World, notify: () => void) {
  const lines = new Set<Socket>();
  const ready = new Map<WebSocket, number>();
  let isOffline = false;
  const upgrades = new WebSocketServer({ noServer: true });
  const http = createServer((request, response) => void serve(request, response).catch(() => request.socket.destroy()));
  http.on('connection', (socket) => {
    if (isOffline) return socket.destroy();
    lines.add(socket);
    socket.on('close', () => lines.delete(socket));
  });
  http.on('upgrade', (request, socket, head) => upgrades.handleUpgrade(request, socket, head, welcome));

  function welcome(socket: WebSocket): void {
    socket.on('close', () => ready.delete(socket));
    socket.on('error', () => ready.delete(socket));
    socket.on('message', (data) => obey(socket, command.parse(JSON.parse(data.toString()))));
    if (!world.isMute) socket.send(JSON.stringify({ op: 10, d: { heartbeat_interval: world.heartbeatMs } }));
  }

  function obey(socket: WebSocket, { op, d }: z.infer<typeof command>): void {
    if (op === 1) {
      world.requests.push('heartbeat');
      if (world.answersHeartbeats) socket.send(JSON.stringify({ op: 11 }));
      notify();
    }
    if (op !== 2) return;
    if (d?.token !== world.token) return socket.close(BAD_TOKEN);
    if ((d?.intents ?? 0) & MESSAGE_CONTENT && !world.mayReadContent) return socket.close(BAD_INTENTS);
    ready.set(socket, 0);
    const user = { ...world.self, discriminator: '0', avatar: null };
    const guilds = [{ id: '900', unavailable: true }];
    const application = { id: '100', flags: 0 };
    dispatchTo(socket, 'READY', { v: 10, user, guilds, session_id: 's1', application });
    dispatchTo(socket, 'GUILD_CREATE', describeGuild(world));
  }

  function dispatchTo(socket: WebSocket, type: string, data: unknown): void {
    const sequence = (ready.get(socket) ?? 0) + 1;
    ready.set(socket, sequence);
    socket.send(JSON.stringify({ op: 0, t: type, s: sequence, d: data }));
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request);
    const url = new URL(request.url ?? '', `http://${request.headers.host}`);
    const path = url.pathname.replace(/^\/api\/v10/, '');
    const file = /^\/cdn\/(\w+)$/.exec(path)?.[1];
    if (file !== undefined) return sendFile(world, response, file);
    const route = routes.find((one) => one.method === request.method && one.path.test(path));
    if (!route) return json(response, 404, { code: 0, message: '404: Not Found' });
    world.requests.push(route.name);
    notify();
    const fault = world.faults.get(route.name)?.shift();
    if (fault && 'hang' in fault) return;
    if (fault && isBefore(fault, response)) return;
    if (request.headers.authorization !== `Bot ${world.token}`)
      return json(response, 401, { code: 0, message: '401: Unauthorized' });
    const ids = route.path.exec(path)?.slice(1) ?? [];
    const parts = contentOf(request.headers['content-type'] ?? '', body);
    const answer = route.answer(world, { query: url.searchParams, origin: url.origin, ...parts }, ids);
    if (fault) return void request.socket.destroy();
    json(response, answer.status, answer.body);
  }

  const address = (): AddressInfo => {
    const at = http.address();
    if (at === null || typeof at === 'string') throw new Error('not listening');
    return at;
  };
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));

  return {
    port: address().port,
    dispatch(type: string, data: unknown): void {
      for (const socket of ready.keys()) dispatchTo(socket, type, data);
    },
    offline(now: boolean): void {
      isOffline = now;
      if (now) for (const line of lines) line.destroy();
    },
    cut(): void {
      for (const socket of ready.keys()) socket.terminate();
    },
    recycle(): void {
      for (const socket of ready.keys()) socket.send(JSON.stringify({ op: 7, d: null }));
    },
    babble(text: string): void {
      for (const socket of ready.keys()) socket.send(text);
    },
    async close(): Promise<void> {
      for (const line of lines) line.destroy();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** True when the call ends here, unperformed. */
function isBefore(fault: Fault, response: ServerResponse): boolean {
  if ('hang' in fault) return true;
  if ('cut' in fault) {
    if (fault.cut === 'after') return false;
    response.socket?.destroy();
    return true;
  }
  const { status, code = 0, message = 'refused', retryAfter } = fault;
  if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter));
  json(response, status, {
    code,
    message,
    ...(retryAfter !== undefined && { retry_after: retryAfter, global: false }),
  });
  return true;
}

function sendFile({ messages }: World, response: ServerResponse, id: string): void {
  const found = messages.flatMap(({ attachments }) => attachments).find((one) => one.id === id);
  if (!found) return json(response, 404, { code: 0, message: '404: Not Found' });
  response.writeHead(200, { 'content-type': found.content_type }).end(found.bytes);
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function contentOf(type: string, body: Buffer): Pick<Request, 'json' | 'files'> {
  const boundary = /^multipart\/form-data; ?boundary=(.*)$/.exec(type)?.[1];
  if (boundary === undefined) return { json: body.length > 0 ? JSON.parse(body.toString()) : {}, files: [] };
  const parts = body.toString('latin1').split(`--${boundary}`).slice(1, -1);
  const read = parts.map((part) => {
    const at = part.indexOf('\r\n\r\n');
    const bytes = Buffer.from(part.slice(at + 4, -2), 'latin1');
    return { head: part.slice(0, at), bytes };
  });
  const payload = read.find(({ head }) => head.includes('name="payload_json"'));
  const files = read.flatMap(({ head, bytes }) => {
    const filename = /filename="([^"]*)"/.exec(head)?.[1];
    return filename === undefined ? [] : [{ filename, bytes }];
  });
  return { json: payload ? JSON.parse(payload.bytes.toString()) : {}, files };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  // Nothing is no JSON: the client would try to read it.
  if (body === undefined) return void response.writeHead(status).end();
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
