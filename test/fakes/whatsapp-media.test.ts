// Media, reactions and the owner's own phone, held against the real Baileys.
import { downloadMediaMessage } from '@whiskeysockets/baileys';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakeWhatsApp, type Group, type Peer, startFakeWhatsApp } from './whatsapp.js';
import { connectClient, linkedState, muteConsole, type TestClient } from './whatsapp-client.js';

let fake: FakeWhatsApp;
let ann: Peer;
let group: Group;
let client: TestClient;
beforeAll(() => muteConsole());
beforeEach(async () => {
  fake = await startFakeWhatsApp();
  vi.stubGlobal('fetch', fake.media.fetch);
  ann = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Ann' });
  group = fake.group({ subject: 'Friends', members: [ann] });
  client = connectClient(fake, linkedState(fake), { fetchAgent: fake.media.agent });
  await client.untilOpen();
});
afterEach(async () => {
  await client.end();
  await fake.close();
  vi.unstubAllGlobals();
});

const FILE = Buffer.from('%PDF-1.4 not really');

describe('media', () => {
  test('a file from a person is downloaded and decrypted', async () => {
    const message = fake.media.offer('document', FILE, { fileName: 'a.pdf', mimetype: 'application/pdf' });
    const { id } = await ann.says({ message }, { encrypted: true });
    const received = await client.untilMessage(id);
    expect(received.message?.documentMessage).toMatchObject({ fileName: 'a.pdf', mimetype: 'application/pdf' });
    expect(await downloadMediaMessage(received, 'buffer', {})).toEqual(FILE);
    expect(fake.media.fetched).toEqual([`https://mmg.whatsapp.net${message.documentMessage?.directPath}`]);
  });

  test('a file for a person is uploaded, and they can open it', async () => {
    await client.sock.sendMessage(ann.lid, { document: FILE, mimetype: 'application/pdf', fileName: 'b.pdf' });
    const sent = await fake.untilSent((one) => one.message.documentMessage?.fileName === 'b.pdf');
    expect(fake.media.uploads).toMatchObject([{ kind: 'document' }]);
    expect(fake.media.open(sent.message)).toEqual(FILE);
  });

  test('an upload that is refused fails the message', async () => {
    fake.media.failNext(503, 2);
    const sending = client.sock.sendMessage(ann.lid, { document: FILE, mimetype: 'application/pdf' });
    await expect(sending).rejects.toThrow('Media upload failed');
    expect(fake.sent).toEqual([]);
  });

  test('a download that is refused fails with its status', async () => {
    fake.media.failNext(410);
    const { id } = await ann.says({ message: fake.media.offer('image', FILE) });
    const downloading = downloadMediaMessage(await client.untilMessage(id), 'buffer', {});
    await expect(downloading).rejects.toMatchObject({ output: { statusCode: 410 } });
  });

  test('the library goes wherever a message says, unless it is told the host', async () => {
    const { id } = await ann.says({ message: fake.media.offer('image', FILE, { host: 'evil.example' }) });
    const received = await client.untilMessage(id);
    await expect(downloadMediaMessage(received, 'buffer', {})).rejects.toThrow('fetch failed');
    expect(fake.media.fetched[0]).toMatch(/^https:\/\/evil\.example\//);
    expect(await downloadMediaMessage(received, 'buffer', { host: 'mmg.whatsapp.net' })).toEqual(FILE);
  });
});

describe('reactions', () => {
  test('of a person name the message of the account', async () => {
    const sent = await client.sock.sendMessage(ann.lid, { text: 'good?' });
    const { id } = await ann.reacts({ id: sent?.key.id ?? '', by: 'me' }, '👍');
    const { message } = await client.untilMessage(id);
    expect(message?.reactionMessage).toMatchObject({
      text: '👍',
      key: { id: sent?.key.id, fromMe: true, remoteJid: ann.lid },
    });
  });

  test('in a group name who wrote the message', async () => {
    const { id } = await ann.reacts({ id: 'ABC', by: ann }, '🎉', { to: group });
    const { message } = await client.untilMessage(id);
    expect(message?.reactionMessage?.key).toMatchObject({ id: 'ABC', fromMe: false, participant: ann.lid });
  });

  test('of the account reach the person', async () => {
    const { id } = await ann.says('look');
    const { key } = await client.untilMessage(id);
    await client.sock.sendMessage(ann.lid, { react: { text: '❤️', key } });
    const [sent] = await fake.untilSent(1);
    expect(sent?.message.reactionMessage).toMatchObject({ text: '❤️', key: { id } });
  });
});

describe('what the owner types on the phone', () => {
  test.each(['Ann', 'the group'])('to %s arrives as the own message of that chat', async (chat) => {
    const to = chat === 'Ann' ? ann : group;
    const { id } = await fake.ownPhoneSays('from my phone', { to });
    const { key, message } = await client.untilMessage(id);
    expect(message?.conversation).toBe('from my phone');
    expect(key).toMatchObject({ fromMe: true, remoteJid: 'says' in to ? to.lid : to.id });
    await fake.untilConfirmed();
  });

  test('a reply of the account also goes to the phone', async () => {
    await client.sock.sendMessage(ann.lid, { text: 'copied' });
    await fake.untilSent(1);
    expect(fake.ownPhone.received.map((one) => one.text)).toEqual(['copied']);
  });
});

test('typing, presence and read receipts of the client are seen', async () => {
  const { id } = await ann.says('hello', { to: group });
  const { key } = await client.untilMessage(id);
  await client.sock.readMessages([key]);
  expect(await fake.untilReceipt(id, 'read')).toMatchObject({ to: group.id, participant: ann.lid });
  await client.sock.sendPresenceUpdate('composing', group.id);
  await fake.waitFor(() => fake.presences.some(({ state, to }) => state === 'composing' && to === group.id));
  expect(fake.presences[0]).toMatchObject({ state: 'unavailable' });
});

test('who uses WhatsApp can be asked', async () => {
  expect(await client.sock.onWhatsApp(ann.phone, '491709999999')).toEqual([{ jid: ann.jid, exists: true }]);
});
