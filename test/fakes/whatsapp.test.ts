// The fake WhatsApp server held against the real Baileys: if the two disagree, tests of the channel prove nothing.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeWhatsApp, type Peer, startFakeWhatsApp } from './whatsapp.js';
import { type ClientState, connectClient, linkedState, muteConsole, type TestClient } from './whatsapp-client.js';

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

describe('groups', () => {
  let bob: Peer;
  beforeEach(() => {
    bob = fake.contact({ phone: '491702222222', lid: '200000000000002', name: 'Bob' });
  });

  test.each([
    'lid',
    'pn',
  ] as const)('a mention in a %s group names the account as the group knows it', async (addressing) => {
    const group = fake.group({ subject: 'Friends', members: [ann, bob], addressing });
    const client = await connect();
    const { id } = await ann.says(`${group.mention('me')} hello`, { to: group, mentions: ['me'] });
    const { key, message } = await client.untilMessage(id);
    const [me, annHere, annElsewhere] =
      addressing === 'lid' ? [fake.account.lid, ann.lid, ann.jid] : [fake.account.jid, ann.jid, ann.lid];
    expect(key).toMatchObject({
      remoteJid: group.id,
      participant: annHere,
      participantAlt: annElsewhere,
      fromMe: false,
    });
    expect(message?.extendedTextMessage).toMatchObject({
      text: `@${me.split('@')[0]} hello`,
      contextInfo: { mentionedJid: [me] },
    });
    await fake.untilConfirmed();
  });

  test.each([
    'lid',
    'pn',
  ] as const)('encrypted messages in a %s group go both ways and reach every member', async (addressing) => {
    const group = fake.group({ subject: 'Friends', members: [ann, bob], addressing });
    const client = await connect();
    for (const text of ['one', 'two']) {
      const { id } = await ann.says(text, { to: group, encrypted: true });
      expect((await client.untilMessage(id)).message?.conversation).toBe(text);
    }
    for (const text of ['three', 'four']) await client.sock.sendMessage(group.id, { text });
    expect(await fake.untilSent(2)).toMatchObject([
      { to: group.id, text: 'three', stanzas: 1 },
      { to: group.id, text: 'four', stanzas: 1 },
    ]);
    expect(ann.received.map((one) => one.text)).toEqual(['three', 'four']);
    expect(bob.received.map((one) => one.text)).toEqual(['three', 'four']);
    expect(ann.unreadable).toEqual([]);
    expect(fake.groupQueries).toBe(2);
  });

  test('a message reaches each of a hundred members', async () => {
    const many = Array.from({ length: 100 }, (_, index) =>
      fake.contact({ phone: String(491710000000 + index), lid: String(300000000000000 + index), name: `No. ${index}` }),
    );
    const group = fake.group({ subject: 'Crowd', members: many });
    const client = await connect();
    await client.sock.sendMessage(group.id, { text: 'all' });
    await fake.untilSent(1);
    expect(many.filter((one) => one.received[0]?.text === 'all')).toHaveLength(100);
    await fake.untilConfirmed();
  });

  test('the client learns who joins, who leaves and what the group is called', async () => {
    const group = fake.group({ subject: 'Friends', members: [ann] });
    const client = await connect();
    group.add(bob);
    group.rename('Best friends', bob);
    group.remove(ann, ann);
    await client.until(() => client.groupEvents.length === 3 || undefined, 'the three events');
    // The library collects events by kind before it tells them.
    expect(client.groupEvents).toEqual(expect.arrayContaining([['add', bob.lid], ['remove', ann.lid], 'Best friends']));
    expect(await client.sock.groupMetadata(group.id)).toMatchObject({
      subject: 'Best friends',
      addressingMode: 'lid',
      participants: [{ id: bob.lid, phoneNumber: bob.jid }, { id: fake.account.lid }],
    });
    expect(group.members()).toEqual([bob]);
  });

  test('a group the account was removed from, or that never was, cannot be queried', async () => {
    const group = fake.group({ subject: 'Friends', members: [ann] });
    const client = await connect();
    group.remove('me');
    await expect(client.sock.groupMetadata(group.id)).rejects.toThrow('forbidden');
    await expect(client.sock.groupMetadata('120363999999999999@g.us')).rejects.toThrow('item-not-found');
  });
});

describe('what waits for the client', () => {
  test('messages written while nobody is connected come at the login, in order, as append', async () => {
    const state = linkedState(fake);
    const one = await ann.says('one');
    const two = await ann.says('two', { encrypted: true });
    const client = await connect(state);
    await client.untilMessage(two.id);
    expect(client.upserts.map(({ message, type }) => [message.key.id, type])).toEqual([
      [one.id, 'append'],
      [two.id, 'append'],
    ]);
    await fake.untilConfirmed();
  });

  test('a message held back waits for the next login even if a client is connected', async () => {
    const state = linkedState(fake);
    const first = await connect(state);
    const { id } = await ann.says('later', { offline: true });
    expect(fake.unconfirmed()).toBe(1);
    await first.end();
    const second = await connect(state);
    expect((await second.untilMessage(id)).message?.conversation).toBe('later');
    expect(first.upserts).toEqual([]);
  });

  test('a message that was delivered but never confirmed comes again', async () => {
    const state = linkedState(fake);
    await connect(state);
    fake.faults.silence(true);
    const { id } = await ann.says('did you get it?');
    await fake.waitFor(() => fake.stanzas.some((node) => node.tag === 'receipt'));
    fake.faults.drop();
    fake.faults.silence(false);
    const second = await connect(state);
    expect((await second.untilMessage(id)).message?.conversation).toBe('did you get it?');
    await fake.untilConfirmed();
  });
});

test('an encrypted message that comes again is refused by the library, which read it already', async () => {
  const state = linkedState(fake);
  const first = await connect(state);
  fake.faults.silence(true);
  const { id } = await ann.says('only once', { encrypted: true });
  await first.untilMessage(id);
  fake.faults.drop();
  fake.faults.silence(false);
  const second = await connect(state);
  await fake.waitFor(() => fake.stanzas.some(({ attrs }) => attrs.id === id && attrs.error === '487'));
  expect(second.upserts).toEqual([]);
  await fake.untilConfirmed();
});

describe('acknowledgements and receipts', () => {
  test.each(['463', '479'])('a refusal with %s reaches the sender, and nobody gets the message', async (error) => {
    const client = await connect();
    await client.sock.sendMessage(ann.lid, { text: 'first' });
    await fake.untilSent(1);
    fake.faults.nextAck({ error });
    const refused = await client.sock.sendMessage(ann.lid, { text: 'refused' });
    await client.until(() => client.fates(refused?.key.id ?? '').includes(error) || undefined, 'the refusal');
    await client.sock.sendMessage(ann.lid, { text: 'last' });
    await fake.untilSent(2);
    expect(ann.received.map((one) => one.text)).toEqual(['first', 'last']);
  });

  test('a cut before the message is taken loses it, one after it does not', async () => {
    const state = linkedState(fake);
    const first = await connect(state);
    fake.faults.nextAck({ dropSocket: 'before' });
    await first.sock.sendMessage(ann.lid, { text: 'lost' });
    expect(await first.untilClosed()).toBe(428);
    const second = await connect(state);
    fake.faults.nextAck({ dropSocket: 'after' });
    await second.sock.sendMessage(ann.lid, { text: 'taken' });
    expect(await second.untilClosed()).toBe(428);
    expect(fake.sent.map((one) => one.text)).toEqual(['taken']);
    const third = await connect(state);
    const { id = '' } = fake.sent[0] ?? {};
    await third.until(() => third.fates(id).includes(3) || undefined, 'word that it was delivered after all');
  });

  test('people confirm delivery, and reading when they read', async () => {
    const client = await connect();
    const sent = await client.sock.sendMessage(ann.lid, { text: 'hi' });
    const id = sent?.key.id ?? '';
    await client.until(() => client.fates(id).includes(3) || undefined, 'the delivery');
    ann.reads(id);
    await client.until(() => client.fates(id).includes(4) || undefined, 'the reading');
  });

  test('a message the client cannot decrypt is asked for, and then arrives under the same id', async () => {
    const client = await connect();
    const { id } = await ann.says('garbled at first', { broken: true });
    await fake.untilRetry(id);
    expect((await client.untilMessage(id)).message?.conversation).toBe('garbled at first');
    const shown = client.upserts.filter(({ message }) => message.key.id === id);
    expect(shown.map(({ message }) => message.messageStubType)).toEqual([2, undefined]);
    await fake.untilConfirmed();
  });

  test('a group message the client cannot decrypt is asked for as well', async () => {
    const group = fake.group({ subject: 'Friends', members: [ann] });
    const client = await connect();
    const { id } = await ann.says('garbled at first', { to: group, broken: true });
    expect((await client.untilMessage(id)).message?.conversation).toBe('garbled at first');
    const next = await ann.says('clear', { to: group, encrypted: true });
    expect((await client.untilMessage(next.id)).message?.conversation).toBe('clear');
  });

  test('a person who asks again gets the same message once more and shows it once', async () => {
    const client = await connect();
    const sent = await client.sock.sendMessage(ann.lid, { text: 'hi' });
    await fake.untilSent(1);
    ann.asksRetry(sent?.key.id ?? '');
    await fake.waitFor(() => fake.sent[0]?.stanzas === 2);
    expect(ann.received).toMatchObject([{ id: sent?.key.id, text: 'hi', stanzas: 2 }]);
  });

  test('a person who lost the session asks again and then reads', async () => {
    const client = await connect();
    await ann.says('hello', { encrypted: true });
    await client.sock.sendMessage(ann.lid, { text: 'one' });
    await fake.untilSent(1);
    await ann.forgetsSessions();
    const sent = await client.sock.sendMessage(ann.lid, { text: 'two' });
    await fake.untilSent(2);
    expect(ann.unreadable).toEqual([sent?.key.id]);
    expect(ann.received.map((one) => one.text)).toEqual(['one', 'two']);
  });
});
