// Stands between a client and a server on 127.0.0.1 and fails on demand, as networks do.
import { connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';

export interface MailGate {
  port: number;
  /** Ends every connection and takes no new one, until called with false. */
  offline(isOffline: boolean): void;
  /** Ends every connection at once. */
  cut(): void;
  /** Ends every connection when a client says something next, as a router does that forgot it. */
  cutAtNextWord(): void;
  /** The next connections are taken, and nobody ever answers on them. */
  silence(): void;
  /** On the next connections the server's answers are lost once the client said so many bytes. */
  loseAnswersAfter(bytes: number): void;
  /** Resolves once somebody connected. */
  untilConnected(): Promise<void>;
  close(): Promise<void>;
}

export async function startMailGate(target: number): Promise<MailGate> {
  const open = new Set<Socket>();
  const state = { offline: false, silent: false, cutsNext: false, losesAfter: Number.POSITIVE_INFINITY };
  let arrived = (): void => undefined;
  const connected = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const keep = (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
  };
  const cut = () => {
    state.cutsNext = false;
    for (const socket of open) socket.destroy();
  };
  const server = createServer((client) => {
    keep(client);
    if (state.offline) return void client.destroy();
    arrived();
    if (state.silent) return;
    const onward = connect(target, '127.0.0.1');
    keep(onward);
    const { losesAfter } = state;
    const answers = new Transform({
      transform(bytes, _, done) {
        done(null, client.bytesRead < losesAfter ? bytes : undefined);
      },
    });
    client.on('data', () => {
      if (state.cutsNext) cut();
    });
    client.pipe(onward).pipe(answers).pipe(client);
    client.on('close', () => onward.destroy());
    onward.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    offline(isOffline) {
      state.offline = isOffline;
      if (isOffline) cut();
    },
    cut,
    cutAtNextWord() {
      state.cutsNext = true;
    },
    silence() {
      state.silent = true;
    },
    loseAnswersAfter(bytes) {
      state.losesAfter = bytes;
    },
    untilConnected: () => connected,
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
