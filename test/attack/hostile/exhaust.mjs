// Takes as much of something as there is, until the container or this program ends.
import { spawn } from 'node:child_process';
import { leave, main, sleep } from './lib.mjs';

const KINDS = {
  /** Processes that each start two more. */
  processes: () => spawn('bash', ['-c', 'bomb() { bomb | bomb & }; bomb'], { stdio: 'ignore', detached: true }),
  /** Programs that each take memory, so that the one that is killed is not the only one. */
  memory: () => {
    const take = 'const all = []; for (;;) all.push(Buffer.alloc(16 * 1024 * 1024, 1));';
    for (let n = 0; n < 4; n += 1) spawn('node', ['-e', take], { stdio: 'ignore' });
  },
  /** What the tool has to take in. */
  output: () => spawn('bash', ['-c', 'timeout 3 yes 0123456789012345678901234567890123456789'], { stdio: 'inherit' }),
};

main(async ({ kind, ms }) => {
  KINDS[kind]();
  leave({ began: kind });
  await sleep(ms);
  return { over: kind };
});
