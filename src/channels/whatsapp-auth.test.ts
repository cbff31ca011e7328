// What WhatsApp's keys go through: stored whole, revived as they were, and never seen outside of the storage.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { BufferJSON, proto, type SignalDataTypeMap } from '@whiskeysockets/baileys';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { z } from 'zod';
import { openStore } from '../store.js';
import type { ChannelStorage } from './channel.js';
import { setUpWhatsApp } from './testing/whatsapp-harness.js';
import { loadAuth } from './whatsapp-auth.js';

afterEach(() => vi.restoreAllMocks());

const bytes = (fill: number) => Buffer.alloc(32, fill);
const KEYS: { [Kind in keyof SignalDataTypeMap]: SignalDataTypeMap[Kind] } = {
  'pre-key': { public: bytes(1), private: bytes(2) },
  session: bytes(3),
  'sender-key': bytes(4),
  'sender-key-memory': { '1@lid': true },
  'app-state-sync-key': proto.Message.AppStateSyncKeyData.create({
    keyData: bytes(5),
    timestamp: 1,
    fingerprint: { rawId: 7, currentIndex: 0, deviceIndexes: [0, 1] },
  }),
  'app-state-sync-version': { version: 3, hash: bytes(6), indexValueMap: { a: { valueMac: bytes(7) } } },
  'lid-mapping': '200000000000001',
  'device-list': ['0', '7'],
  tctoken: { token: bytes(8), timestamp: '12' },
  'identity-key': bytes(9),
};

const encodeSync = (key: proto.Message.IAppStateSyncKeyData) => proto.Message.AppStateSyncKeyData.encode(key).finish();
const memory = (now: () => number = Date.now): ChannelStorage => openStore(':memory:').channelAuth.of('whatsapp', now);

async function stored(storage: ChannelStorage, kind: keyof SignalDataTypeMap, id: string): Promise<unknown> {
  return (await loadAuth(storage).state.keys.get(kind, [id, 'unknown']))[id];
}

describe('keys', () => {
  test('every kind survives a restart; what is set to null is gone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pinch-auth-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'pinch.db');
    const store = openStore(path);
    const auth = loadAuth(store.channelAuth.of('whatsapp', Date.now));
    const changes = Object.fromEntries(Object.entries(KEYS).map(([kind, value]) => [kind, { 'a:b.0': value }]));
    await auth.state.keys.set(changes);
    await auth.state.keys.set({ session: { 'other.0': bytes(3) } });
    await auth.state.keys.set({ session: { 'other.0': null } });
    auth.saveCreds();
    store.close();
    const reopened = openStore(path).channelAuth.of('whatsapp', Date.now);
    for (const kind of ['pre-key', 'session', 'sender-key', 'sender-key-memory'] as const)
      expect(await stored(reopened, kind, 'a:b.0'), kind).toEqual(KEYS[kind]);
    for (const kind of ['app-state-sync-version', 'lid-mapping', 'device-list', 'tctoken', 'identity-key'] as const)
      expect(await stored(reopened, kind, 'a:b.0'), kind).toEqual(KEYS[kind]);
    const { keys } = loadAuth(reopened).state;
    const sync = (await keys.get('app-state-sync-key', ['a:b.0']))['a:b.0'];
    expect(encodeSync(sync ?? {})).toEqual(encodeSync(KEYS['app-state-sync-key']));
    expect(await stored(reopened, 'session', 'other.0')).toBeUndefined();
    expect(loadAuth(reopened).state.creds).toEqual(auth.state.creds);
  });

  test('a sync key comes back as the message the library encodes again', async () => {
    const storage = memory();
    await loadAuth(storage).state.keys.set({ 'app-state-sync-key': { k: KEYS['app-state-sync-key'] } });
    const key = (await loadAuth(storage).state.keys.get('app-state-sync-key', ['k'])).k;
    expect(key).toBeInstanceOf(proto.Message.AppStateSyncKeyData);
    expect(Buffer.isBuffer(key?.keyData)).toBe(true);
  });

  test('a write that fails half way leaves nothing of itself', async () => {
    let writes = 0;
    const storage = memory(() => {
      writes += 1;
      if (writes === 5) throw new Error('disk full');
      return 1;
    });
    const { keys } = loadAuth(storage).state;
    await keys.set({ session: { 'ann.0': bytes(1) }, 'pre-key': { 1: KEYS['pre-key'] } });
    const change = async () =>
      keys.set({ session: { 'ann.0': bytes(2) }, 'pre-key': { 1: null }, 'sender-key': { g: bytes(2), h: bytes(2) } });
    await expect(change()).rejects.toThrow('disk full');
    expect(await stored(storage, 'session', 'ann.0')).toEqual(bytes(1));
    expect(await stored(storage, 'pre-key', '1')).toEqual(KEYS['pre-key']);
    expect(await stored(storage, 'sender-key', 'g')).toBeUndefined();
  });

  test('a device that was never fully linked begins with new credentials', () => {
    const storage = memory();
    const half = loadAuth(storage);
    half.state.creds.me = { id: '491700000000@s.whatsapp.net' };
    half.saveCreds();
    const { creds } = loadAuth(storage).state;
    expect(creds.me).toBeUndefined();
    expect(creds.noiseKey).not.toEqual(half.state.creds.noiseKey);
  });
});

const secretName = /priv|rootKey|seed|^key$|keyData|advSecret/i;
const asArray = z.object({ type: z.literal('Buffer'), data: z.array(z.number()) });

/** Private keys, and what they are derived from, wherever they are in what is stored. */
function secretsIn(value: unknown, name = ''): Buffer[] {
  if (value instanceof Uint8Array) return secretName.test(name) ? [Buffer.from(value)] : secretsIn(parsed(value));
  if (typeof value === 'string') return secretName.test(name) ? [Buffer.from(value, 'base64')] : [];
  const array = asArray.safeParse(value);
  if (array.success) return secretsIn(Buffer.from(array.data.data), name);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => secretsIn(part, key));
}

/** Sender keys are JSON in bytes; anything else in bytes holds nothing by a name. */
function parsed(value: Uint8Array): unknown {
  const text = Buffer.from(value).toString();
  return /^\[?\{"/.test(text) ? JSON.parse(text) : undefined;
}

const CONSOLE = ['debug', 'log', 'info', 'warn', 'error', 'trace'] as const;

test('no private key is logged, printed or shown: a whole conversation with new sessions and lost connections', async () => {
  const seen: string[] = [];
  const look = (...shown: unknown[]) => seen.push(...shown.map((one) => inspect(one, { depth: 20, breakLength: 1e6 })));
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((chunk) => look(chunk.toString()) > 0);
  for (const method of CONSOLE) console[method] = look;
  const { fake, host, ann, written, ...setup } = await setUpWhatsApp();
  onTestFinished(() => setup.close());
  const group = fake.group({ subject: 'Family', members: [ann] });
  const channel = await setup.connect();
  await setup.expectToHear('first');
  await channel.send({ address: ann.phone, text: 'answer', key: '1.0' });
  await ann.says('in the group', { to: group, encrypted: true });
  await channel.send({ address: group.id, text: 'to all', key: '2.0' });
  // A closed session is what libsignal prints, keys and all.
  await ann.forgetsSessions();
  await setup.expectToHear('from a new phone');
  await ann.says('damaged', { encrypted: true, broken: true });
  await host.until(() => host.texts().includes('damaged'));
  for (const [round, lose] of [fake.faults.drop, () => fake.faults.streamError(515)].entries()) {
    lose();
    await setup.untilCount('open', round + 2);
    await setup.expectToHear(`after ${round}`);
  }
  await channel.stop();
  vi.restoreAllMocks();

  const secrets = new Map<string, Buffer>();
  for (const kind of ['creds', 'pre-key', 'session', 'sender-key']) {
    const rows = written.filter((row) => row.kind === kind && row.value !== null);
    const found = rows.flatMap(({ value }) => secretsIn(JSON.parse(value ?? '', BufferJSON.reviver)));
    expect(found.length, `keys of kind ${kind}`).toBeGreaterThan(0);
    for (const key of found) if (key.length >= 16) secrets.set(key.toString('hex'), key);
  }
  const everything = [...seen, ...host.logLines, JSON.stringify(host.states)].join('\n');
  const compact = everything.replaceAll(/\s/g, '').toLowerCase();
  const shown = [...secrets.values()].filter(
    (key) =>
      everything.includes(key.toString('base64').replace(/=+$/, '')) ||
      everything.includes(key.toString('base64url')) ||
      compact.includes(key.toString('hex')) ||
      compact.includes([...key].join(',')),
  );
  expect(shown).toHaveLength(0);
  for (const words of host.texts()) expect(everything).not.toContain(words);
});
