// What in `.env` is probably not meant so, said without a value.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../core/config.js';
import { lineNotices, settingNotices } from './settings-check.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pinch-settings-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const repository = join(import.meta.dirname, '../..');
function notices(...lines: string[]): string[] {
  writeFileSync(join(home, '.env'), lines.join('\n'));
  return settingNotices({ ...loadConfig({ PINCH_HOME: home }, repository) });
}

test.each([
  ['PINCH_MODLE=claude-opus-5-5', 'PINCH_MODEL'],
  ['ANTROPIC_API_KEY=sk-canary', 'ANTHROPIC_API_KEY'],
  ['ANTHROPIC_APIKEY=sk-canary', 'ANTHROPIC_API_KEY'],
  ['pinch_port=7000', 'PINCH_PORT'],
  ['TELEGRAM_TOKEN=1:canary', 'TELEGRAM_BOT_TOKEN'],
  ['WHATSAPP_ENABLE=1', 'WHATSAPP_ENABLED'],
  ['PINCH_BUDGET_DAY=3', 'PINCH_BUDGET_USD_DAY'],
  ['PINCH_BUDGET_USD_GRUOP_DAY=3', 'PINCH_BUDGET_USD_GROUP_DAY'],
  ['ASISTANT_NAME=Bo', 'ASSISTANT_NAME'],
  ['SLACK_BOT_TOKN=canary', 'SLACK_BOT_TOKEN'],
])('a name that nothing reads, near one that counts: %s', (line, meant) => {
  const [notice, ...more] = notices(line);
  expect(notice).toContain(`did you mean ${meant}?`);
  expect(notice).toContain(line.split('=')[0]);
  expect(more).toEqual([]);
  expect(notice).not.toContain('canary');
});

test('names that are read, or that are nobody’s business, are no mistake', () => {
  const fine = [
    'PINCH_PORT=7000',
    'TZ=Europe/Berlin',
    'SLACK_APP_TOKEN=x',
    'DOCKER_HOST=unix:///x',
    'https_proxy=http://x',
    'MY_TRACKER=secret',
    'GITHUB_TOKEN=x',
  ];
  expect(notices(...fine, 'TRACKER_TOKN=x')).toEqual([]);
  const api = { kind: 'http', url: 'https://api.example', auth: { bearer: 'TRACKER_TOKEN' }, groups: ['main'] };
  writeFileSync(join(home, 'services.json'), JSON.stringify({ api }), { mode: 0o600 });
  expect(notices(...fine, 'TRACKER_TOKN=x')).toEqual([expect.stringContaining('did you mean TRACKER_TOKEN?')]);
  expect(notices('TRACKER_TOKEN=x')).toEqual([]);
  expect(notices('PINCH_COLOUR=red')).toEqual([expect.stringContaining('nothing reads PINCH_COLOUR')]);
  expect(notices('PINCH_HOME=/x')).toEqual([expect.stringContaining('counts only in the environment')]);
});

test.each([
  ['PINCH_PORT 7000', 'line 1 sets nothing: it has no ='],
  ['PINCH_PORT: 7000', 'line 1 sets nothing: it has no ='],
  ['=7000', 'no name before'],
  ['PINCH PORT=7000', 'the name "PINCH PORT" has a blank in it'],
  ['MY KEY = x', 'the name "MY KEY" has a blank in it'],
  ['PINCH-PORT=7000', '"PINCH-PORT" is no name'],
  ['\n\nPINCH_PORT=1\nPINCH_PORT=2', 'line 4 sets PINCH_PORT again'],
  ['ASSISTANT_NAME="Bo', 'the quotes around the value of ASSISTANT_NAME'],
  ['ASSISTANT_NAME=“Bo”', 'the quotes around the value of ASSISTANT_NAME'],
  ['A="one\ntwo"\nB C=1', 'line 3 sets nothing: the name "B C"'],
  ['MAIL_PASSWORD=pa#ss', 'the value of MAIL_PASSWORD ends before its #'],
  ['ANTHROPIC_API_KEY=sk ant', 'the value of ANTHROPIC_API_KEY has a blank'],
  ['ANTHROPIC_API_KEY="sk-ant\u00a0"', 'the value of ANTHROPIC_API_KEY has a blank'],
  ['TELEGRAM_BOT_TOKEN=1:ab…', 'the value of TELEGRAM_BOT_TOKEN has a blank'],
])('a line that is none: %j', (text, notice) => {
  expect(lineNotices(text)).toEqual([expect.stringContaining(notice)]);
});

test('lines as they should be', () => {
  const text = `\uFEFF# remark: none\r\nA=1\r\nexport B = 2 # why\n C='x y' \nD="a\n\nb c=d"\nE=it's\nF=\nG="x" # quoted\nMAIL_PASSWORD=ab cd ef\nH_TOKEN=x\t# why\nI_KEY="-----BEGIN KEY-----\nx y"\nJ="#1"`;
  expect(lineNotices(text)).toEqual([]);
});

test('a limit above the one that ends everything before is told, where the owner set it', () => {
  expect(notices('PINCH_BUDGET_USD_GROUP_DAY=20')).toEqual([
    'PINCH_BUDGET_USD_GROUP_DAY ($20) is above PINCH_BUDGET_USD_DAY ($10), which ends everything before',
  ]);
  expect(notices('PINCH_BUDGET_USD_DAY=200')).toEqual([expect.stringContaining('PINCH_BUDGET_USD_MONTH ($100)')]);
  expect(notices('PINCH_BUDGET_USD_RUN=7.5')).toEqual([expect.stringContaining('PINCH_BUDGET_USD_GROUP_DAY ($5)')]);
  expect(notices('PINCH_BUDGET_USD_DAY=3', 'PINCH_BUDGET_USD_GROUP_DAY=3')).toEqual([]);
  expect(notices('PINCH_BUDGET_USD_DAY=3')).toEqual([]);
});

test.each([
  '+49 170 1234567',
  '0049 170/12 34 567',
  '+49 (0) 170 123-4567',
  '491701234567',
  ' +49.170.1234567 ',
])('a number as people write it: %s', (number) => {
  expect(loadConfig({ PINCH_OWNER: `whatsapp:${number}` }, home).owner).toEqual({
    channel: 'whatsapp',
    address: '491701234567',
  });
});

test.each([
  'whatsapp:',
  'whatsapp:anna',
  'telegram:@anna',
  'telegram:12 a',
  'whatsapp:+49 170 abc',
])('what is no number is refused: %s', (owner) => {
  expect(() => loadConfig({ PINCH_OWNER: owner }, home)).toThrow('PINCH_OWNER');
});

test.each([
  ['a mark before the first line', '\uFEFFPINCH_PORT=7000'],
  ['ends of lines of an old Mac', 'TZ=UTC\rPINCH_PORT=7000\rASSISTANT_NAME=Bo'],
  ['export and two blanks', 'export  PINCH_PORT = 7000 '],
  ['tabs', '\tPINCH_PORT=\t7000 \t'],
  ['export and a tab', 'export\tPINCH_PORT=7000'],
  ['a sign before the number', 'PINCH_PORT=+7000'],
  ['a blank within the number', 'PINCH_PORT=7 000'],
])('what an editor or a person writes counts: %s', (_name, text) => {
  writeFileSync(join(home, '.env'), text);
  expect(loadConfig({ PINCH_HOME: home }, repository).port).toBe(7_000);
});

test.each([
  ['+5', 5],
  ['$ 7.50', 7.5],
  ['1 000', 1_000],
  ['1\u00a0000', 1_000],
  ['12_000.5', 12_000.5],
])('an amount as people write it: %s', (text, usd) => {
  expect(loadConfig({ PINCH_BUDGET_USD_DAY: text }, home).budgets.day).toBe(usd * 1_000_000);
});

test.each(['5,50', '1 00', '-5', '1 0000', '5 000 00', '+'])('what could be two amounts is none: %s', (text) => {
  expect(() => loadConfig({ PINCH_BUDGET_USD_DAY: text }, home)).toThrow('PINCH_BUDGET_USD_DAY');
});
