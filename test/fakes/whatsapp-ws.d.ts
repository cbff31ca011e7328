// The part of `ws` (a dependency of Baileys, shipped without types) that the fake WhatsApp server and its tests use.
declare module 'ws' {
  import type { IncomingMessage } from 'node:http';
  import type { Duplex } from 'node:stream';

  export class WebSocket {
    constructor(url: string);
    on(event: 'open', listener: () => void): this;
    on(event: 'message', listener: (data: Buffer) => void): this;
    on(event: 'close', listener: () => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    send(data: Uint8Array | string): void;
    /** The closing handshake; what was sent before arrives. */
    close(): void;
    /** Cuts the connection at once. */
    terminate(): void;
  }

  export class WebSocketServer {
    constructor(options: { noServer: true });
    handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, accepted: (socket: WebSocket) => void): void;
    close(): void;
  }
}
