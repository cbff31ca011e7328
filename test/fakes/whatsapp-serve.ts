// The listening end: accepts WebSockets on 127.0.0.1, hands connections to sessions, can refuse and come back.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { type Link, type LinkEvents, serveLink } from './whatsapp-link.js';
import { createServerIdentity } from './whatsapp-noise.js';
import { closeSession, openSession, takeStanza } from './whatsapp-session.js';
import type { World } from './whatsapp-state.js';

export interface Listener {
  port: number;
  /** Connections open now, handshake done or not. */
  sockets(): number;
  /** Cuts every connection. */
  cutAll(): void;
  /** True: the port is closed and every connection cut; false: open again, on the same port. */
  refuse(isOn: boolean): Promise<void>;
  close(): Promise<void>;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address: AddressInfo | string | null = server.address();
      if (address === null || typeof address === 'string') return reject(new Error('no port'));
      resolve(address.port);
    });
  });
}

const shut = (server: Server) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve());
  });

function linkEvents(world: World, mediaHost: string, links: Set<Link>): LinkEvents {
  return {
    answersHello: () => world.plan.answersHello(),
    opened: (link, payload, noiseKey) => openSession(world, link, payload, noiseKey),
    async received(link, node) {
      for (const session of world.sessions)
        if (session.link === link) await takeStanza(world, session, node, mediaHost);
    },
    closed(link) {
      links.delete(link);
      closeSession(world, link);
    },
    failed(error) {
      world.problems.push(error);
      world.waiters.notify();
    },
  };
}

/** Starts listening; 0 takes a free port. */
export async function serveWhatsApp(world: World, options: { port: number; mediaHost: string }): Promise<Listener> {
  const identity = createServerIdentity();
  const links = new Set<Link>();
  const events = linkEvents(world, options.mediaHost, links);
  const upgrades = new WebSocketServer({ noServer: true });
  // What was accepted by TCP but is not a WebSocket yet; a closing server would wait for it.
  const raw = new Set<Duplex>();

  function createListener(): Server {
    const server = createServer((_request, response) => response.writeHead(404).end());
    server.on('connection', (socket) => {
      raw.add(socket);
      // A client that gives up while it is refused resets the connection; nobody else listens at that moment.
      socket.on('error', () => socket.destroy());
      socket.on('close', () => raw.delete(socket));
    });
    server.on('upgrade', (request, socket, head) => {
      const status = world.plan.takeUpgradeRefusal();
      world.knocks++;
      world.waiters.notify();
      if (status !== undefined) return socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\n\r\n`);
      upgrades.handleUpgrade(request, socket, head, (accepted) => {
        const link = serveLink(accepted, identity, events);
        links.add(link);
        world.waiters.notify();
        if (world.plan.takeDropAtHello()) link.cut();
      });
    });
    return server;
  }

  const cutAll = () => {
    for (const link of links) link.cut();
  };
  let server = createListener();
  const port = await listen(server, options.port);
  const stop = async () => {
    cutAll();
    for (const socket of raw) socket.destroy();
    if (server.listening) await shut(server);
  };
  return {
    port,
    sockets: () => links.size,
    cutAll,
    async refuse(isOn) {
      if (isOn) return stop();
      server = createListener();
      await listen(server, port);
    },
    async close() {
      await stop();
      upgrades.close();
      identity.release();
    },
  };
}
