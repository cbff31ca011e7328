// Streams, the corpus of ordinary text, and which values are looked for at all.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createSecrets } from './secrets.js';
import { canBeLookedFor, credentialsOf, inJson } from './values.js';

const KEY = 'sk-ant-api03-Zq7xW9bT2kL5vQ';

function masked(chunks: string[], secrets = withKey()): { text: string; names: string[]; parts: string[] } {
  const names: string[] = [];
  const mask = secrets.mask((name) => names.push(name));
  const parts = [...chunks.map((chunk) => mask.feed(Buffer.from(chunk)).toString()), mask.end().toString()];
  return { text: parts.join(''), names, parts };
}
function withKey() {
  const secrets = createSecrets();
  secrets.add('ANTHROPIC_API_KEY', KEY);
  return secrets;
}

const delta = (field: string, text: string) =>
  `event: content_block_delta\ndata: ${JSON.stringify({ type: 'content_block_delta', index: 0, delta: { type: 'x', [field]: text } })}\n\n`;

test.each(['text', 'partial_json', 'thinking'])('a secret in pieces of a model’s stream is found: %s', (field) => {
  const start = 'event: message_start\ndata: {"type":"message_start"}\n\n';
  const stop = 'event: message_stop\ndata: {"type":"message_stop"}\n\n';
  for (const size of [1, 2, 5, 11]) {
    const pieces = `say "${KEY}" please`.match(new RegExp(`.{1,${size}}`, 'gs')) ?? [];
    const { text, names } = masked([start, ...pieces.map((piece) => delta(field, piece)), stop]);
    expect(names).toEqual(['ANTHROPIC_API_KEY']);
    const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => JSON.parse(json));
    const said = events.map((event) => event.delta?.[field] ?? '').join('');
    expect(said).toMatch(/^say ".{0,3}\*+" please$/);
    expect(said).toHaveLength(`say "${KEY}" please`.length);
  }
});

test('a stream goes on at once: only what may become a secret waits', () => {
  const { parts } = masked(['hello', ' sk', '-a', 'nt-a dog', ` and ${KEY.slice(0, 12)}`, ' then']);
  expect(parts).toEqual(['hello', ' sk', '', '-ant-a dog', ' and ', `${KEY.slice(0, 12)} then`, '']);
});

test('hidden characters without end do not fill the memory', () => {
  const mask = withKey().mask(() => undefined);
  mask.feed(Buffer.from(KEY.slice(0, 9)));
  let passed = 0;
  for (let round = 0; round < 100; round += 1) passed += mask.feed(Buffer.from('\u200b'.repeat(1_000))).length;
  expect(passed).toBeGreaterThan(270_000);
});

test('the bytes of a key are found as base64 and hex', () => {
  const key = randomBytes(32);
  const secrets = createSecrets();
  secrets.add('noise key', key);
  for (const text of [
    key.toString('base64'),
    key.toString('base64url'),
    key.toString('hex'),
    `x${key.toString('hex').toUpperCase()}`,
  ])
    expect(secrets.clean(text).names).toEqual(['noise key']);
  expect(
    secrets.clean(JSON.stringify({ type: 'Buffer', data: Buffer.concat([Buffer.from('a'), key]).toString('base64') }))
      .names,
  ).toEqual(['noise key']);
});

test('a text keeps everything but the secret, and says whose it was', () => {
  const secrets = withKey();
  secrets.add('TELEGRAM_BOT_TOKEN', '123456:AAF-otherBotToken_xyz0987');
  const { text, names } = secrets.clean(`Grüße ${KEY}, 🦞 123456:AAF-otherBotToken_xyz0987.`);
  expect(text).toBe('Grüße [secret ANTHROPIC_API_KEY removed], 🦞 [secret TELEGRAM_BOT_TOKEN removed].');
  expect(names).toEqual(['ANTHROPIC_API_KEY', 'TELEGRAM_BOT_TOKEN']);
  const long = `${KEY}${randomBytes(400).toString('hex')}`;
  secrets.add('LONG', long);
  expect(secrets.clean(`a ${long} b`).text).toBe('a [secret ANTHROPIC_API_KEY removed] b');
});

test('a secret that is learned later is found from then on, and four values of a name are remembered', () => {
  const secrets = createSecrets();
  const tokens = Array.from({ length: 6 }, () => randomBytes(20).toString('base64url'));
  expect(secrets.clean(tokens.join(' ')).names).toEqual([]);
  for (const token of tokens) secrets.add('oauth', token);
  expect(tokens.map((token) => secrets.clean(token).names.length)).toEqual([0, 0, 1, 1, 1, 1]);
});

test.each([
  ['', false],
  ['short1!', false],
  ['password', false],
  ['europe-berlin', false],
  ['my-test-key', false],
  ['correct horse battery staple', true],
  ['aaaaaaaaaaaaaaaa1', false],
  ['1234567890123', false],
  ['2026-11-20', false],
  ['/home/anna/token.json', false],
  ['https://api.example.com/v1', false],
  ['hunter2-Xq', true],
  ['123456:AAF-otherBotToken_xyz0987', true],
])('%s is looked for: %s', (value, expected) => expect(canBeLookedFor(value)).toBe(expected));

test('credentials of the settings: by their names, in the owner’s file by their looks, in an address, in JSON', () => {
  const env = {
    ANTHROPIC_API_KEY: KEY,
    ANTHROPIC_BASE_URL: 'https://me:pa%20ssw0rd!@example.com/?key=abc123def456',
    PINCH_MODEL: 'claude-sonnet-5-5',
    PINCH_OWNER: 'telegram:123456789012',
    WHATSAPP_PAIRING_PHONE: '491701234567',
    NOTION: 'ntn_4f9a8b7c6d5e4f3a2b1c',
    GITHUB_SHA: '4f9a8b7c6d5e4f3a2b1c4f9a8b7c6d5e4f3a2b1c',
    SERVICE: JSON.stringify({ type: 'service_account', private_key: 'MIIEvQIBADANBgkq', client_email: 'a@b.example' }),
    PATH: '/usr/bin:/bin',
  };
  const found = credentialsOf(env, new Set(['NOTION', 'PINCH_MODEL']));
  expect(found).toEqual([
    { name: 'ANTHROPIC_API_KEY', value: KEY },
    { name: 'ANTHROPIC_BASE_URL', value: 'pa ssw0rd!' },
    { name: 'ANTHROPIC_BASE_URL', value: 'abc123def456' },
    { name: 'NOTION', value: 'ntn_4f9a8b7c6d5e4f3a2b1c' },
    { name: 'SERVICE.private_key', value: 'MIIEvQIBADANBgkq' },
  ]);
});

test('of what WhatsApp keeps of an account, the private keys and its secret', () => {
  const key = randomBytes(32);
  const buffer = { type: 'Buffer', data: key.toString('base64') };
  const creds = {
    noiseKey: { private: buffer, public: buffer },
    signedPreKey: { keyPair: { private: buffer } },
    advSecretKey: 'c2VjcmV0IG9mIDMyIGJ5dGVz',
    registrationId: 12,
  };
  expect(inJson('whatsapp', JSON.stringify(creds)).map(({ name }) => name)).toEqual([
    'whatsapp.noiseKey.private',
    'whatsapp.signedPreKey.keyPair.private',
    'whatsapp.advSecretKey',
  ]);
  expect(inJson('whatsapp', '{no json')).toEqual([]);
});

/** All source files of this checkout, those of other projects beside them, and what is random. */
function corpus(): Buffer[] {
  const files = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return entry.name === '.git' ? [] : files(path);
      return entry.isFile() && statSync(path).size < 200_000 ? [path] : [];
    });
  const root = join(import.meta.dirname, '../..');
  const own = ['src', 'test', 'docs', 'container/agent-runner/src', 'skills', 'scripts'].flatMap((folder) =>
    files(join(root, folder)),
  );
  const others = ['zod', 'pino', 'dockerode', '@anthropic-ai', 'croner', 'grammy'].flatMap((name) =>
    files(join(root, 'node_modules', name)),
  );
  const random = Array.from({ length: 200 }, () =>
    [
      randomBytes(5_000).toString('hex'),
      randomBytes(5_000).toString('base64'),
      ...Array.from({ length: 50 }, () => randomUUID()),
      createHash('sha512').update(randomBytes(8)).digest('hex'),
      randomBytes(4).join('.'),
    ].join('\n'),
  );
  const texts = [...own, ...others].map((file) => readFileSync(file));
  return [...texts, ...random.map((text) => Buffer.from(text)), randomBytes(2_000_000)];
}

test('ordinary text, code, hashes, ids and random bytes hold no secret, and how fast that was seen', () => {
  const secrets = createSecrets();
  // Of every usual kind and length, the shortest ones too.
  for (let index = 0; index < 10; index += 1) {
    secrets.add(`api${index}`, `sk-ant-api03-${randomBytes(60).toString('base64url')}`);
    secrets.add(`hex${index}`, randomBytes(20).toString('hex'));
    secrets.add(`short${index}`, randomBytes(6).toString('base64url'));
  }
  const texts = corpus();
  const names: string[] = [];
  const begun = process.cpuUsage().user;
  for (const text of texts) {
    const mask = secrets.mask((name) => names.push(`${name} in ${text.subarray(0, 100)}`));
    for (let at = 0; at < text.length; at += 65_536) mask.feed(text.subarray(at, at + 65_536));
    mask.end();
  }
  const seconds = (process.cpuUsage().user - begun) / 1_000_000;
  const megabytes = texts.reduce((sum, text) => sum + text.length, 0) / 1_000_000;
  console.info(`${megabytes.toFixed(0)} MB for 30 secrets: ${(megabytes / seconds).toFixed(0)} MB a second`);
  expect(names).toEqual([]);
});

test('a percent sign or a backslash before it hides nothing', () => {
  const secrets = createSecrets();
  const token = 'ab12cd-x9Nq7';
  secrets.add('T', token);
  const hex = Buffer.from(token).toString('hex');
  const base64 = Buffer.from(token).toString('base64');
  for (const text of [token, hex, base64, [...token].reverse().join('')])
    for (const before of ['%', '%2', '\\', '\\x', '\\u', '\\u0', '%%', '\\\\%'])
      expect(secrets.clean(before + text).names, before + text).toEqual(['T']);
  secrets.add('N', 'nrt9-uXq7');
  for (const before of ['\\', '\\\\']) expect(secrets.clean(`${before}nrt9-uXq7`).names).toEqual(['N']);
});
