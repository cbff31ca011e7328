// Two Pinches beside each other on one engine: each has its home, its port and its containers.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { containersOf, type DaemonProcess, eventually, newHome, spawnDaemon, startDaemon } from './harness.js';
import { nthReply, say } from './talk.js';

const root = join(import.meta.dirname, '../..');

/** What runs of a checkout, under a path with a blank and an umlaut. */
function secondCheckout(): string {
  const place = join(mkdtempSync(join(tmpdir(), 'pinch-checkout-')), 'zweite Übung');
  for (const name of ['dist', 'package.json', 'container', 'groups'])
    cpSync(join(root, name), join(place, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
  return place;
}

/** The command line in another home: what it prints where it fails. */
async function pinch(env: Record<string, string>, ...args: string[]): Promise<string> {
  const program = `import('./dist/cli.js').then(({ runCli }) => runCli(${JSON.stringify(args)})).then((code) => { process.exitCode = code; })`;
  const ran = promisify(execFile)(process.execPath, ['-e', program], { cwd: root, env: { ...process.env, ...env } });
  return ran.then(
    ({ stdout }) => stdout,
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );
}

const ids = async ({ home }: DaemonProcess) => (await containersOf(home)).map(({ Id }) => Id);

test('each keeps its own containers, whatever becomes of the other', async () => {
  const second = secondCheckout();
  const one = await startDaemon();
  const other = await startDaemon({ repository: second, home: newHome() });
  for (const daemon of [one, other]) {
    await say(daemon, 'hello');
    await nthReply(daemon, 1);
  }
  const [ofOne, ofOther] = [await ids(one), await ids(other)];
  expect([ofOne.length, ofOther.length]).toEqual([1, 1]);
  // A third one in the same home has no chance, and says why.
  const third = await spawnDaemon({ home: one.home });
  expect((await third.exited).code).toBe(1);
  expect(third.stderr()).toMatch(/another Pinch is running on .*stop it first/s);
  expect(await ids(one)).toEqual(ofOne);

  await other.kill('SIGKILL');
  await eventually(async () => (await ids(other)).length === 0, 'the other’s are gone');
  expect(await ids(one)).toEqual(ofOne);
  // Another start of the other looks for what was left of it: still only its own.
  const again = await startDaemon({ home: other.home, repository: second });
  expect(await ids(one)).toEqual(ofOne);
  await say(one, 'still there?');
  await nthReply(one, 2);
  await again.kill('SIGTERM');
  await one.kill('SIGTERM');
});

test('the same port: the second says whose it is and what to do, and the first goes on', async () => {
  const one = await startDaemon();
  const PINCH_PORT = String(one.port);
  const home = newHome();
  const second = await spawnDaemon({ home, env: { PINCH_PORT } });
  expect((await second.exited).code).toBe(1);
  expect(second.stderr()).toMatch(new RegExp(`cannot listen on 127\\.0\\.0\\.1:${PINCH_PORT}: .*PINCH_PORT`, 's'));
  expect(await pinch({ PINCH_HOME: home, PINCH_PORT }, 'status')).toMatch(
    /the Pinch of another home answers.*PINCH_PORT/s,
  );
  await say(one, 'hello');
  await nthReply(one, 1);
  // It is told afterwards too, once the port is another.
  const after = await startDaemon({ home });
  const status = await pinch({ PINCH_HOME: home, PINCH_PORT: String(after.port) }, 'status');
  expect(status).toMatch(
    new RegExp(`The start before this one failed: cannot listen on 127\\.0\\.0\\.1:${PINCH_PORT}`),
  );
  await after.kill('SIGTERM');
  await one.kill('SIGTERM');
});

test('a proxy that is set and not used is said at the start', async () => {
  const daemon = await startDaemon({ env: { HTTPS_PROXY: 'http://user:secret@proxy.example:3128' } });
  const line = await daemon.waitForLog(({ msg }) => `${msg}`.includes('proxies are not used'));
  expect(line).toMatchObject({ variables: ['HTTPS_PROXY'], hint: expect.any(String) });
  expect(JSON.stringify(daemon.logs)).not.toContain('secret@');
  await daemon.kill('SIGTERM');
});
