// Loaded into the daemon before its own code (`--import`): tells on a socket how long its event loop was held since it was last asked, and
// which names it looked up. `pauseMs` is the longest time between two turns of the loop, `busyMs` the most that the loop's thread worked
// within one: on a busy machine a pause may be the machine's, `busyMs` is ours.

import dns from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';

const EVERY_MS = 2;
const path = process.env.PINCH_ATTACK_PROBE;
/** By name, or `*.` and its parent: the addresses of the first look-up, the second, and so on; the last ones stay. Others are really looked up. */
const names = JSON.parse(process.env.PINCH_ATTACK_NAMES ?? '{}');

let [last, lastWorked] = [performance.now(), worked()];
let worst = { pauseMs: 0, busyMs: 0 };
let lookedUp = [];

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

/** A name server of our own, in the place where the daemon asks the system's. */
function fakeNames() {
  const { lookup } = dns;
  dns.lookup = async (host, options) => {
    if (lookedUp.length < 5_000) lookedUp.push(host);
    const answers = names[host] ?? names[host.replace(/^[^.]*/, '*')];
    if (!answers) return lookup(host, options);
    const addresses = answers.length > 1 ? answers.shift() : answers[0];
    return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
  syncBuiltinESMExports();
}

if (path) {
  fakeNames();
  setInterval(look, EVERY_MS).unref();
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy()).end(JSON.stringify({ ...worst, lookedUp }));
    worst = { pauseMs: 0, busyMs: 0 };
    lookedUp = [];
  });
  server.listen(path).unref();
}
