// How the WhatsApp channel connects, loses its connection, comes back and stops: the real Baileys against the fake server.
// What each code means is a table in whatsapp-close.test.ts.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { ChannelHost } from '../../test/fakes/channel-host.js';
import type { FakeWhatsApp, Peer } from '../../test/fakes/whatsapp.js';
import { setUpWhatsApp, type WhatsAppSetup } from './testing/whatsapp-harness.js';
import { createCache } from './whatsapp-socket.js';

let setup: WhatsAppSetup;
let fake: FakeWhatsApp;
let host: ChannelHost;
let ann: Peer;

beforeEach(async () => {
  setup = await setUpWhatsApp();
  ({ fake, host, ann } = setup);
});
afterEach(() => setup.close());

const HOUR_MS = 3_600_000;

const noiseKey = (creds = '{}') =>
  z.object({ noiseKey: z.object({ private: z.json() }) }).parse(JSON.parse(creds)).noiseKey;

describe('a lost connection', () => {
  test.each<[name: string, pauseMs: number, lose: () => void]>([
    ['a restart (515)', 0, () => fake.faults.streamError(515)],
    ['a busy server (503)', 875, () => fake.faults.streamError(503)],
    ['a nameless error (500)', 875, () => fake.faults.streamError()],
    ['a lost network (428)', 875, () => fake.faults.drop()],
    ['a goodbye (428)', 875, () => fake.faults.endStream()],
    ['another connection (440)', 30_000, () => fake.faults.streamError(undefined, 'replaced')],
  ])('%s comes back after %i ms', async (_name, pauseMs, lose) => {
    await setup.connect();
    lose();
    await setup.untilCount('open', 2);
    expect(setup.states()).toEqual(['connecting', 'open', 'reconnecting', 'open']);
    expect(setup.backOff()).toEqual([pauseMs]);
    await setup.expectToHear('are you back?');
  });

  test('nobody listens (408): pauses grow to five minutes, and start over after a minute of being open', async () => {
    const clock = setup.stopTime();
    setup.seedLinked();
    await fake.faults.refuse(true);
    setup.create().start();
    for (let round = 1; round <= 11; round++) {
      await setup.untilCount('reconnecting', round);
      if (round < 11) await clock.advance(setup.backOff().at(-1) ?? 0);
    }
    const grown = [875, 1_750, 3_500, 7_000, 14_000, 28_000, 56_000, 112_000, 224_000, 262_500, 262_500];
    expect(setup.backOff()).toEqual(grown);
    await fake.faults.refuse(false);
    await clock.advance(262_500);
    await setup.untilCount('open', 1);
    await clock.advance(59_999);
    fake.faults.drop();
    await setup.untilCount('reconnecting', 12);
    await clock.advance(262_500);
    await setup.untilCount('open', 2);
    await clock.advance(60_000);
    fake.faults.drop();
    await setup.untilCount('reconnecting', 13);
    expect(setup.backOff()).toEqual([...grown, 262_500, 875]);
  });

  test('another connection, twice: this one gives way for good', async () => {
    const clock = setup.stopTime();
    await setup.connect();
    fake.faults.streamError(undefined, 'replaced');
    await setup.untilCount('reconnecting', 1);
    await clock.advance(29_999);
    expect(fake.knocks).toBe(1);
    await clock.advance(1);
    await setup.untilCount('open', 2);
    fake.faults.streamError(undefined, 'replaced');
    await host.untilState('blocked');
    await clock.advance(HOUR_MS);
    expect(fake.knocks).toBe(2);
  });

  test('another connection, and again after a quiet minute: both times it comes back', async () => {
    const clock = setup.stopTime();
    await setup.connect();
    for (const round of [1, 2]) {
      fake.faults.streamError(undefined, 'replaced');
      await setup.untilCount('reconnecting', round);
      await clock.advance(30_000);
      await setup.untilCount('open', round + 1);
      await clock.advance(60_000);
    }
    expect(setup.count('blocked')).toBe(0);
  });
});

describe('an end for which a person is needed', () => {
  test.each<[name: string, lose: () => void]>([
    ['the phone removes the device while it is open', () => fake.faults.streamError(401, 'device_removed')],
    [
      'the device is unknown at its next login',
      () => {
        fake.faults.failureAtLogin(401);
        fake.faults.streamError(515);
      },
    ],
  ])('%s: the keys are put aside, and a link begins with new ones', async (_name, lose) => {
    const archive = vi.spyOn(host.deps.storage, 'archive');
    const channel = await setup.connect();
    const old = setup.storedCreds();
    lose();
    await host.untilState('logged-out');
    expect(archive).toHaveBeenCalledOnce();
    expect(setup.storedCreds()).toBeUndefined();
    expect(setup.backOff().filter((ms) => ms > 0)).toEqual([]);
    channel.link?.();
    await host.until(() => setup.link()?.qr !== undefined);
    await fake.scan(setup.link()?.qr ?? '');
    await setup.untilCount('open', 2);
    expect(noiseKey(setup.storedCreds())).not.toEqual(noiseKey(old));
    await setup.expectToHear('linked again');
  });

  test.each([402, 403, 406])('a locked account (%i): it stays away, and keeps its keys', async (code) => {
    const clock = setup.stopTime();
    setup.seedLinked();
    const creds = setup.storedCreds();
    fake.faults.failureAtLogin(code);
    setup.create().start();
    await host.untilState('blocked');
    expect(host.states.at(-1)?.detail).toContain(String(code));
    await clock.advance(HOUR_MS);
    expect(fake.knocks).toBe(1);
    expect(setup.storedCreds()).toBe(creds);
  });

  test('a client that is too old asks again every five minutes, and keeps its keys', async () => {
    const clock = setup.stopTime();
    setup.seedLinked();
    const creds = setup.storedCreds();
    fake.faults.failureAtLogin(405, 2);
    setup.create().start();
    for (const times of [1, 2]) {
      await setup.untilCount('expired-version', times);
      expect(setup.storedCreds()).toBe(creds);
      await clock.advance(300_000);
    }
    await host.untilState('open');
    expect(setup.backOff()).toEqual([300_000, 300_000]);
  });
});

test('WHATSAPP_VERSION is what the server is told', async () => {
  await setup.connect({ WHATSAPP_VERSION: '2.3000.1099999999' });
  expect(fake.clientVersions).toEqual(['2.3000.1099999999']);
});

describe('what a dead connection still does counts for nothing', () => {
  const knocked = () => fake.knocks === 1;
  const saidHello = () => fake.clientVersions.length === 1;
  test.each<[name: string, mute: () => void, isMute: () => boolean, listen: () => void]>([
    ['refuses the upgrade', () => fake.faults.refuseUpgrade(503), knocked, () => undefined],
    ['does not answer the hello', () => fake.faults.ignoreHello(true), knocked, () => fake.faults.ignoreHello(false)],
    ['does not answer the login', () => fake.faults.silence(true), saidHello, () => fake.faults.silence(false)],
  ])('a server that %s is asked again, once', async (_name, mute, isMute, listen) => {
    const clock = setup.stopTime();
    setup.seedLinked();
    mute();
    setup.create().start();
    await fake.waitFor(isMute);
    await clock.advance(120_000);
    listen();
    await clock.advance(875);
    await host.untilState('open');
    expect(setup.states()).toEqual(['connecting', 'reconnecting', 'open']);
    expect(setup.backOff()).toEqual([875]);
    await fake.waitFor(() => fake.sockets() === 1);
    expect(fake.logins).toBe(1);
  });
});

describe('what WhatsApp was told that we have is there', () => {
  const words = Array.from({ length: 10 }, (_, i) => `message ${i}`);

  test.each<[name: string, lose: () => void]>([
    ['by an error', () => fake.faults.streamError(503)],
    ['by a goodbye', () => fake.faults.endStream()],
  ])('when the server ends the connection in the middle of it %s', async (_name, lose) => {
    await setup.connect();
    for (const text of words) await ann.says(text, { encrypted: true });
    await host.until(() => host.messages.length > 0);
    lose();
    await host.until(() => host.messages.length === words.length);
    expect(host.texts()).toEqual(words);
  });

  test('when the connection is cut before the last of many old messages', async () => {
    fake.faults.endlessBacklog(true);
    setup.seedLinked();
    for (const text of words) await ann.says(text, { encrypted: true, offline: true });
    setup.create().start();
    await fake.untilConfirmed();
    fake.faults.drop();
    await host.until(() => host.messages.length === words.length);
    expect(host.texts()).toEqual(words);
  });
});

describe('start and stop', () => {
  test('start comes back before anything happened; a second one changes nothing', async () => {
    setup.seedLinked();
    const channel = setup.create();
    channel.start();
    channel.start();
    expect(host.states).toEqual([]);
    await host.untilState('open');
    await fake.untilLogin();
    expect(fake.knocks).toBe(1);
  });

  test('stop before the library is loaded: it never connects', async () => {
    setup.seedLinked();
    const channel = setup.create();
    channel.start();
    await channel.stop();
    expect(host.states).toEqual([]);
    expect(fake.sockets()).toBe(0);
  });

  test('stop while connecting', async () => {
    const release = fake.faults.holdLogin();
    setup.seedLinked();
    const channel = setup.create();
    channel.start();
    await fake.waitFor(() => fake.clientVersions.length === 1);
    await channel.stop();
    release();
    await fake.waitFor(() => fake.sockets() === 0);
    expect(setup.states()).toEqual(['connecting', 'stopped']);
    expect(fake.logins).toBe(0);
    expect(setup.sleeping()).toBe(0);
  });

  test('stop in a pause', async () => {
    const clock = setup.stopTime();
    const channel = await setup.connect();
    fake.faults.drop();
    await host.untilState('reconnecting');
    await channel.stop();
    expect(setup.sleeping()).toBe(0);
    await clock.advance(HOUR_MS);
    channel.link?.();
    expect(setup.states()).toEqual(['connecting', 'open', 'reconnecting', 'stopped']);
    expect(fake.knocks).toBe(1);
  });

  test('stop while a message waits for its turn: it stays with its sender, and nobody waits for it', async () => {
    setup.stopTime();
    const channel = await setup.connect();
    const part = (key: string) => channel.send({ address: ann.phone, text: key, key });
    await part('1.0');
    const waits = expect(part('2.0')).rejects.toMatchObject({ kind: 'network' });
    await channel.stop();
    await waits;
    expect(setup.sleeping()).toBe(0);
  });

  test('stop while people write, twice: nothing arrives afterwards, and what did not is there at the next start', async () => {
    const channel = await setup.connect();
    const said = Array.from({ length: 10 }, (_, i) => `message ${i}`);
    for (const text of said) await ann.says(text, { encrypted: true });
    await host.until(() => host.messages.length > 0);
    await Promise.all([channel.stop(), channel.stop()]);
    const [arrived, states] = [host.messages.length, host.states.length];
    await fake.waitFor(() => fake.sockets() === 0);
    await channel.stop();
    expect(host.messages).toHaveLength(arrived);
    expect(new Set(setup.states().slice(states - 1))).toEqual(new Set(['stopped']));
    expect(setup.sleeping()).toBe(0);
    setup.create().start();
    await host.until(() => new Set(host.texts()).size === said.length);
    expect(host.texts()).toEqual(said);
  });
});

test('the messages that are asked for again are bounded: what was set longest ago is forgotten', () => {
  const cache = createCache();
  for (let n = 0; n < 5_000; n++) {
    cache.set(`m${n}`, n);
    // What is used again and again stays.
    cache.set('often', n);
  }
  const kept = Array.from({ length: 5_000 }, (_, n) => cache.get(`m${n}`)).filter((value) => value !== undefined);
  expect([kept.length, kept[0], cache.get('often')]).toEqual([999, 4_001, 4_999]);
});
