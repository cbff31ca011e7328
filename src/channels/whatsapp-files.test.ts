// Files out on WhatsApp: uploaded by the real Baileys to the fake's media server, opened by the person.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { globalAgent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BufferJSON } from '@whiskeysockets/baileys';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ChannelHost, createChannelHost } from '../../test/fakes/channel-host.js';
import { type FakeWhatsApp, type Peer, startFakeWhatsApp } from '../../test/fakes/whatsapp.js';
import type { Channel, OutboundFile } from './channel.js';
import { whatsapp } from './whatsapp.js';

let fake: FakeWhatsApp;
let host: ChannelHost;
let channel: Channel | undefined;
let ann: Peer;

beforeEach(async () => {
  fake = await startFakeWhatsApp();
  // The library uploads with Node's own agent.
  globalAgent.options.ca = fake.media.ca;
  ann = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Ann' });
  host = createChannelHost();
  host.deps.storage.set([
    { kind: 'creds', id: 'creds', value: JSON.stringify(fake.linkedCreds(), BufferJSON.replacer) },
  ]);
  channel = whatsapp.create(whatsapp.env.parse({ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url }), host.deps);
  channel?.start();
  await host.untilState('open');
});
afterEach(async () => {
  await channel?.stop();
  await fake.close();
  delete globalAgent.options.ca;
});

function fileOf(fileName: string, mimeType: string, bytes: Buffer): OutboundFile {
  const path = join(mkdtempSync(join(tmpdir(), 'pinch-file-')), 'x');
  writeFileSync(path, bytes);
  return { path, fileName, mimeType };
}

test('a document and a picture with their captions', async () => {
  const pdf = Buffer.from('%PDF-1.7 x');
  const png = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  const part = { address: '491701111111', text: 'the **report**' };
  await channel?.send({ ...part, key: '1.0', file: fileOf('a.pdf', 'application/pdf', pdf) });
  await channel?.send({ ...part, text: '', key: '2.0', file: fileOf('dot.png', 'image/png', png) });
  const [document, image] = ann.received.map(({ message }) => message);
  expect(document?.documentMessage).toMatchObject({
    fileName: 'a.pdf',
    caption: 'the *report*',
    mimetype: 'application/pdf',
  });
  expect(image?.imageMessage).toMatchObject({ caption: '', mimetype: 'image/png' });
  expect([document, image].map((message) => message && fake.media.open(message))).toEqual([pdf, png]);
});

test('an upload that fails is tried again under the same id', async () => {
  const part = { address: '491701111111', text: '', key: '1.0', file: fileOf('a.txt', 'text/plain', Buffer.from('x')) };
  fake.media.failNext(503, 5);
  await expect(channel?.send(part)).rejects.toMatchObject({ kind: 'network' });
  expect(fake.sent).toEqual([]);
  fake.media.failNext(503, 0);
});
