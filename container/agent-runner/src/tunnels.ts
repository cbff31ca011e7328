// Other hosts for programs that know no proxy: their names stand in /etc/hosts as addresses of the own loopback; what connects there goes through
// the gateway, which decides. Knows nothing about what is said.
import { once } from 'node:events';
import http from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A connection that the gateway at `port` makes to `target`, `host:port`. Rejects with its reason when it refuses. */
export function connectThrough(port: number, target: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method: 'CONNECT', path: target, agent: false });
    request.on('error', reject).on('connect', ({ statusCode, statusMessage }, socket, head) => {
      if (statusCode !== 200) {
        socket.destroy();
        return reject(new Error(statusMessage));
      }
      if (head.length > 0) socket.unshift(head);
      return resolve(socket.on('error', () => socket.destroy()));
    });
    request.end();
  });
}

/** Listens at each address and port of `127.80.0.1=imap.example.com:993,995 …`, as sandbox/tunnels.ts says it. Never rejects. */
export async function openTunnels(text = '', port: number): Promise<void> {
  const places = text.split(' ').flatMap((word) => {
    const [, address = '', host = '', ports = ''] = /^([\d.]+)=([^:]+):([\d,]+)$/.exec(word) ?? [];
    return ports.split(',').flatMap((one) => (one ? { address, host, port: Number(one) } : []));
  });
  const opened = places.map(async (place) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) =>
      carry(socket, port, `${place.host}:${place.port}`),
    );
    await once(server.listen(place.port, place.address), 'listening');
  });
  for (const result of await Promise.allSettled(opened))
    if (result.status === 'rejected') console.error('a name leads nowhere', result.reason);
}

async function carry(socket: Socket, port: number, target: string): Promise<void> {
  socket.on('error', () => socket.destroy());
  try {
    const through = await connectThrough(port, target);
    // What came whole is still given to a client that reads slowly.
    through.on('close', () => (through.readableEnded ? socket.end().resume() : socket.destroy()));
    socket.on('close', () => through.destroy());
    if (socket.destroyed) through.destroy();
    else socket.pipe(through).pipe(socket);
  } catch (error) {
    console.error(`${target} is not reached`, error);
    socket.destroy();
  }
}
