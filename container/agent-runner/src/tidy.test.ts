import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { makePaths } from './testing/setup.js';
import { removeOldHistories, removeOldOutput } from './tidy.js';

const DAY_MS = 86_400_000;

test('old histories of single runs and old output go, what somebody may need stays, and no link is followed', () => {
  const paths = makePaths();
  const plant = (file: string, days: number) => {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, 'x');
    fs.utimesSync(file, (Date.now() - days * DAY_MS) / 1_000, (Date.now() - days * DAY_MS) / 1_000);
  };
  const names = [
    'task1-5.jsonl',
    'task1-5.archive.jsonl',
    'replay-3-1.jsonl',
    'task2-7.jsonl',
    'chat1-1.jsonl',
    'chat1-1.archive.jsonl',
  ];
  for (const name of names) plant(path.join(paths.sessions, name), 8);
  plant(path.join(paths.sessions, 'replay-4-1.jsonl'), 6);
  removeOldHistories(paths.sessions, 'chat1-1');
  expect(fs.readdirSync(paths.sessions)).toHaveLength(7);
  removeOldHistories(paths.sessions, 'task2-7');
  expect(fs.readdirSync(paths.sessions).sort()).toEqual([
    'chat1-1.archive.jsonl',
    'chat1-1.jsonl',
    'replay-4-1.jsonl',
    'task2-7.jsonl',
  ]);

  removeOldOutput(paths);
  const out = path.join(paths.workspace, '.out');
  for (const [name, days] of [
    ['chat1-1-job1.log', 31],
    ['toolu_1.txt', 31],
    ['chat1-1-job2.log', 29],
    ['kept.csv', 99],
  ] as const)
    plant(path.join(out, name), days);
  plant(path.join(paths.root, 'elsewhere.log'), 99);
  fs.symlinkSync(path.join(paths.root, 'elsewhere.log'), path.join(out, 'link.log'));
  removeOldOutput(paths);
  expect(fs.readdirSync(out).sort()).toEqual(['chat1-1-job2.log', 'kept.csv', 'link.log']);
  fs.rmSync(out, { recursive: true });
  fs.writeFileSync(out, 'a file');
  removeOldOutput(paths);
  fs.rmSync(paths.root, { recursive: true });
});
