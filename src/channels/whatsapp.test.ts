// The WhatsApp channel with the real Baileys against the fake server (test/fakes/whatsapp.ts).
import { BufferJSON } from '@whiskeysockets/baileys';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ChannelHost, createChannelHost } from '../../test/fakes/channel-host.js';
import { type FakeWhatsApp, type Peer, startFakeWhatsApp } from '../../test/fakes/whatsapp.js';
import type { Channel } from './channel.js';
import { whatsapp } from './whatsapp.js';

let fake: FakeWhatsApp;
let host: ChannelHost;
let channel: Channel;
let ann: Peer;

beforeEach(async () => {
  fake = await startFakeWhatsApp({ phone: '491700000000' });
  ann = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Ann' });
  host = createChannelHost();
});
afterEach(async () => {
  await channel?.stop();
  await fake.close();
});

/** A device that was linked a while ago. */
function seedLinked(): void {
  host.deps.storage.set([
    { kind: 'creds', id: 'creds', value: JSON.stringify(fake.linkedCreds(), BufferJSON.replacer) },
    { kind: 'meta', id: 'linked-at', value: '1' },
  ]);
}

function create(env: Record<string, string> = {}): Channel {
  const settings = whatsapp.env.parse({ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url, ...env });
  const created = whatsapp.create(settings, host.deps);
  if (!created) throw new Error('the channel is off');
  channel = created;
  return created;
}

async function connect(env: Record<string, string> = {}): Promise<void> {
  seedLinked();
  create(env).start();
  await host.untilState('open');
}

test('off by default', () => {
  expect(whatsapp.create(whatsapp.env.parse({}), host.deps)).toBeUndefined();
});

describe('linking', () => {
  test('by QR code: the code is shown, scanned, and the device stays linked after a restart', async () => {
    create().start();
    await host.untilState('linking');
    await fake.scan(host.states.at(-1)?.link?.qr ?? '');
    await host.untilState('open');
    await channel.stop();
    create().start();
    await host.until(() => host.states.filter(({ state }) => state === 'open').length === 2);
    expect(fake.logins).toBe(2);
  });
});

describe('receiving', () => {
  test("a direct message arrives under the sender's number", async () => {
    await connect();
    await ann.says('hello');
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({
      chat: { address: '491701111111', kind: 'direct', title: 'Ann' },
      sender: { address: '491701111111', alias: '200000000000001@lid', name: 'Ann' },
      text: 'hello',
    });
  });
});

describe('sending', () => {
  test('a message is sent once the server took it', async () => {
    await connect();
    const { platformId } = await channel.send({ address: '491701111111', text: '**hi** Ann', key: '1.0' });
    expect(fake.sent).toMatchObject([{ id: platformId, text: '*hi* Ann' }]);
  });
});

test('a server that refuses the upgrade is asked again: the library alone would wait for ever', async () => {
  seedLinked();
  fake.faults.refuseUpgrade(503);
  create().start();
  await host.untilState('open');
  expect(host.states.map(({ state }) => state)).toEqual(['connecting', 'reconnecting', 'open']);
});
