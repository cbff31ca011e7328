import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseHeartbeat } from './heartbeat.js';
import { nextSlots } from './schedule.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinch-heartbeat-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the check script prints; '' lets the model sleep. */
function beat(text?: string): string {
  if (text !== undefined) writeFileSync(join(folder, 'HEARTBEAT.md'), text);
  const script = parseHeartbeat('').check ?? '';
  const { stdout, status } = spawnSync('bash', ['-c', script], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  });
  expect(status).toBe(0);
  return stdout;
}

test('no file, an empty one, headings and comments: the model sleeps', () => {
  expect(beat()).toBe('');
  expect(beat('  \n\n')).toBe('');
  expect(beat('# Heartbeat\n\n<!-- write what I should look at -->\n')).toBe('');
});

test('a change wakes it once', () => {
  expect(beat('Look at the garden now and then.\n')).toContain('garden');
  expect(beat()).toBe('');
  expect(beat('Look at the garden and the cat.\n')).toContain('cat');
  expect(beat()).toBe('');
});

test('an open item wakes it when it is due: without a date always, with one from then on; a done one never', () => {
  beat('- [x] buy milk\n- [ ] 2999-01-01 09:00 call Ann\n');
  expect(beat()).toBe('');
  beat('- [ ] 2020-01-01 call Ann\n');
  expect(beat()).toContain('call Ann');
  expect(beat()).toContain('call Ann');
  beat('  * [ ] water the plants\n');
  expect(beat()).toContain('water');
  const today = new Date().toISOString().slice(0, 10);
  beat(`- [ ] ${today}T00:00 now\n`);
  expect(beat()).toContain('now');
  beat(`- [ ] ${today} 23:59 later\n`);
  if (new Date().toISOString().slice(11, 16) < '23:58') expect(beat()).toBe('');
});

test.each([
  ['', '*/30 8-21 * * *', 0.5],
  ['every 1h 9-12', '0 9-11 * * *', 0.5],
  ['EVERY 4h 6-24 $1', '0 6,10,14,18,22 * * *', 1],
  ['22-2', '*/30 22,23,0,1 * * *', 0.5],
  ['0-24 $0.05', '*/30 0-23 * * *', 0.05],
])('%j comes at %s', (argument, cron, budget) => {
  expect(parseHeartbeat(argument)).toMatchObject({ cron, budget });
  expect(nextSlots({ kind: 'cron', cron, timeZone: 'UTC' }, 0, 1)).toHaveLength(1);
});

test.each([
  'every 7m',
  'every 90m',
  'every 1m',
  'every 13h',
  '8',
  '8-25',
  '8-8',
  'often',
  '$x',
])('%j is refused', (argument) => {
  expect(() => parseHeartbeat(argument)).toThrow();
});
