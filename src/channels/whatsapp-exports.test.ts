// A canary for updates of Baileys: names what our code and our fake server use and the new version no longer has.
import { readdirSync, readFileSync } from 'node:fs';
import * as baileys from '@whiskeysockets/baileys';
import { expect, test } from 'vitest';
import { z } from 'zod';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const LIBRARY = '@whiskeysockets/baileys';

/** Values (not types) that a file takes from Baileys, by their own names. */
function importsOf(path: string): string[] {
  const statements = read(path).matchAll(/import (?!type)([^;]*?) from '@whiskeysockets\/baileys'/g);
  return [...statements].flatMap(([, clause = '']) => {
    const [, before = '', braces = ''] = /^([^{]*)(?:\{([^}]*)\})?$/.exec(clause) ?? [];
    const names = braces.split(',').map((name) => name.trim().split(' as ')[0] ?? '');
    const values = names.filter((name) => name !== '' && !name.startsWith('type '));
    return before.trim() === '' ? values : ['default', ...values];
  });
}

const files = ['src/channels/', 'test/fakes/'].flatMap((folder) =>
  readdirSync(new URL(folder, root))
    .filter((name) => /^whatsapp.*\.ts$/.test(name))
    .map((name) => folder + name),
);
const used = files.flatMap((path) => importsOf(path).map((name) => ({ path, name })));

test('Baileys exports everything that is used', () => {
  const exported = new Set(Object.keys(baileys));
  const missing = used.filter(({ name }) => !exported.has(name));
  expect(missing.map(({ path, name }) => `${LIBRARY} no longer exports ${name}, which ${path} uses`)).toEqual([]);
});

test('the canary sees the imports', () => {
  const names = new Set(used.map(({ name }) => name));
  for (const name of ['default', 'BufferJSON', 'initAuthCreds', 'proto', 'makeCacheableSignalKeyStore', 'Curve'])
    expect(names, `the pattern above no longer finds ${name}`).toContain(name);
});

test.each([
  ['the root of trust can be replaced', () => Buffer.isBuffer(baileys.WA_CERT_DETAILS.PUBLIC_KEY)],
  ['the certificate has a serial number', () => baileys.WA_CERT_DETAILS.SERIAL === 0],
  ['Signal is a part of its own', () => typeof baileys.DEFAULT_CONNECTION_CONFIG.makeSignalRepository === 'function'],
  ['hashing is synchronous', () => Buffer.isBuffer(baileys.sha256(Buffer.from('a')))],
  ['messages have the kinds we read', () => baileys.proto.Message.ProtocolMessage.Type.MESSAGE_EDIT === 14],
  ['sync keys are revived', () => typeof baileys.proto.Message.AppStateSyncKeyData.fromObject === 'function'],
  ['stanzas are encoded at once', () => Buffer.isBuffer(baileys.encodeBinaryNode({ tag: 'iq', attrs: {} }))],
  ['the handshake is the one we answer', () => baileys.NOISE_MODE.startsWith('Noise_XX_25519_AESGCM_SHA256')],
])('what our fake and our storage rest on: %s', (name, holds) => {
  expect(holds(), `${LIBRARY} changed: no longer true that ${name}`).toBe(true);
});

test('the installed version is exactly the pinned one', () => {
  const pinned = z.object({ dependencies: z.record(z.string(), z.string()) }).parse(JSON.parse(read('package.json')));
  const version = pinned.dependencies[LIBRARY];
  expect(version, `${LIBRARY} must be pinned to one version, without ^ or ~`).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
  const installed = z.object({ version: z.string() }).parse(JSON.parse(read(`node_modules/${LIBRARY}/package.json`)));
  expect(installed.version, `another ${LIBRARY} is installed than package.json names; run \`npm ci\``).toBe(version);
});
