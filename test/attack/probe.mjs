// Loaded into the daemon before its own code (`--import`): tells on a socket how long its event loop was held since it was last asked.
// `pauseMs` is the longest time between two turns of the loop, `busyMs` the most that the loop's thread worked within one: on a busy
// machine a pause may be the machine's, `busyMs` is ours.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const EVERY_MS = 2;
const path = process.env.PINCH_ATTACK_PROBE;

let [last, lastWorked] = [performance.now(), worked()];
let worst = { pauseMs: 0, busyMs: 0 };

/** Processor time of this thread so far, ms. */
function worked() {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

function look() {
  const [now, sum] = [performance.now(), worked()];
  const pauseMs = Math.max(worst.pauseMs, now - last - EVERY_MS);
  worst = { pauseMs, busyMs: Math.max(worst.busyMs, sum - lastWorked) };
  [last, lastWorked] = [now, sum];
}

if (path) {
  setInterval(look, EVERY_MS).unref();
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy()).end(JSON.stringify(worst));
    worst = { pauseMs: 0, busyMs: 0 };
  });
  server.listen(path).unref();
}
