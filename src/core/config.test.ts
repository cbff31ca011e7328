import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from './config.js';

const load = (environment: Record<string, string>) => loadConfig({ PINCH_HOME: '/nowhere', ...environment }, '/repo');

test.each([
  ['PINCH_OWNER', 'telegram:@olga'],
  ['PINCH_OWNER', 'whatsapp:Olga'],
  ['PINCH_OWNER', '123'],
  ['PINCH_PORT', '65536'],
  ['PINCH_MAX_CONTAINERS', '0'],
  ['PINCH_IDLE_MS', '-1'],
  ['PINCH_BUDGET_USD_DAY', 'ten'],
  ['PINCH_BUDGET_USD_MONTH', '-1'],
  ['PINCH_BUDGET_USD_RUN', '1e3'],
  ['PINCH_MODEL_PRICE', '3'],
  ['PINCH_MODEL_PRICE', '3/-1'],
  ['PINCH_MODEL_PRICE', '1/2/3/4'],
  ['PINCH_MODEL_PRICE', '$1/$2'],
  ['PINCH_UNSAFE', 'yes'],
  ['ASSISTANT_NAME', 'two words'],
  ['ANTHROPIC_BASE_URL', 'ftp://example.org'],
  ['PINCH_MODEL_FALLBACK', 'two words'],
  ['PINCH_MODEL_FALLBACK', 'claude-sonnet-5-5'],
  ['PINCH_EGRESS', 'all'],
  ['PINCH_KEEP_DAYS', '-1'],
  ['PINCH_KEEP_DAYS', '90d'],
  ['PINCH_GROUP_DISK_MB', '5GB'],
  ['PINCH_GROUP_FILES', '-1'],
  ['PINCH_MIN_FREE_MB', '0.5'],
  ['PINCH_KEEP_MESSAGES_DAYS', '1.5'],
  ['PINCH_KEEP_MESSAGES_DAYS', 'forever'],
  ['PINCH_OCI_RUNTIME', '/usr/bin/runsc'],
  ['TZ', 'Europe/Nowhere'],
])('%s=%s is refused by its name', (name, value) => {
  expect(() => load({ [name]: value })).toThrow(`${name}: use`);
});

test.each([
  ['telegram:42', { channel: 'telegram', address: '42' }],
  ['whatsapp:+491701234567', { channel: 'whatsapp', address: '491701234567' }],
  ['signal:abc', { channel: 'signal', address: 'abc' }],
])('PINCH_OWNER=%s', (value, owner) => {
  expect(load({ PINCH_OWNER: value }).owner).toEqual(owner);
});

test('a zone in the POSIX spelling is one that dates can be made with', () => {
  expect(load({ TZ: ':Europe/Berlin' }).timeZone).toBe('Europe/Berlin');
});

test('the environment wins over .env, and what is empty counts as unset', () => {
  const home = mkdtempSync(join(tmpdir(), 'pinch-config-'));
  writeFileSync(join(home, '.env'), 'PINCH_MODEL=from-file\nASSISTANT_NAME=File\nPINCH_PORT=\n');
  const config = load({ PINCH_HOME: home, ASSISTANT_NAME: 'Shell', PINCH_MODEL: '' });
  expect(config).toMatchObject({ model: 'from-file', assistantName: 'Shell', port: 7462 });
});

test('a home has one name, however it is reached, before and after it is made', () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'pinch-config-')));
  const plain = join(root, 'Bu\u0308ro (1) & $x', 'pinch');
  mkdirSync(dirname(plain));
  symlinkSync(dirname(plain), join(root, 'link'));
  const names = () =>
    [plain, join(root, 'link/pinch'), join(root, 'link/../link/pinch/')].map((path) => load({ PINCH_HOME: path }).home);
  expect(new Set(names())).toEqual(new Set([plain]));
  mkdirSync(plain);
  expect(new Set(names())).toEqual(new Set([plain]));
  symlinkSync('round', join(root, 'round'));
  expect(load({ PINCH_HOME: join(root, 'round') }).home).toBe(join(root, 'round'));
  rmSync(root, { recursive: true });
});

test('a disk that ignores case: another spelling is the same home', () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'pinch-Case-')));
  const other = join(dirname(root), basename(root).toLowerCase());
  if (existsSync(other)) expect(load({ PINCH_HOME: other }).home).toBe(root);
  else console.info('this disk tells upper and lower case apart: not tried');
  rmSync(root, { recursive: true });
});

test('the quotas of groups, and what it means that there are none', () => {
  const quotas = (env: Record<string, string>) => {
    const { groupQuota, minFreeBytes } = load(env);
    return [groupQuota.bytes, groupQuota.files, minFreeBytes];
  };
  expect(quotas({})).toEqual([5e9, 200_000, 5e8]);
  expect(quotas({ PINCH_GROUP_DISK_MB: '20', PINCH_GROUP_FILES: '7', PINCH_MIN_FREE_MB: '1' })).toEqual([2e7, 7, 1e6]);
  const none = { PINCH_GROUP_DISK_MB: '0', PINCH_GROUP_FILES: '0', PINCH_MIN_FREE_MB: '0' };
  expect(quotas(none)).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0]);
});
