// What else people set up, beside the ten set-ups of README: files that arrive, what is remembered, a long job that is stopped, a task that fails.
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { whenBusy } from '../limits.js';
import { type Day, startDay, use } from './day.js';
import { eventually } from './harness.js';
import { bash } from './talk.js';

let day: Day;
beforeAll(async () => {
  day = await startDay();
});
afterAll(() => day.close());

test('a digest of what lands in a folder: one run per new file, its name marked as data', async () => {
  await day.ask('/hook files *.txt Summarize the new file for me in one line.', 'appears in inbox/');
  const inbox = join(day.folder, 'inbox');
  await eventually(() => existsSync(inbox), 'the inbox is watched');
  day.scene.model.push(bash('cat inbox/letter.txt'), { text: 'A letter from the bank: nothing to do.' });
  writeFileSync(join(day.folder, 'letter.txt'), 'Dear customer, nothing to do.');
  renameSync(join(day.folder, 'letter.txt'), join(inbox, 'letter.txt'));
  await day.hears('A letter from the bank');
  expect(day.told()).toContain('<untrusted source=\\"new file\\">inbox/letter.txt (29 bytes)</untrusted>');
  expect(day.told()).toContain('nothing to do.');
});

test('a second brain: noted today, known after a restart in a new conversation', async () => {
  const note = bash('echo "- The boiler was serviced in May 2026." >> /workspace/CLAUDE.md');
  day.scene.model.push(note, { text: 'Noted.' });
  await day.ask('remember: the boiler was serviced in May', 'Noted.');
  await day.restart();
  await day.ask('/new', 'New conversation');
  day.scene.model.push({ text: 'In May 2026.' });
  await day.ask('when was the boiler serviced?', 'In May 2026.');
  expect(day.prompt()).toContain('The boiler was serviced in May 2026.');
});

test('a long coding job: progress on the way, /stop ends it within two seconds', async () => {
  const progress = use('send_message', { text: 'Tests are running, this takes a while.' });
  day.scene.model.push(progress, bash('touch /workspace/job-began; sleep 300'));
  await day.ask('refactor the parser and run all tests', 'Tests are running');
  await eventually(() => existsSync(join(day.folder, 'job-began')), 'the job began');
  const began = performance.now();
  await day.ask('/stop', 'Stopped.');
  await eventually(async () => {
    const { body } = await day.scene.daemon.api('GET', '/api/status');
    return JSON.stringify(body).includes('"leased":') ? undefined : true;
  }, 'nothing works');
  expect(performance.now() - began).toBeLessThan(whenBusy(2_500));
});

test('one failing slot told the owner what to do', async () => {
  const chat = `telegram:${day.direct.id}`;
  const broken = { chat, title: 'Broken', prompt: 'x', every: '1d', check: 'echo oops >&2; exit 3' };
  const { status, body } = await day.scene.daemon.api('POST', '/api/tasks', broken);
  expect(status).toBe(201);
  const { task } = z.object({ task: z.object({ id: z.number() }) }).parse(body);
  await day.scene.daemon.api('POST', `/api/tasks/${task.id}/run`);
  await day.hears(`Task ${task.id} (Broken) failed. Reported from there: the check script failed`);
});

test('none of it led to a card', async () => {
  expect(await day.cards()).toEqual([]);
});
