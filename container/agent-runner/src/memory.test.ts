import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { killedForMemory } from './memory.js';

test('the count of either version of control groups is read; where there is none nothing is claimed', () => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'pinch-memory-'));
  const file = (name: string, text: string) => {
    fs.writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const missing = path.join(folder, 'missing');
  const second = file('memory.events', 'low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 0\n');
  const first = file('memory.oom_control', 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n');
  expect(killedForMemory([second, missing])).toBe(3);
  expect(killedForMemory([missing, first])).toBe(2);
  expect(killedForMemory([missing, file('empty', '')])).toBe(0);
  expect(killedForMemory([missing, missing])).toBe(0);
});
