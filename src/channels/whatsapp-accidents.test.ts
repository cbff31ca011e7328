// The WhatsApp channel with the real library against the fake server.
import { BufferJSON } from '@whiskeysockets/baileys';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ChannelHost, createChannelHost, createStorage } from '../../test/fakes/channel-host.js';
import { type FakeWhatsApp, type Group, type Peer, startFakeWhatsApp } from '../../test/fakes/whatsapp.js';
import type { Channel, ChannelStorage } from './channel.js';
import { checkInbound } from './inbound-message.js';
import { whatsapp } from './whatsapp.js';

let fake: FakeWhatsApp;
let ann: Peer;
let bob: Peer;
let group: Group;
let storage: ChannelStorage;
let running: Channel[];

beforeEach(async () => {
  fake = await startFakeWhatsApp();
  ann = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Ann' });
  bob = fake.contact({ phone: '491702222222', lid: '200000000000002', name: 'Bob' });
  group = fake.group({ subject: 'Friends', members: [ann, bob] });
  storage = createStorage();
  running = [];
});
afterEach(async () => {
  for (const channel of running) await channel.stop();
  await fake.close();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** Keys of a device that is linked already. */
function link(): void {
  storage.set([
    { kind: 'creds', id: 'creds', value: JSON.stringify(fake.linkedCreds(), BufferJSON.replacer) },
    { kind: 'meta', id: 'linked-at', value: '1' },
  ]);
}

type Started = { channel: Channel; host: ChannelHost };

function start(env: Record<string, string> = {}, host = createChannelHost(storage)): Started {
  const settings = whatsapp.env.parse({ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url, ...env });
  const channel = whatsapp.create(settings, host.deps);
  if (!channel) throw new Error('the channel is off');
  running.push(channel);
  channel.start();
  return { channel, host };
}

async function open(env: Record<string, string> = {}, host = createChannelHost(storage)): Promise<Started> {
  if (storage.get('creds', ['creds']).creds === undefined) link();
  const started = start(env, host);
  await started.host.untilState('open');
  return started;
}

/** A daemon that was killed: its connection is gone and it never heard of anything again. */
async function kill({ channel }: Started): Promise<void> {
  fake.faults.drop();
  await channel.stop();
}

const part = (text: string, key = '1.0', address = ann.phone) => ({ address, text, key });
const failure = (sending: Promise<unknown>) => sending.catch((error: unknown) => error);
const secret = { encrypted: true };
const texts = (peer: Peer) => peer.received.map((received) => received.text);

describe('messages in', () => {
  test('a person is known by the number, with the LID beside it', async () => {
    const { host } = await open();
    const { id } = await ann.says('hello', secret);
    await host.until(() => host.messages.length === 1);
    expect(host.messages).toEqual([
      {
        chat: { address: ann.phone, kind: 'direct', title: 'Ann' },
        sender: { address: ann.phone, alias: ann.lid, name: 'Ann' },
        platformId: `${id}/200000000000001`,
        text: 'hello',
        sentAt: expect.any(Number),
        forwarded: false,
        addressesAssistant: false,
        edited: false,
        media: [],
      },
    ]);
    await fake.untilConfirmed();
  });

  test('one person under both names is one chat, and a chat known by the LID moves to the number', async () => {
    const { host } = await open();
    await ann.says('by lid', { ...secret, as: 'lid' });
    await host.until(() => host.messages.length === 1);
    await ann.says('by number', { ...secret, as: 'pn' });
    await host.until(() => host.messages.length === 2);
    expect(new Set(host.messages.map(({ chat }) => chat.address))).toEqual(new Set([ann.phone]));
    expect(host.moves).toContainEqual({ from: ann.lid, to: ann.phone });
  });

  test.each(['lid', 'pn'] as const)('a mention in a %s group addresses the assistant', async (addressing) => {
    const friends = fake.group({ subject: 'Others', members: [ann, bob], addressing });
    const { host } = await open();
    await bob.says('nothing for you', { to: friends, ...secret });
    await host.until(() => host.messages.length === 1);
    await bob.says(`${friends.mention('me')} hello`, { to: friends, mentions: ['me'], ...secret });
    await host.until(() => host.messages.length === 2);
    expect(host.messages.map((message) => message.addressesAssistant)).toEqual([false, true]);
    expect(host.messages[1]).toMatchObject({
      chat: { address: friends.id, kind: 'group', title: 'Others' },
      sender: { address: bob.phone, alias: bob.lid, name: 'Bob' },
      text: '@Pinch hello',
    });
  });

  test('a reply to the assistant names the message by the id that we know it by; whether it is ours, our rows say', async () => {
    const { host, channel } = await open();
    const { platformId } = await channel.send(part('tea is ready', '1.0', group.id));
    await ann.says('which?', { to: group, replyTo: { id: platformId, by: 'me', text: 'tea is ready' }, ...secret });
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({
      addressesAssistant: false,
      replyTo: { platformId, sender: 'Pinch', text: 'tea is ready' },
    });
    const { id } = await ann.says('the green one', { to: group, ...secret });
    await bob.says('yes', { to: group, replyTo: { id, by: ann, text: 'something else' }, ...secret });
    await host.until(() => host.messages.length === 3);
    expect(host.messages[2]?.replyTo?.platformId).toBe(host.messages[1]?.platformId);
  });

  test.each([
    ['a text', { extendedTextMessage: { text: 'x' } }],
    ['a picture', { imageMessage: { caption: 'x' } }],
    ['a place', { locationMessage: { degreesLatitude: 1, degreesLongitude: 2 } }],
    ['a contact', { contactMessage: { displayName: 'x' } }],
    ['a poll', { pollCreationMessage: { name: 'x' } }],
  ])('%s that is passed on is marked', async (_name, content) => {
    const { host } = await open();
    const marked = Object.entries(content).map(([field, part]) => [
      field,
      { ...part, contextInfo: { isForwarded: true } },
    ]);
    await ann.says({ message: Object.fromEntries(marked) }, secret);
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({ forwarded: true, text: expect.stringMatching(/./) });
  });

  test('a reaction says what to, and starts nothing', async () => {
    const { host, channel } = await open();
    const { platformId } = await channel.send(part('tea is ready'));
    await ann.reacts({ id: platformId, by: 'me' }, '👍', secret);
    await ann.reacts({ id: platformId, by: 'me' }, '', secret);
    await host.until(() => host.messages.length === 2);
    expect(host.messages).toMatchObject([
      { text: '[reaction 👍 to: tea is ready]', contextOnly: true, press: { platformId, value: '👍' } },
      { text: '[reaction taken back to: tea is ready]', contextOnly: true, press: { platformId, value: '' } },
    ]);
  });

  test('a reaction in a group names the message and who reacted, in a group of numbers too', async () => {
    const { host, channel } = await open();
    const { platformId } = await channel.send(part('tea is ready', '1.0', group.id));
    const others = fake.group({ subject: 'Others', members: [ann, bob], addressing: 'pn' });
    const second = await channel.send(part('milk is ready', '2.0', others.id));
    await bob.reacts({ id: platformId, by: 'me' }, '👎', { to: group, ...secret });
    await host.until(() => host.messages.length === 1);
    await ann.reacts({ id: second.platformId, by: 'me' }, '👍', { to: others, ...secret });
    await host.until(() => host.messages.length === 2);
    expect(host.messages).toMatchObject([
      { chat: { address: group.id }, sender: { address: bob.phone }, press: { platformId, value: '👎' } },
      { chat: { address: others.id }, sender: { address: ann.phone }, press: { platformId: second.platformId } },
    ]);
  });

  test("what the assistant's own phone reacts to is no press; on a shared number it is the owner's", async () => {
    const { host, channel } = await open();
    const { platformId } = await channel.send(part('tea is ready'));
    const key = { id: platformId, fromMe: true, remoteJid: ann.lid };
    const reaction = { message: { reactionMessage: { key, text: '👍', senderTimestampMs: 1 } } };
    await fake.ownPhoneSays(reaction, { to: ann });
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({ contextOnly: true, text: expect.stringContaining('👍') });
    expect(host.messages[0]?.press).toBeUndefined();
    await channel.stop();
    const shared = await open({ WHATSAPP_SHARED_NUMBER: '1' });
    await fake.ownPhoneSays(reaction, { to: group });
    await shared.host.until(() => shared.host.messages.length === 1);
    expect(shared.host.messages[0]?.press).toEqual({ platformId, value: '👍' });
  });

  test('what can be seen once is read', async () => {
    const { host } = await open();
    await ann.says({ message: { viewOnceMessageV2: { message: { imageMessage: { caption: 'once' } } } } }, secret);
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({ text: 'once', media: [{ kind: 'image' }] });
  });

  test('a message without encryption arrives too', async () => {
    const { host } = await open();
    await ann.says('plain');
    await host.until(() => host.texts().includes('plain'));
    await fake.untilConfirmed();
  });

  test('one that cannot be read is asked for, and arrives once under its id', async () => {
    const { host } = await open();
    const { id } = await ann.says('garbled at first', { broken: true });
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({ platformId: expect.stringContaining(id), text: 'garbled at first' });
    await fake.untilConfirmed();
  });

  test('one that makes no sense is skipped and holds nothing up', async () => {
    const { host } = await open();
    const file = { mimetype: 'image/png', fileLength: 1, directPath: '/\u0000', mediaKey: Buffer.alloc(3) };
    await ann.says({ message: { locationMessage: {} } }, secret);
    await ann.says({ message: { imageMessage: { ...file, caption: 'odd' } } }, secret);
    await ann.says({ message: { reactionMessage: {} } }, secret);
    await ann.says('fine', secret);
    await host.until(() => host.texts().includes('fine'));
    await fake.untilConfirmed();
  });

  test('a file whose sender claims that it is larger than any number is a file', async () => {
    const { host } = await open();
    const file = { mimetype: 'application/pdf', fileName: 'a.pdf', directPath: '/x', mediaKey: Buffer.alloc(32) };
    for (const fileLength of [2 ** 53, 2 ** 62])
      await ann.says({ message: { documentMessage: { ...file, fileLength } } }, secret);
    await host.until(() => host.messages.length === 2);
    for (const message of host.messages)
      expect(checkInbound(message, Date.now())?.media).toMatchObject([{ fileName: 'a.pdf', sizeBytes: 0 }]);
  });

  test('the same message sent again is one message', async () => {
    const { host } = await open();
    await ann.says('twice', { id: 'SAME', ...secret });
    await ann.says('twice', { id: 'SAME', ...secret });
    await ann.says('end', secret);
    await host.until(() => host.texts().includes('end'));
    expect(new Set(host.messages.map((message) => message.platformId)).size).toBe(2);
  });

  test('a group that was renamed has its new title', async () => {
    const { host } = await open();
    await ann.says('one', { to: group, ...secret });
    await host.until(() => host.messages.length === 1);
    group.rename('Best friends');
    await expect
      .poll(async () => {
        await ann.says('and?', { to: group, ...secret });
        return host.messages.at(-1)?.chat.title;
      })
      .toBe('Best friends');
  });
});

describe('nothing lost, nothing doubled', () => {
  test('twenty messages with a cut in the middle', async () => {
    const { host } = await open();
    const sent = Array.from({ length: 20 }, (_, n) => `message ${n}`);
    host.beforeCommit = ({ text }) => {
      if (text === 'message 7') fake.faults.drop();
    };
    for (const text of sent) await ann.says(text, secret);
    await host.until(() => host.messages.length >= 20);
    await host.untilState('open');
    await fake.untilConfirmed();
    expect(host.texts()).toEqual(sent);
  });

  test('messages in a group with a cut in the middle', async () => {
    const { host } = await open();
    const sent = Array.from({ length: 5 }, (_, n) => `message ${n}`);
    host.beforeCommit = ({ text }) => {
      if (text === 'message 2' && host.offered.length <= 3) fake.faults.drop();
    };
    for (const text of sent) await bob.says(text, { to: group, ...secret });
    await host.until(() => host.messages.length >= 5);
    await fake.untilConfirmed();
    // What comes again has the id it had: to the store it is no news.
    expect([...new Map(host.messages.map((message) => [message.platformId, message.text])).values()]).toEqual(sent);
  });

  test.each([
    ['encrypted', secret],
    ['plain', {}],
  ])('killed right after a message was stored: the server was not told, and the message is there (%s)', async (_kind, how) => {
    const first = await open();
    let heldAtCommit = 0;
    first.host.beforeCommit = () => {
      heldAtCommit = fake.unconfirmed();
      fake.faults.drop();
    };
    await ann.says('just in time', how);
    await first.host.until(() => first.host.messages.length === 1);
    await kill(first);
    expect(heldAtCommit).toBe(1);
    const second = await open();
    await fake.untilConfirmed();
    await ann.says('next', how);
    await second.host.until(() => second.host.texts().includes('next'));
    const ids = [...first.host.messages, ...second.host.messages].map((message) => message.platformId);
    expect(new Set(ids).size).toBe(2);
  });

  test.each([
    ['encrypted', secret],
    ['plain', {}],
  ])('killed at the first of many that waited: the others come again (%s)', async (_kind, how) => {
    await (await open()).channel.stop();
    const sent = Array.from({ length: 20 }, (_, n) => `message ${n}`);
    for (const text of sent) await ann.says(text, how);
    const first = await open();
    let isDead = false;
    first.host.beforeCommit = () => {
      if (isDead) throw new Error('nobody is there any more');
      isDead = true;
    };
    await first.host.until(() => first.host.offered.length > 1);
    await kill(first);
    const second = await open();
    await fake.untilConfirmed();
    await ann.says('next', how);
    await second.host.until(() => second.host.texts().includes('next'));
    expect([...new Set([...first.host.texts(), ...second.host.texts()])]).toEqual([...sent, 'next']);
  });

  test('a group message that the store refused comes again', async () => {
    const { host } = await open();
    host.beforeCommit = () => {
      if (host.offered.length <= 2) throw new Error('disk full');
    };
    await bob.says('keep me', { to: group, ...secret });
    await host.until(() => host.messages.length === 1);
    expect(host.texts()).toEqual(['keep me']);
  });

  test('what was written while it was off is there at the start, also in groups', async () => {
    await (await open()).channel.stop();
    await ann.says('offline', secret);
    await bob.says(`${group.mention('me')} you?`, { to: group, mentions: ['me'], ...secret });
    await bob.says('plain, offline');
    const { host } = await open();
    await host.until(() => host.messages.length === 3);
    expect(host.texts().sort()).toEqual(['@Pinch you?', 'offline', 'plain, offline']);
  });

  test('sessions go on after a restart', async () => {
    const first = await open();
    await ann.says('one', secret);
    await first.channel.send(part('two'));
    await first.channel.send(part('three', '2.0', group.id));
    await first.channel.stop();
    const second = await open();
    await ann.says('four', secret);
    await second.host.until(() => second.host.texts().includes('four'));
    await second.channel.send(part('five', '3.0'));
    await second.channel.send(part('six', '4.0', group.id));
    expect(texts(ann)).toEqual(['two', 'three', 'five', 'six']);
    expect([ann.unreadable, bob.unreadable]).toEqual([[], []]);
  });
});

describe('messages out', () => {
  test('it is sent when the server says so, in the form of WhatsApp', async () => {
    const { channel } = await open();
    const { platformId } = await channel.send(part('**hi** [there](https://x.org)'));
    expect(ann.received).toMatchObject([{ id: platformId, text: '*hi* there (https://x.org)' }]);
    expect(platformId).toMatch(/^3EB0[0-9A-F]{18}$/);
  });

  test('killed between send and acknowledgement: sent again, the person sees one message', async () => {
    const first = await open();
    fake.faults.nextAck({ dropSocket: 'after' });
    expect(await failure(first.channel.send(part('once')))).toMatchObject({ kind: 'network' });
    await kill(first);
    const { channel } = await open();
    await channel.send(part('once'));
    expect(ann.received).toMatchObject([{ text: 'once', stanzas: 2 }]);
  });

  test('a cut before the server had it: sent again', async () => {
    const { channel, host } = await open();
    fake.faults.nextAck({ dropSocket: 'before' });
    expect(await failure(channel.send(part('again')))).toMatchObject({ kind: 'network' });
    expect(texts(ann)).toEqual([]);
    await host.until(() => host.states.at(-1)?.state === 'open');
    await channel.send(part('again'));
    expect(texts(ann)).toEqual(['again']);
  });

  test('no answer at all is a failure of the network', async () => {
    const { channel } = await open();
    fake.faults.nextAck({ never: true });
    expect(await failure(channel.send(part('hello?')))).toMatchObject({ kind: 'network' });
    await channel.send(part('hello?'));
    expect(texts(ann)).toEqual(['hello?']);
  });

  test.each([
    ['463', { kind: 'permanent' }],
    ['479', { kind: 'retry', retryAfterMs: undefined }],
    ['429', { kind: 'retry', retryAfterMs: 300_000 }],
  ])('a refusal with %s', async (error, wanted) => {
    const { channel } = await open();
    fake.faults.nextAck({ error });
    expect(await failure(channel.send(part('no')))).toMatchObject(wanted);
    expect(texts(ann)).toEqual([]);
  });

  test('a group that the account is not in is refused for good', async () => {
    const { channel } = await open();
    group.remove('me');
    expect(await failure(channel.send(part('hi', '1.0', group.id)))).toMatchObject({ kind: 'permanent' });
  });

  test('who is in a group is asked once, and again after a change', async () => {
    const { channel } = await open();
    await channel.send(part('one', '1.0', group.id));
    const queries = fake.groupQueries;
    await channel.send(part('two', '2.0', group.id));
    expect(fake.groupQueries).toBe(queries);
    const cy = fake.contact({ phone: '491703333333', lid: '200000000000003', name: 'Cy' });
    group.add(cy);
    await fake.untilConfirmed();
    await channel.send(part('three', '3.0', group.id));
    expect(fake.groupQueries).toBeGreaterThan(queries);
    expect(texts(cy)).toEqual(['three']);
  });

  test('somebody who lost their keys asks again and then reads, also after a restart', async () => {
    const first = await open();
    await ann.says('hello', secret);
    const { platformId } = await first.channel.send(part('one'));
    await first.channel.stop();
    await open();
    ann.asksRetry(platformId);
    await fake.waitFor(() => ann.received[0]?.stanzas === 2);
    expect(texts(ann)).toEqual(['one']);
  });

  test('a number that WhatsApp does not know is no silent success', async () => {
    const { channel } = await open();
    expect(await failure(channel.send(part('hi', '1.0', '491709999999')))).toMatchObject({ kind: 'retry' });
  });

  test('messages keep a distance of one to two seconds, and twenty in a minute are enough', async () => {
    const { channel, host } = await open();
    for (let n = 0; n < 22; n += 1) await channel.send(part(`${n}`, `${n}.0`));
    const gaps = host.pauses.filter((ms) => ![30_000, 60_000, 120_000].includes(ms));
    // What a send itself takes is part of the distance: on a busy machine less is left to wait for, or nothing.
    const isDistance = (ms: number) => ms <= 1_500;
    expect(gaps.filter(isDistance).length).toBeGreaterThan(0);
    const long = gaps.filter((ms) => !isDistance(ms));
    expect(long.length).toBeGreaterThan(0);
    for (const ms of long) expect(ms).toBeGreaterThan(10_000);
    expect(texts(ann)).toHaveLength(22);
  });

  test('typing is shown, and harmless when nobody is connected', async () => {
    const { channel, host } = await open();
    channel.typing(ann.phone);
    await fake.waitFor(() => fake.presences.some(({ state }) => state === 'composing'));
    await fake.faults.refuse(true);
    await host.untilState('reconnecting');
    channel.typing(ann.phone);
    await fake.faults.refuse(false);
  });
});

describe('the owner shares the number', () => {
  const shared = { WHATSAPP_SHARED_NUMBER: '1' };

  test('what the phone writes in a group is the owner, and the answer is signed', async () => {
    const { host, channel } = await open(shared);
    await fake.ownPhoneSays('@Pinch tea?', { to: group });
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({ text: '@Pinch tea?', sender: { address: fake.account.phone } });
    expect(host.messages[0]?.contextOnly).toBeUndefined();
    await channel.send(part('Assam', '1.0', group.id));
    expect(texts(bob)).toEqual(['*Pinch:* Assam']);
  });

  test('what the phone writes to others stays between them, and so does what they answer', async () => {
    const { host } = await open(shared);
    await fake.ownPhoneSays('dinner?', { to: ann });
    await ann.says('yes', secret);
    await fake.ownPhoneSays('@Pinch tea?', { to: group });
    await host.until(() => host.messages.length === 1);
    expect(host.texts()).toEqual(['@Pinch tea?']);
  });

  test('without sharing, it is context at most', async () => {
    const { host } = await open();
    await fake.ownPhoneSays('@Pinch tea?', { to: group });
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]?.contextOnly).toBe(true);
  });
});

describe('files', () => {
  const bytes = Buffer.from('%PDF-1.4 not really');
  beforeEach(() => vi.stubGlobal('fetch', fake.media.fetch));

  async function refOf(message: Parameters<Peer['says']>[0]) {
    const { host, channel } = await open();
    await ann.says(message, secret);
    await host.until(() => host.messages.length === 1);
    return { channel, ref: host.messages[0]?.media[0]?.ref ?? '' };
  }

  test('a file is fetched from the host of WhatsApp and decrypted', async () => {
    const { channel, ref } = await refOf({ message: fake.media.offer('document', bytes, { fileName: 'a.pdf' }) });
    expect(Buffer.from(await channel.fetchMedia(ref, 1_000))).toEqual(bytes);
    expect(fake.media.fetched.map((url) => new URL(url).host)).toEqual(['mmg.whatsapp.net']);
  });

  test('an address elsewhere is never asked', async () => {
    const message = fake.media.offer('image', bytes, { host: 'evil.example' });
    if (message.imageMessage) message.imageMessage.directPath = null;
    const { channel, ref } = await refOf({ message });
    expect(await failure(channel.fetchMedia(ref, 1_000))).toMatchObject({ kind: 'permanent' });
    const forged = JSON.stringify({ ...JSON.parse(ref), path: '@evil.example/x' });
    expect(await failure(channel.fetchMedia(forged, 1_000))).toMatchObject({ kind: 'permanent' });
    expect(fake.media.fetched).toEqual([]);
  });

  test('larger than wanted is refused, whatever the message says', async () => {
    const message = fake.media.offer('image', Buffer.alloc(5_000), { fileLength: 10 });
    const { channel, ref } = await refOf({ message });
    expect(await failure(channel.fetchMedia(ref, 1_000))).toMatchObject({ kind: 'permanent' });
  });

  test.each([
    [410, 'permanent'],
    [503, 'network'],
  ])('a server that answers %i: %s', async (status, kind) => {
    const { channel, ref } = await refOf({ message: fake.media.offer('image', bytes) });
    fake.media.failNext(status);
    expect(await failure(channel.fetchMedia(ref, 1_000))).toMatchObject({ kind });
  });

  test('bytes that were changed on the way are refused', async () => {
    const { channel, ref } = await refOf({ message: fake.media.offer('image', bytes) });
    fake.media.serve(JSON.parse(ref).directPath, Buffer.alloc(42));
    expect(await failure(channel.fetchMedia(ref, 1_000))).toMatchObject({ kind: 'permanent' });
  });
});

test('no key reaches the console, the log or a state', async () => {
  const printed: string[] = [];
  for (const method of ['log', 'info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(
      (...words: unknown[]) => void printed.push(words.map(String).join(' ')),
    );
  const { channel, host } = await open();
  await ann.says('hello', secret);
  await channel.send(part('one'));
  // A new session closes the old one, which libsignal prints.
  await ann.forgetsSessions();
  await channel.send(part('two', '2.0'));
  await ann.says('again', secret);
  await ann.says('garbled', { broken: true });
  await host.until(() => host.messages.length === 3);
  fake.faults.streamError(401, 'device_removed');
  await host.untilState('logged-out');
  expect(printed).toEqual([]);
  const told = [...host.logLines, JSON.stringify(host.states)].join('\n');
  for (const word of ['privKey', 'private', 'hello', 'garbled', 'Buffer', 'noiseKey']) expect(told).not.toContain(word);
});
