// Linking a device to the fake with the real Baileys, from the first code to the first message.
import { Curve, initAuthCreds, WA_CERT_DETAILS } from '@whiskeysockets/baileys';
import { verify } from 'curve25519-js';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createMemoryKeys, type FakeWhatsApp, type Peer, startFakeWhatsApp } from './whatsapp.js';
import { type ClientState, connectClient, muteConsole, type TestClient } from './whatsapp-client.js';

let fake: FakeWhatsApp;
let ann: Peer;
let clients: TestClient[];
beforeAll(() => muteConsole());
beforeEach(async () => {
  fake = await startFakeWhatsApp();
  ann = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Ann' });
  clients = [];
});
afterEach(async () => {
  for (const client of clients) await client.end();
  await fake.close();
});

const newState = (): ClientState => ({ creds: initAuthCreds(), keys: createMemoryKeys() });

function connect(state: ClientState, qrTimeout?: number): TestClient {
  const client = connectClient(fake, state, qrTimeout === undefined ? {} : { qrTimeout });
  clients.push(client);
  return client;
}

/** The library asks for a restart once it is linked; then it can talk. */
async function expectToTalk(state: ClientState): Promise<void> {
  const client = connect(state);
  await client.untilOpen();
  expect(client.state.creds.me?.id).toBe(`${fake.account.phone}:${fake.account.device}@s.whatsapp.net`);
  const { id } = await ann.says('welcome', { encrypted: true });
  expect((await client.untilMessage(id)).message?.conversation).toBe('welcome');
  await client.sock.sendMessage(ann.jid, { text: 'thanks' });
  expect((await fake.untilSent(1))[0]).toMatchObject({ text: 'thanks', to: ann.jid });
}

test('a scanned QR code links the device, which restarts and talks', async () => {
  const state = newState();
  const client = connect(state);
  const qr = await client.untilQr();
  expect(fake.linked()).toBe(false);
  await fake.scan(qr);
  expect(fake.linked()).toBe(true);
  expect(await client.untilClosed()).toBe(515);
  await expectToTalk(state);
  expect(state.creds.me?.name).toBe(fake.account.name);
});

test('a typed pairing code links the device, which restarts and talks', async () => {
  const state = newState();
  const client = connect(state);
  await client.untilQr();
  await fake.enterCode(await client.sock.requestPairingCode(fake.account.phone));
  expect(await client.untilClosed()).toBe(515);
  await expectToTalk(state);
});

test('a wrong pairing code links nothing', async () => {
  const client = connect(newState());
  await client.untilQr();
  await client.sock.requestPairingCode(fake.account.phone, 'ABCDEFGH');
  await expect(fake.enterCode('ABCDEFGJ')).rejects.toThrow('the pairing code is wrong');
  expect(fake.linked()).toBe(false);
});

test('a code with a foreign secret is refused by the client', async () => {
  const client = connect(newState());
  const parts = (await client.untilQr()).split(',');
  parts[3] = Buffer.alloc(32, 1).toString('base64');
  await expect(fake.scan(parts.join(','))).rejects.toThrow('hung up');
  expect(await client.untilClosed()).toBe(500);
  expect(client.ended()?.error?.message).toBe('Invalid account signature');
});

test('codes nobody scans run out', async () => {
  const client = connect(newState(), 10);
  expect(await client.untilClosed()).toBe(408);
  expect(client.ended()?.error?.message).toBe('QR refs attempts ended');
});

test('a device that asked for a code and never got it typed is no linked device', async () => {
  const state = newState();
  const first = connect(state);
  await first.untilQr();
  await first.sock.requestPairingCode(fake.account.phone);
  fake.faults.drop();
  expect(await first.untilClosed()).toBe(428);
  expect(await connect(state).untilClosed()).toBe(401);
});

test('a QR code of another connection is not known', async () => {
  await expect(fake.scan('https://wa.me/settings/linked_devices#a,b,c,d,1')).rejects.toThrow('no client shows');
});

describe('a library that really checks signatures', () => {
  // libsignal 6.0.0 takes any signature of 64 bytes; the fake must not live on that.
  const { verify: lenient } = Curve;
  beforeEach(() => {
    Curve.verify = (key, message, signature) => verify(key, message, signature);
  });
  afterEach(() => {
    Curve.verify = lenient;
  });

  test('links and logs in', async () => {
    const state = newState();
    const client = connect(state);
    await fake.scan(await client.untilQr());
    expect(await client.untilClosed()).toBe(515);
    await expectToTalk(state);
  });

  test('refuses a server under another root', async () => {
    const ours = WA_CERT_DETAILS.PUBLIC_KEY;
    WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(Curve.generateKeyPair().public);
    const client = connect(newState());
    expect(await client.untilClosed()).toBe(400);
    WA_CERT_DETAILS.PUBLIC_KEY = ours;
  });
});
