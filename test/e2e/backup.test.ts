// A backup is made while Pinch works, goes into an empty home, and what is started there knows all of it and sends nothing a second time.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { newHome, startDaemon } from './harness.js';
import { bash, chatTexts, nthReply, say, startScene, waitForRun } from './talk.js';

const script = join(import.meta.dirname, '../../scripts/pinch.mjs');

/** The command as a person types it; `input` is what a program would type. */
function pinch(home: string, args: string[], input = ''): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, PINCH_HOME: home };
    const child = execFile(process.execPath, [script, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, output: stdout + stderr }),
    );
    child.stdin?.end(input);
  });
}

const outbox = z.object({ outbox: z.array(z.object({ state: z.string(), text: z.string() })) });

test('backed up in the middle of work, restored elsewhere: everything is known, nothing is done or sent again', async () => {
  const scene = await startScene();
  scene.model.push(bash('echo remember the milk > /workspace/memory.txt'), { text: 'noted' });
  await say(scene.daemon, 'note the milk');
  await nthReply(scene.daemon, 1);
  scene.model.push(bash('sleep 600'));
  const running = await say(scene.daemon, 'something long');
  await waitForRun(scene.daemon, running, ['leased']);
  const file = join(newHome(), 'home.pinch');
  const made = await pinch(scene.daemon.home, ['backup', file, '--encrypt'], 'a passphrase\n');
  expect(made).toMatchObject({ code: 0, output: expect.stringContaining('encrypted, read again and whole') });
  expect(readFileSync(file).includes('milk')).toBe(false);
  const restore = (home: string, more: string[] = []) => pinch(home, ['restore', file, ...more], 'a passphrase\n');
  expect(await restore(scene.daemon.home, ['--force'])).toMatchObject({
    code: 1,
    output: expect.stringContaining('is running'),
  });
  await scene.daemon.kill('SIGTERM');

  const home = newHome();
  expect(await restore(home)).toMatchObject({ code: 0, output: expect.stringContaining('Set aside') });
  expect(readFileSync(join(home, 'groups/main/memory.txt'), 'utf8')).toBe('remember the milk\n');
  const calls = scene.model.requests.length;
  scene.daemon = await startDaemon({ home, env: scene.env });
  await nthReply(scene.daemon, 2);
  const [noted, told, ...more] = await chatTexts(scene.daemon, 'out');
  expect({ noted, more }).toEqual({ noted: 'noted', more: [] });
  expect(told).toContain('I was restored from the backup of');
  expect(await waitForRun(scene.daemon, running, ['cancelled'])).toBeDefined();
  expect(scene.model.requests.length).toBe(calls);

  scene.model.push({ text: 'it was milk' });
  await say(scene.daemon, 'what was it?');
  await nthReply(scene.daemon, 3);
  expect(JSON.stringify(scene.model.requests.at(-1))).toContain('note the milk');
  const { outbox: rows } = outbox.parse((await scene.daemon.api('GET', '/api/outbox')).body);
  expect(rows.filter(({ state }) => state !== 'sent')).toEqual([]);
  await scene.close();
});
