// One connection of a client: WebSocket, frames and encryption below, stanzas above. Knows nothing about accounts.
import { decodeBinaryNode, encodeBinaryNode, NOISE_WA_HEADER, type proto } from '@whiskeysockets/baileys';
import type { WebSocket } from 'ws';
import type { BinaryNode } from './whatsapp-node.js';
import { createNoiseResponder, type ServerIdentity } from './whatsapp-noise.js';

export interface Link {
  /** Sends a stanza; nothing happens after the end. */
  send(node: BinaryNode): void;
  /** Ends politely: what was sent before arrives. */
  end(): void;
  /** Cuts the connection, as a lost network does. */
  cut(): void;
}

export interface LinkEvents {
  /** False: the server says nothing, the client waits. */
  answersHello(): boolean;
  /** The handshake is done; `staticKey` is the client's long-lived key. */
  opened(link: Link, payload: proto.ClientPayload, staticKey: Buffer): void | Promise<void>;
  /** Called one after the other, in order of arrival. */
  received(link: Link, node: BinaryNode): void | Promise<void>;
  closed(link: Link): void;
  /** The client broke the protocol, or the fake has a bug; the connection is cut. */
  failed(error: unknown): void;
}

/** Cuts a stream of bytes into the payloads of its frames; the intro before the first one is checked and dropped. */
function createDeframer() {
  let rest: Buffer = Buffer.alloc(0);
  let introduced = false;
  const dropIntro = (): boolean => {
    // A client that was told a route repeats it: `ED`, two bytes, three bytes of length, the route.
    const routed = rest.subarray(0, 2).toString('latin1') === 'ED';
    if (rest.length < (routed ? 7 : NOISE_WA_HEADER.length)) return false;
    const start = routed ? 7 + rest.readUIntBE(4, 3) : 0;
    const end = start + NOISE_WA_HEADER.length;
    if (rest.length < end) return false;
    if (!rest.subarray(start, end).equals(NOISE_WA_HEADER)) throw new Error('the connection does not start with WA');
    rest = rest.subarray(end);
    return true;
  };
  return function frames(bytes: Buffer): Buffer[] {
    rest = Buffer.concat([rest, bytes]);
    introduced ||= dropIntro();
    const found: Buffer[] = [];
    while (introduced && rest.length >= 3 && rest.length >= 3 + rest.readUIntBE(0, 3)) {
      const end = 3 + rest.readUIntBE(0, 3);
      found.push(rest.subarray(3, end));
      rest = rest.subarray(end);
    }
    return found;
  };
}

function frame(payload: Uint8Array): Buffer {
  const length = Buffer.alloc(3);
  length.writeUIntBE(payload.length, 0, 3);
  return Buffer.concat([length, payload]);
}

/** Serves one connection until it ends. */
export function serveLink(socket: WebSocket, identity: ServerIdentity, events: LinkEvents): Link {
  const noise = createNoiseResponder(identity);
  const deframe = createDeframer();
  let stage: 'hello' | 'finish' | 'open' | 'closed' = 'hello';
  const link: Link = {
    send(node) {
      if (stage === 'open') socket.send(frame(noise.encrypt(encodeBinaryNode(node))));
    },
    end: () => socket.close(),
    cut: () => socket.terminate(),
  };

  async function take(payload: Buffer): Promise<void> {
    if (stage === 'closed') return;
    if (stage === 'hello') {
      if (!events.answersHello()) return;
      socket.send(frame(noise.hello(payload)));
      stage = 'finish';
    } else if (stage === 'finish') {
      const client = noise.finish(payload);
      stage = 'open';
      await events.opened(link, client.payload, client.staticKey);
    } else {
      await events.received(link, await decodeBinaryNode(noise.decrypt(payload)));
    }
  }

  // Reading a stanza is asynchronous; the chain keeps them in order.
  let queue: Promise<void> = Promise.resolve();
  socket.on('message', (bytes) => {
    queue = queue
      .then(async () => {
        for (const payload of deframe(bytes)) await take(payload);
      })
      .catch((error: unknown) => {
        stage = 'closed';
        socket.terminate();
        events.failed(error);
      });
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => {
    stage = 'closed';
    events.closed(link);
  });
  return link;
}
