// Every fault of the fake, and how the real Baileys reports it: the channel decides by these codes.
import { connect as connectTcp } from 'node:net';
import { WA_CERT_DETAILS } from '@whiskeysockets/baileys';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type FakeWhatsApp, type Peer, startFakeWhatsApp } from './whatsapp.js';
import { type ClientState, connectClient, linkedState, muteConsole, type TestClient } from './whatsapp-client.js';

let fake: FakeWhatsApp;
let ann: Peer;
let state: ClientState;
let clients: TestClient[];
beforeAll(() => muteConsole());
beforeEach(async () => {
  fake = await startFakeWhatsApp();
  ann = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Ann' });
  state = linkedState(fake);
  clients = [];
});
afterEach(async () => {
  for (const client of clients) await client.end();
  await fake.close();
});

function connect(config: Parameters<typeof connectClient>[2] = {}): TestClient {
  const client = connectClient(fake, state, config);
  clients.push(client);
  return client;
}

async function ending(client: TestClient, timeoutMs?: number): Promise<[number | undefined, string | undefined]> {
  const code = await client.untilClosed(timeoutMs);
  return [code, client.ended()?.error?.message];
}

describe('an open connection', () => {
  test.each([
    ['a restart', () => void fake.faults.streamError(515), 515, 'Stream Errored (restart required)'],
    ['another client', () => void fake.faults.streamError(undefined, 'replaced'), 440, 'Stream Errored (conflict)'],
    ['an unlinked device', () => void fake.faults.streamError(401, 'device_removed'), 401, 'Stream Errored (conflict)'],
    ['a busy server', () => void fake.faults.streamError(503), 503, 'Stream Errored (unknown)'],
    ['a nameless error', () => void fake.faults.streamError(), 500, 'Stream Errored (ack)'],
    ['a lost network', () => void fake.faults.drop(), 428, 'Connection Terminated'],
    ['a goodbye', () => void fake.faults.endStream(), 428, 'Connection Terminated by Server'],
    ['a server that closes', () => void fake.faults.refuse(true), 428, 'Connection Terminated'],
  ])('ends by %s', async (_name, fault, code, message) => {
    const client = connect();
    await client.untilOpen();
    fault();
    expect(await ending(client)).toEqual([code, message]);
  });

  test('ends when the server falls silent', async () => {
    const client = connect({ keepAliveIntervalMs: 200 });
    await client.untilOpen();
    fake.faults.silence(true);
    expect(await ending(client, 10_000)).toEqual([408, 'Connection was lost']);
  });

  test('ends when the same device connects a second time', async () => {
    const first = connect();
    await first.untilOpen();
    const second = connect();
    expect(await ending(first)).toEqual([440, 'Stream Errored (conflict)']);
    await second.untilOpen();
    expect(fake.logins).toBe(2);
  });

  test('ends by logging out, and the device is linked no more', async () => {
    const client = connect();
    await client.untilOpen();
    await client.sock.logout();
    expect(await client.untilClosed()).toBe(401);
    await fake.waitFor(() => !fake.linked());
    expect(await connect().untilClosed()).toBe(401);
  });
});

describe('a login', () => {
  test.each([
    [401, 'Connection Failure'],
    [403, 'Connection Failure'],
    [405, 'Connection Failure'],
    [503, 'Connection Failure'],
  ])('is refused with %i, once', async (reason, message) => {
    fake.faults.failureAtLogin(reason);
    expect(await ending(connect())).toEqual([reason, message]);
    await connect().untilOpen();
  });

  test('of an unlinked device is refused', async () => {
    fake.faults.streamError(401, 'device_removed');
    expect(await ending(connect())).toEqual([401, 'Connection Failure']);
  });

  test('waits while it is held', async () => {
    const release = fake.faults.holdLogin();
    const client = connect();
    await fake.waitFor(() => fake.sockets() === 1);
    expect(fake.logins).toBe(0);
    release();
    await client.untilOpen();
  });

  test('fails when the connection is cut in the handshake', async () => {
    fake.faults.dropAtHello();
    expect((await ending(connect()))[0]).toBe(428);
  });

  test('fails when nobody answers the hello', async () => {
    fake.faults.ignoreHello(true);
    expect((await ending(connect({ connectTimeoutMs: 100 })))[0]).toBe(408);
  });

  test('hangs when a proxy refuses the upgrade: the library takes no notice', async () => {
    fake.faults.refuseUpgrade(502);
    const client = connect({ connectTimeoutMs: 100 });
    const status = await new Promise((resolve) => {
      client.sock.ws.on('unexpected-response', (_request, response) => resolve(response.statusCode));
    });
    expect(status).toBe(502);
    expect(client.ended()).toBeUndefined();
    await client.end();
    expect(await ending(client)).toEqual([undefined, undefined]);
  });

  test('fails while nobody listens, and works again on the same port', async () => {
    await fake.faults.refuse(true);
    expect((await ending(connect()))[0]).toBe(408);
    await fake.faults.refuse(false);
    await connect().untilOpen();
  });
});

describe('a message', () => {
  test('without an answer is delivered all the same', async () => {
    const client = connect();
    await client.untilOpen();
    fake.faults.nextAck({ never: true });
    await client.sock.sendMessage(ann.lid, { text: 'silence' });
    await fake.untilSent(1);
  });

  test('after the end of the connection is refused by the library', async () => {
    const client = connect();
    await client.untilOpen();
    fake.faults.drop();
    await client.untilClosed();
    await expect(client.sock.sendMessage(ann.lid, { text: 'too late' })).rejects.toThrow('Connection Closed');
  });
});

test('what is no WhatsApp client is cut off and reported at the end', async () => {
  const strange = await startFakeWhatsApp();
  const socket = new WebSocket(strange.url);
  socket.on('open', () => socket.send('hello, I am a browser'));
  await new Promise<void>((resolve) => {
    socket.on('close', resolve);
  });
  await expect(strange.close()).rejects.toThrow('does not start with WA');
});

test('after close the port is free and the library trusts the real root again', async () => {
  const other = await startFakeWhatsApp();
  const ours = WA_CERT_DETAILS.PUBLIC_KEY;
  await other.close();
  expect(WA_CERT_DETAILS.PUBLIC_KEY).toBe(ours);
  const refused = await new Promise((resolve) => {
    connectTcp(Number(new URL(other.url).port), '127.0.0.1').on('error', resolve);
  });
  expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
});
