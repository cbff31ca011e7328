// The gateway says by a number why it ends a connection; the rest of `ws` is declared in whatsapp-ws.d.ts.
declare module 'ws' {
  interface WebSocket {
    close(code: number): void;
  }
}
