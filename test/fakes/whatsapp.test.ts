// The fake WhatsApp server held against the real Baileys: if the two disagree, tests of the channel prove nothing.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FakeWhatsApp, type Peer, startFakeWhatsApp } from './whatsapp.js';
import { type ClientState, connectClient, linkedState, type TestClient } from './whatsapp-client.js';

let fake: FakeWhatsApp;
let ann: Peer;
let clients: TestClient[];
beforeEach(async () => {
  // libsignal prints sessions, keys included, to the console.
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => undefined);
  fake = await startFakeWhatsApp();
  ann = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Ann' });
  clients = [];
});
afterEach(async () => {
  for (const client of clients) await client.end();
  await fake.close();
  vi.restoreAllMocks();
});

async function connect(state: ClientState = linkedState(fake)): Promise<TestClient> {
  const client = connectClient(fake, state);
  clients.push(client);
  await client.untilOpen();
  return client;
}

test('a linked device logs in', async () => {
  const client = await connect();
  expect(fake.logins).toBe(1);
  expect(fake.sockets()).toBe(1);
  expect(client.sock.user?.id).toBe(`${fake.account.phone}:${fake.account.device}@s.whatsapp.net`);
});

test('a plain message arrives, is confirmed, and comes under LID with the phone number beside it', async () => {
  const client = await connect();
  const { id } = await ann.says('hello');
  const message = await client.untilMessage(id);
  expect(message.message?.conversation).toBe('hello');
  expect(message.key).toMatchObject({ remoteJid: ann.lid, remoteJidAlt: ann.jid, fromMe: false });
  expect(message.pushName).toBe('Ann');
  expect(await fake.untilReceipt(id)).toMatchObject({ to: ann.lid, type: 'inactive' });
  await fake.untilConfirmed();
});

test('an answer is decrypted by the person and acknowledged', async () => {
  const client = await connect();
  const first = await client.sock.sendMessage(ann.lid, { text: 'hi Ann' });
  const second = await client.sock.sendMessage(ann.lid, { text: 'again' });
  const sent = await fake.untilSent(2);
  expect(sent).toMatchObject([
    { id: first?.key.id, to: ann.lid, text: 'hi Ann', stanzas: 1, encrypted: true },
    { id: second?.key.id, text: 'again' },
  ]);
  expect(ann.received).toHaveLength(2);
});

test('an encrypted conversation goes both ways over one session', async () => {
  const client = await connect();
  const one = await ann.says('secret', { encrypted: true });
  expect((await client.untilMessage(one.id)).message?.conversation).toBe('secret');
  await client.sock.sendMessage(ann.lid, { text: 'safe' });
  await fake.untilSent(1);
  const two = await ann.says('more', { encrypted: true });
  expect((await client.untilMessage(two.id)).message?.conversation).toBe('more');
});
