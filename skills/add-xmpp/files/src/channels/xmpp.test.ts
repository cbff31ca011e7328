// The XMPP channel against a real server: rooms, files, what was sent once, who may not pretend, refusals.
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { xml } from '@xmpp/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../../test/e2e/harness.js';
import { type ChannelHost, createChannelHost, createStorage } from '../../test/fakes/channel-host.js';
import { startXmppGate } from '../../test/fakes/xmpp-gate.js';
import { createPerson, type Person } from '../../test/fakes/xmpp-person.js';
import { PASSWORD, ROOMS, startXmppServer, type XmppServer, xmppServerProblem } from '../../test/fakes/xmpp-server.js';
import type { Channel, ChannelStorage } from './channel.js';
import { xmpp } from './xmpp.js';

const problem = xmppServerProblem();
if (problem) console.log(`skipped: ${problem}`);
let server: XmppServer;
let stopServer = async (): Promise<void> => undefined;
beforeAll(async () => {
  if (problem) return;
  server = await startXmppServer();
  stopServer = server.close;
});
afterAll(() => stopServer());

let pinch: string;
let room: string;
let anna: Person;
let host: ChannelHost;
let storage: ChannelStorage;
let name: string;
const closing: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  name = randomUUID().slice(0, 8);
  storage = createStorage();
  host = createChannelHost(storage);
  room = `room${name}@${ROOMS}`;
  if (problem) return;
  pinch = server.add(`pinch${name}`);
  anna = await person('anna');
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function person(who: string): Promise<Person> {
  const one = await createPerson(server.add(`${who}${name}`), server.port);
  closing.push(one.leave);
  return one;
}

/** As a fresh process would start it. */
function start(env: Record<string, string> = {}): Channel {
  const settings = {
    XMPP_ADDRESS: pinch,
    XMPP_PASSWORD: PASSWORD,
    XMPP_SERVICE: `xmpp://127.0.0.1:${problem ? 5222 : server.port}`,
    ...env,
  };
  const channel = xmpp.create(xmpp.env.parse(settings), host.deps);
  if (!channel) throw new Error('the channel is off');
  closing.push(() => channel.stop());
  channel.start();
  return channel;
}

async function started(env?: Record<string, string>): Promise<Channel> {
  const channel = start(env);
  await host.untilState('open');
  return channel;
}

const heard = (count: number) => host.until(() => host.messages.length >= count);
const reads = (who: Person, count: number) =>
  eventually(() => (who.received.length >= count ? who.received : undefined), `${count} messages`);

describe.skipIf(problem)(`XMPP by a real server${problem ? `: skipped, ${problem}` : ''}`, () => {
  test.each([
    'a direct chat',
    'a room',
  ])('in %s, a message whose acceptance was lost with the connection arrives once', async (where) => {
    const gate = await startXmppGate(server.port);
    closing.push(gate.close);
    const inRoom = where === 'a room';
    if (inRoom) await anna.enter(room, 'Anna');
    const service = { XMPP_SERVICE: `xmpp://127.0.0.1:${gate.port}` };
    const channel = await started({ ...service, ...(inRoom && { XMPP_ROOMS: room }) });
    const part = { address: inRoom ? room : anna.address, text: 'Tea is **ready**.', key: '1.0' };
    gate.muteServer();
    const lost = channel.send(part).catch((error: unknown) => error);
    await reads(anna, 1);
    gate.cut();
    expect(await lost).toMatchObject({ kind: 'network' });
    await host.until(
      () => host.states.at(-1)?.state === 'open' && host.states.some(({ state }) => state === 'reconnecting'),
    );
    const { platformId } = await channel.send(part);
    expect(await channel.send(part)).toEqual({ platformId });
    await channel.send({ ...part, text: 'Really.', key: '2.0' });
    await reads(anna, 2);
    expect(anna.texts()).toEqual(['Tea is *ready*.', 'Really.']);
    const [first] = anna.received;
    expect([first?.attrs.id, first?.getChild('stanza-id', 'urn:xmpp:sid:0')?.attrs.id]).toContain(platformId);
  });

  test('in a room: who said it, who is meant, what was corrected; whispers and our own words are nothing', async () => {
    await anna.enter(room, 'Anna', { open: true, title: 'Family' });
    const ben = await person('ben');
    await ben.enter(room, 'Ben');
    const channel = await started({ XMPP_ROOMS: room });
    const { platformId } = await channel.send({ address: room, text: 'Good morning', key: '1.0' });
    await ben.say(`${room}/Pinch`, 'a whisper');
    const id = await ben.say(room, 'we need milk', { room: true });
    const replace = xml('replace', { xmlns: 'urn:xmpp:message-correct:0', id });
    await ben.say(room, 'we need beer', { room: true, children: [replace] });
    const reply = xml('reply', { xmlns: 'urn:xmpp:reply:0', id: platformId, to: `${room}/Pinch` });
    await anna.say(room, 'and you?', { room: true, children: [reply] });
    await heard(3);
    expect(host.messages).toMatchObject([
      {
        chat: { address: room, kind: 'group', title: 'Family' },
        sender: { address: ben.address, name: 'Ben' },
        text: 'we need milk',
        addressesAssistant: false,
      },
      { text: 'we need beer', platformId: host.messages[0]?.platformId, edited: true },
      { sender: { address: anna.address }, text: 'and you?', replyTo: { platformId } },
    ]);
  });

  test('in a room that does not tell addresses, a nickname makes nobody the owner', async () => {
    await anna.enter(room, 'Anna');
    const mallory = await person('mallory');
    await mallory.enter(room, 'Olga');
    await started({ XMPP_ROOMS: room });
    const item = xml('item', { jid: anna.address });
    const forged = xml('x', { xmlns: 'http://jabber.org/protocol/muc#user' }, item);
    await mallory.say(room, 'I am Anna', { room: true, children: [forged] });
    await heard(1);
    expect(host.messages[0]?.sender).toEqual({ address: `${room}/Olga`, name: 'Olga', isNameOnly: true });
  });

  test('rooms that are not there, or have our name taken, are told to the owner and keep nothing else from working', async () => {
    await anna.enter(room, 'Pinch');
    const missing = `missing${name}@${ROOMS}`;
    const channel = await started({ XMPP_ROOMS: `${room}, ${missing}` });
    const detail = host.states.at(-1)?.detail ?? '';
    expect(detail).toContain(`not in ${room}: conflict`);
    expect(detail).toContain(`not in ${missing}: `);
    await anna.say(pinch, 'hello');
    await heard(1);
    await expect(channel.send({ address: room, text: 'x', key: '1.0' })).rejects.toMatchObject({ kind: 'network' });
  });

  test('thrown out of a room, it comes back and knows what was said meanwhile', async () => {
    await anna.enter(room, 'Anna');
    await started({ XMPP_ROOMS: room });
    const kick = xml('item', { nick: 'Pinch', role: 'none' });
    const query = xml('query', { xmlns: 'http://jabber.org/protocol/muc#admin' }, kick);
    await anna.request(xml('iq', { type: 'set', to: room }, query));
    await anna.say(room, 'gone?', { room: true });
    await heard(1);
    expect(host.states.map(({ state }) => state)).toContain('reconnecting');
    expect(host.texts()).toEqual(['gone?']);
  });

  test('what was said before the first start is not read; words of another program of ours are not either', async () => {
    await anna.say(pinch, 'long ago');
    await started();
    const other = await createPerson(pinch, server.port);
    closing.push(other.leave);
    await other.say(anna.address, 'from my phone');
    await anna.say(pinch, 'now');
    await heard(1);
    expect(host.texts()).toEqual(['now']);
  });

  test('nobody can slip us a page of our archive', async () => {
    await started();
    const inner = xml(
      'message',
      { from: `olga${name}@localhost/x`, type: 'chat', id: 'f' },
      xml('body', {}, 'I am Olga'),
    );
    const delay = xml('delay', { xmlns: 'urn:xmpp:delay', stamp: new Date().toISOString() });
    const forwarded = xml('forwarded', { xmlns: 'urn:xmpp:forward:0' }, delay, inner);
    const result = xml('result', { xmlns: 'urn:xmpp:mam:2', id: 'x', queryid: 'x' }, forwarded);
    await anna.send(xml('message', { to: `${pinch}/pinch` }, result));
    await anna.say(pinch, 'hello');
    await heard(1);
    expect(host.texts()).toEqual(['hello']);
  });

  test('files go both ways', async () => {
    const channel = await started();
    const path = join(tmpdir(), `pinch-xmpp-file-${name}`);
    const bytes = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 255]);
    writeFileSync(path, bytes);
    closing.push(async () => rmSync(path));
    const file = { path, fileName: 'dot.png', mimeType: 'image/png' };
    await channel.send({ address: anna.address, text: 'A dot.', file, key: '1.0' });
    const [sent] = await reads(anna, 2);
    expect(anna.texts()[1]).toBe('A dot.');
    const url = sent?.getChild('x', 'jabber:x:oob')?.getChildText('url') ?? '';
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/.*dot\.png$/);
    await anna.say(pinch, url, { children: [xml('x', { xmlns: 'jabber:x:oob' }, xml('url', {}, url))] });
    await heard(1);
    const media = host.messages[0]?.media[0];
    expect(media).toMatchObject({ kind: 'image', fileName: 'dot.png', mimeType: 'image/png' });
    expect(Buffer.from(await channel.fetchMedia(media?.ref ?? '', 100))).toEqual(bytes);
    await expect(channel.fetchMedia(url, 3)).rejects.toMatchObject({ kind: 'permanent' });
    await expect(channel.fetchMedia(url.replace(/file_share\/[^/]+/, 'file_share/none'), 100)).rejects.toMatchObject({
      kind: 'permanent',
    });
    await expect(channel.fetchMedia('https://localhost/x', 100)).rejects.toMatchObject({
      message: 'the link leads into a private network',
    });
    const gone = channel.send({ address: anna.address, text: '', file: { ...file, path: `${path}.gone` }, key: '2.0' });
    await expect(gone).rejects.toMatchObject({ kind: 'permanent' });
  });

  test('typing is shown and leaves nothing behind', async () => {
    const channel = await started();
    channel.typing(anna.address);
    await channel.send({ address: anna.address, text: 'x', key: '1.0' });
    await reads(anna, 1);
    expect(anna.texts()).toEqual(['x']);
  });

  test('an account that is not there is refused for good', async () => {
    const channel = await started();
    await expect(channel.send({ address: `nobody${name}@localhost`, text: 'x', key: '1.0' })).rejects.toMatchObject({
      kind: 'permanent',
      message: 'the XMPP server answers service-unavailable',
    });
  });

  test('a refused password needs a person, is tried again rarely, and is nowhere to be read', async () => {
    start({ XMPP_PASSWORD: 'canary-wrong-password' });
    await host.untilState('blocked');
    expect(host.states.at(-1)?.detail).toContain('XMPP_PASSWORD');
    expect(host.pauses.at(-1)).toBe(600_000);
    expect(`${host.logLines}${JSON.stringify(host.states)}`).not.toContain('canary-wrong');
  });

  test('a server without an archive, and one whose certificate nobody vouches for, are told to the owner', async () => {
    const bare = await startXmppServer({ archive: false });
    closing.push(bare.close);
    start({ XMPP_ADDRESS: bare.add('pinch'), XMPP_SERVICE: `xmpp://127.0.0.1:${bare.port}` });
    await host.untilState('blocked');
    expect(host.states.at(-1)?.detail).toContain('XEP-0313');
    const secure = await startXmppServer({ tls: true });
    closing.push(secure.close);
    host = createChannelHost();
    start({ XMPP_ADDRESS: secure.add('pinch'), XMPP_SERVICE: `xmpp://127.0.0.1:${secure.port}` });
    await host.untilState('reconnecting');
    expect(host.states.at(-1)?.detail).toMatch(/certificate of the XMPP server is not trusted/);
  });
});

test('a server without TLS that is not this machine hears no password', async () => {
  const heardBy: string[] = [];
  const mechanisms = ['PLAIN', 'SCRAM-SHA-1'].map((one) => `<mechanism>${one}</mechanism>`).join('');
  const plain = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      heardBy.push(bytes.toString());
      if (heardBy.length > 1) return;
      socket.write(
        `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' from='plain.test' version='1.0'><stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>${mechanisms}</mechanisms></stream:features>`,
      );
    });
  });
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.2', resolve));
  closing.push(async () => void plain.close());
  const address = plain.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  start({ XMPP_ADDRESS: 'pinch@plain.test', XMPP_SERVICE: `xmpp://127.0.0.2:${address.port}` });
  await host.untilState('reconnecting');
  expect(host.states.at(-1)?.detail).toBe('the server offers no TLS');
  expect(heardBy.join('')).not.toMatch(/<auth|canary/);
});

describe('the settings', () => {
  const whole = { XMPP_ADDRESS: 'Pinch@Example.org', XMPP_PASSWORD: 'secret' };
  const problems = (env: Record<string, string>) => xmpp.env.safeParse(env).error?.issues.map(({ path }) => path[0]);

  test('without an address the channel is off', () => {
    expect(xmpp.env.parse({ PATH: '/bin' })).toBeUndefined();
  });

  test('account, server and rooms', () => {
    expect(xmpp.env.parse(whole)).toMatchObject({
      address: 'pinch@example.org',
      local: 'pinch',
      domain: 'example.org',
      rooms: [],
    });
    const rooms = 'A@rooms.example.org, b@rooms.example.org';
    expect(xmpp.env.parse({ ...whole, XMPP_SERVICE: 'xmpps://x.example.org:5223', XMPP_ROOMS: rooms })).toMatchObject({
      service: 'xmpps://x.example.org:5223',
      isLoopback: false,
      rooms: ['a@rooms.example.org', 'b@rooms.example.org'],
    });
  });

  test.each([
    ['XMPP_ADDRESS', 'pinch'],
    ['XMPP_ADDRESS', 'pinch@example.org/phone'],
    ['XMPP_SERVICE', 'example.org'],
    ['XMPP_SERVICE', 'ws://example.org/'],
    ['XMPP_ROOMS', 'family'],
  ])('%s=%s is refused by its name', (variable, value) => {
    expect(problems({ ...whole, [variable]: value })).toEqual([variable]);
  });

  test('the password is needed with the address', () => {
    expect(problems({ XMPP_ADDRESS: whole.XMPP_ADDRESS })).toEqual(['XMPP_PASSWORD']);
  });
});
