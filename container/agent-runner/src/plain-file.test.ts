// A program in the container puts something else in the place of the files that the runner opens: no run may hang for it.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testMessage } from './testing/host.js';
import { type Bench, lastUserText, setUp } from './testing/setup.js';

let bench: Bench;
beforeEach(async () => {
  bench = await setUp([{ text: 'ok' }]);
});
afterEach(() => bench.close());

const others: Record<string, (place: string) => void> = {
  'a pipe': (place) => void execFileSync('mkfifo', [place]),
  'a folder': (place) => fs.mkdirSync(place),
  'a link to an endless device': (place) => fs.symlinkSync('/dev/zero', place),
  'a link to nothing': (place) => fs.symlinkSync('/nowhere/at/all', place),
};
const names = Object.keys(others);

describe.each(names)('%s', (name) => {
  const put = (...place: string[]) => others[name]?.(path.join(...place));

  test('in the place of memory: the run works without it', async () => {
    put(bench.paths.workspace, 'CLAUDE.md');
    put(bench.paths.global, 'CLAUDE.md');
    expect(await bench.run()).toMatchObject({ outcome: 'done', text: 'ok' });
  });

  test('in the place of the history: the run fails and says why', async () => {
    put(bench.paths.sessions, 'main-1.jsonl');
    const report = await bench.run();
    expect(report).toMatchObject({ outcome: 'failed', message: expect.stringContaining('main-1.jsonl') });
  });

  test('in the place of a file that somebody sends: the file is there, or the model is told that it is not', async () => {
    bench.host.media.set('1/0', Buffer.from('no picture'));
    const inbox = path.join(bench.paths.workspace, 'inbox');
    fs.mkdirSync(inbox);
    put(inbox, '1-0-a.png');
    put(inbox, '1-0-a.png.part');
    const media = [{ index: 0, kind: 'image' as const, fileName: 'a.png', mimeType: 'image/png', sizeBytes: 1 }];
    expect(await bench.run({ messages: [testMessage(1, 'look', { media })] })).toMatchObject({ outcome: 'done' });
    expect(lastUserText(bench)).toMatch(/not shown: not a readable PNG|could not be fetched: /);
  });
});

test('of a memory of a terabyte the beginning is read', async () => {
  const file = path.join(bench.paths.workspace, 'CLAUDE.md');
  fs.writeFileSync(file, 'Ann likes tea.');
  fs.truncateSync(file, 2 ** 40);
  expect(await bench.run()).toMatchObject({ outcome: 'done' });
  expect(JSON.stringify(bench.fake.requests[0]?.body?.system)).toContain('Ann likes tea.');
});
