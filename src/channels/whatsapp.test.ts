// The WhatsApp channel with the real Baileys against the fake server (test/fakes/whatsapp.ts).
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ChannelHost } from '../../test/fakes/channel-host.js';
import type { FakeWhatsApp, Peer } from '../../test/fakes/whatsapp.js';
import { setUpWhatsApp, type WhatsAppSetup } from './testing/whatsapp-harness.js';
import { whatsapp } from './whatsapp.js';

let setup: WhatsAppSetup;
let fake: FakeWhatsApp;
let host: ChannelHost;
let ann: Peer;

beforeEach(async () => {
  setup = await setUpWhatsApp();
  ({ fake, host, ann } = setup);
});
afterEach(() => setup.close());

test('off by default', () => {
  expect(whatsapp.create(whatsapp.env.parse({}), host.deps)).toBeUndefined();
});

describe('receiving', () => {
  test("a direct message arrives under the sender's number", async () => {
    await setup.connect();
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
    const channel = await setup.connect();
    const { platformId } = await channel.send({ address: '491701111111', text: '**hi** Ann', key: '1.0' });
    expect(fake.sent).toMatchObject([{ id: platformId, text: '*hi* Ann' }]);
  });
});
