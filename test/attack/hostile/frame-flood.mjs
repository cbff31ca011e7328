// Stops the runner in the middle of everything and writes frames of its own into the runner's stdout, which is the link.
import { openSync, writeSync } from 'node:fs';
import { leave, main, runners, sleep } from './lib.mjs';

/** `kind`: which frames; `ms`: for how long; `kill`: ends the runner afterwards. */
main(async ({ kind = 'settings', ms = 3_000, kill = false }) => {
  const [runner] = runners();
  process.kill(runner, 'SIGSTOP');
  const out = openSync(`/proc/${runner}/fd/1`, 'w');
  const frames = Buffer.concat(Array.from({ length: 500 }, () => frameOf(kind)));
  leave({ runner, kind });
  const until = Date.now() + ms;
  while (Date.now() < until) {
    writeSync(out, frames);
    await sleep(0);
  }
  if (kill) process.kill(runner, 'SIGKILL');
  await sleep(60_000);
});

function frameOf(kind) {
  if (kind === 'settings') return Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  if (kind === 'ping') return Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
  if (kind === 'one byte') return Buffer.from([0]);
  return Buffer.from('x'.repeat(9));
}
