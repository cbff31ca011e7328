// A connection to the gateway ends with a number that says why. The rest of `ws`, which comes with Baileys, is declared in
// test/fakes/whatsapp-ws.d.ts.
declare module 'ws' {
  interface WebSocket {
    on(event: 'close', listener: (code: number) => void): this;
    close(code: number): void;
  }
}
