// The lines to the fake Slack: HTTP for the Web API, WebSockets for Socket Mode, and ways to break both.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Envelope, Fault, World } from './slack.js';

export interface Call {
  token: string;
  fields: URLSearchParams;
  /** Where this server is, as the client sees it. */
  origin: string;
  openSocket(): string;
}

export type Answer = { ok: boolean } & Record<string, unknown>;

export interface Handlers {
  call(method: string, call: Call): Answer;
  /** An envelope was. */
  acknowledged(): void;
  upload(world: World, id: string, body: Buffer): void;
  file(world: World, id: string, token: string): { status: number; type: string; body: Buffer };
}

export type SlackServer = Awaited<ReturnType<typeof serveSlack>>;

export async function serveSlack(world: World, handlers: Handlers) {
  const lines = new Set<Socket>();
  const tickets = new Set<string>();
  const sockets = new Set<WebSocket>();
  let isOffline = false;
  const upgrades = new WebSocketServer({ noServer: true });
  const origin = (request: IncomingMessage) => `http://${request.headers.host}`;

  const http = createServer((request, response) => void serve(request, response).catch(() => request.socket.destroy()));
  http.on('connection', (socket) => {
    if (isOffline) return socket.destroy();
    lines.add(socket);
    socket.on('close', () => lines.delete(socket));
  });
  http.on('upgrade', (request, socket, head) => {
    const ticket = new URL(request.url ?? '', 'http://x').searchParams.get('ticket') ?? '';
    // Good for one connection, and for a short time only.
    if (!tickets.delete(ticket)) return socket.destroy();
    upgrades.handleUpgrade(request, socket, head, welcome);
  });

  function welcome(socket: WebSocket): void {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => sockets.delete(socket));
    socket.on('message', (data) => {
      const { envelope_id: id } = JSON.parse(data.toString());
      const at = world.held.findIndex((envelope) => envelope.id === id);
      if (at >= 0) world.held.splice(at, 1);
      handlers.acknowledged();
    });
    socket.send(JSON.stringify({ type: 'hello', num_connections: sockets.size, connection_info: { app_id: 'A1' } }));
    repeat();
  }

  function write(envelope: Envelope): void {
    const { id, type, payload, attempt } = envelope;
    const [socket] = [...sockets].slice(-1);
    const retry = attempt > 0 ? { retry_attempt: attempt, retry_reason: 'timeout' } : {};
    socket?.send(JSON.stringify({ envelope_id: id, type, payload, accepts_response_payload: false, ...retry }));
  }

  function repeat(): void {
    for (const envelope of world.held) {
      envelope.attempt += 1;
      write(envelope);
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const [, area = '', name = ''] = (request.url ?? '').split(/[/?]/);
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    if (area === 'files') {
      const { status, type, body: bytes } = handlers.file(world, name, token);
      response.writeHead(status, { 'content-type': type }).end(bytes);
      return;
    }
    if (area === 'upload') {
      handlers.upload(world, name, body);
      response.end('OK');
      return;
    }
    world.requests.push(name);
    const fault = world.faults.get(name)?.shift();
    if (fault && 'hang' in fault) {
      // Only to tell the waiting test that it has arrived.
      handlers.call('api.test', { token, fields: new URLSearchParams(), origin: '', openSocket: () => '' });
      return;
    }
    if (fault && isBefore(fault, response)) return;
    const answer = handlers.call(name, {
      token,
      fields: new URLSearchParams(body.toString()),
      origin: origin(request),
      openSocket,
    });
    if (fault) return void request.socket.destroy();
    json(response, answer);
  }

  function openSocket(): string {
    const ticket = randomUUID();
    tickets.add(ticket);
    return `ws://127.0.0.1:${address().port}/link/?ticket=${ticket}`;
  }

  const address = (): AddressInfo => {
    const at = http.address();
    if (at === null || typeof at === 'string') throw new Error('not listening');
    return at;
  };
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));

  return {
    port: address().port,
    /** Slack does not keep an event for which there is no connection at all. */
    deliver(envelope: Envelope): void {
      if (sockets.size === 0) return;
      world.held.push(envelope);
      write(envelope);
    },
    repeat,
    offline(now: boolean): void {
      isOffline = now;
      if (now) for (const line of lines) line.destroy();
    },
    cut(): void {
      for (const socket of sockets) socket.terminate();
    },
    recycle(): void {
      for (const socket of sockets) socket.send(JSON.stringify({ type: 'disconnect', reason: 'refresh_requested' }));
    },
    async close(): Promise<void> {
      for (const line of lines) line.destroy();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** True when the call ends here, unperformed. */
function isBefore(fault: Fault, response: ServerResponse): boolean {
  if ('cut' in fault) {
    if (fault.cut === 'after') return false;
    response.socket?.destroy();
  } else if ('error' in fault) json(response, { ok: false, ...fault });
  else if ('status' in fault) {
    const headers = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
    response.writeHead(fault.status, headers).end(fault.body ?? '');
  }
  return true;
}

function json(response: ServerResponse, answer: Answer): void {
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(answer));
}
