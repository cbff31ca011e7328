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

test('a kind that the library does not know is told as one; a place that answers us says so', async () => {
  const friends = fake.group({ subject: 'Friends', members: [ann], addressing: 'lid' });
  const channel = await setup.connect();
  const { platformId } = await channel.send({ address: friends.id, text: 'where are you?', key: '1.0' });
  await ann.says({ message: {} });
  await ann.says({ message: { messageContextInfo: { messageSecret: new Uint8Array(32) } } }, { encrypted: true });
  await ann.says({ message: { senderKeyDistributionMessage: { groupId: friends.id } } });
  const contextInfo = {
    ...{ stanzaId: platformId, participant: `${friends.mention('me').slice(1)}:3@lid` },
    quotedMessage: { conversation: 'where are you?' },
  };
  const place = { degreesLatitude: 52.5, degreesLongitude: 13.25, contextInfo };
  await ann.says({ message: { liveLocationMessage: place } }, { to: friends, encrypted: true });
  await host.until(() => host.messages.length === 3);
  const unknown = '[a message of a kind that I cannot read yet]';
  expect(host.texts()).toEqual([unknown, unknown, '[location: 52.5, 13.25]']);
  expect(host.messages[2]?.replyTo).toMatchObject({ platformId, sender: 'Pinch' });
});

describe('sending', () => {
  test('a message is sent once the server took it', async () => {
    const channel = await setup.connect();
    const { platformId } = await channel.send({ address: '491701111111', text: '**hi** Ann', key: '1.0' });
    expect(fake.sent).toMatchObject([{ id: platformId, text: '*hi* Ann' }]);
  });
});

describe.each(['lid', 'pn'] as const)('mentions in a %s group', (addressing) => {
  test('are names for us, and mentions again for them', async () => {
    const bob = fake.contact({ phone: '491702222222', lid: '200000000000002', name: 'Bob' });
    const carl = fake.contact({ phone: '491703333333', lid: '200000000000003', name: 'Carl' });
    const friends = fake.group({ subject: 'Friends', members: [ann, bob, carl], addressing });
    const channel = await setup.connect();
    await bob.says('here', { to: friends });
    await host.until(() => host.texts().includes('here'));
    await ann.says(`ask ${friends.mention(bob)}, not ${friends.mention(carl)}`, { to: friends, mentions: [bob, carl] });
    await host.until(() => host.messages.length === 2);
    expect(host.texts()[1]).toMatch(/^ask @Bob, not @(\+491703333333|someone)$/);
    await channel.send({ address: friends.id, text: '**@Bob** do it, `@Bob`. And @Carl?', key: '1.0' });
    const own = addressing === 'lid' ? bob.lid : bob.jid;
    const text = `*@${own.split('@')[0]}* do it, \`@Bob\`. And @Carl?`;
    expect(fake.sent.at(-1)?.message.extendedTextMessage).toMatchObject({ text, contextInfo: { mentionedJid: [own] } });
    await channel.send({ address: '491701111111', text: '@Bob does it', key: '2.0' });
    expect(fake.sent.at(-1)?.message.conversation).toBe('@Bob does it');
  });

  test('have the names that WhatsApp itself tells', async () => {
    const carl = fake.contact({ phone: '491703333333', lid: '200000000000003', name: 'Carl' });
    const friends = fake.group({ subject: 'Friends', members: [ann, carl], addressing });
    const own = addressing === 'lid' ? carl.lid : carl.jid;
    host.deps.storage.set([{ kind: 'contact', id: own, value: 'Carl' }]);
    await setup.connect();
    await ann.says(`ask ${friends.mention(carl)}`, { to: friends, mentions: [carl] });
    await host.until(() => host.texts().includes('ask @Carl'));
  });
});
