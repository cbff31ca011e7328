// Stands between an XMPP client and its server on 127.0.0.1 and fails on demand, as networks do.
import { connect, createServer, type Socket } from 'node:net';

export interface XmppGate {
  port: number;
  /** Ends every connection and takes no new one, until called with false. */
  offline(isOffline: boolean): void;
  /** Ends every connection at once. */
  cut(): void;
  /** From now on nothing gets through, and nobody is told. */
  silence(): void;
  /** Resolves once somebody said something into the silence. */
  untilSpoken(): Promise<void>;
  /** What the client says arrives, what the server answers does not, until `cut`. */
  muteServer(): void;
  close(): Promise<void>;
}

export async function startXmppGate(target: number): Promise<XmppGate> {
  const open = new Set<Socket>();
  const state = { offline: false, silent: false, mute: false };
  let spoke = (): void => undefined;
  const spoken = new Promise<void>((resolve) => {
    spoke = resolve;
  });
  const keep = (socket: Socket, hear: (bytes: Buffer) => void) => {
    open.add(socket);
    socket.on('data', hear);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
  };
  const server = createServer((client) => {
    if (state.offline) return void client.destroy();
    const onward = connect(target, '127.0.0.1');
    keep(client, (bytes) => {
      if (!state.silent) onward.write(bytes);
      else spoke();
    });
    keep(onward, (bytes) => {
      if (!state.silent && !state.mute) client.write(bytes);
    });
    client.on('close', () => onward.destroy());
    onward.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    port: address.port,
    offline(isOffline) {
      state.offline = isOffline;
      if (isOffline) cut();
    },
    cut() {
      cut();
      state.mute = false;
    },
    silence() {
      state.silent = true;
    },
    untilSpoken: () => spoken,
    muteServer() {
      state.mute = true;
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
