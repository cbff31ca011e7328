// The tenth set-up of README, spoken: the skill add-voice applied to a copy of this checkout, which runs with it. No speech model is at hand
// here: in the places of ffmpeg and whisper-cli are programs that read the words from the file.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROOF_MS } from '../limits.js';
import { type Checkout, createCheckout } from '../skills/checkout.js';
import { type Day, setUp, skillsIn, startDay } from './day.js';

let checkout: Checkout;
let day: Day;
const programs = mkdtempSync(join(tmpdir(), 'pinch-voice-'));
const { once, typed, answer } = setUp(10);

/** A program of Node; `args` and `fs` are there. Returns its path. */
function standIn(name: string, code: string): string {
  const path = join(programs, name);
  const head = `#!${process.execPath}\nconst fs = require('node:fs');\nconst args = process.argv.slice(2);\n`;
  writeFileSync(path, head + code, { mode: 0o755 });
  return path;
}

beforeAll(async () => {
  checkout = createCheckout([]);
  expect(checkout.skill(['apply', ...skillsIn(once(0)), '--yes', '--no-install'])).toMatchObject({ code: 0 });
  // With the image of this checkout.
  cpSync(join(import.meta.dirname, '../../dist'), join(checkout.root, 'dist'), { recursive: true });
  expect(await checkout.build()).toBe('');
  writeFileSync(join(programs, 'model.bin'), 'none');
  const settings = {
    WHISPER_MODEL: join(programs, 'model.bin'),
    WHISPER_FFMPEG: standIn('ffmpeg', `fs.copyFileSync(args[args.indexOf('-i') + 1], args.at(-1));`),
    WHISPER_CLI: standIn(
      'whisper-cli',
      `console.log(fs.readFileSync(args[args.indexOf('-f') + 1], 'utf8').replace('OggS', ' '));`,
    ),
  };
  day = await startDay({ secrets: settings, repository: checkout.root });
}, PROOF_MS);
afterAll(async () => {
  await day.close();
  checkout.close();
  rmSync(programs, { recursive: true });
});

test('10 · a voice note becomes tasks, with stand-ins for ffmpeg and the recognizer', async () => {
  const offer = { title: 'Offer', prompt: 'Ask Olga whether the offer came.', at: '2027-01-11T09:00' };
  const review = { title: 'Review', prompt: 'Remind Olga of the review.', cron: '0 10 1 * *' };
  const both = [offer, review].map((input) => ({ type: 'tool_use' as const, name: 'task_schedule', input }));
  day.scene.model.push({ content: both }, { text: answer(0) });
  await day.ask({ voice: { bytes: Buffer.from(`OggS${typed(0)}`), mimeType: 'audio/ogg' } }, answer(0));
  const heard = `<transcript by="whisper.cpp" note="made by a program, which may have misheard">${typed(0)}</transcript>`;
  expect(day.told().replaceAll('\\"', '"')).toContain(heard);
  const list = await day.ask('/tasks', 'Offer');
  expect(list).toMatch(/Offer: once \(Europe\/Berlin\), next Mon 11 Jan 2027, 09:00/);
  expect(list).toMatch(/Review: cron 0 10 1 \* \* \(Europe\/Berlin\)/);
  expect(await day.cards()).toEqual([]);
});
