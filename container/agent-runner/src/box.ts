// Entry of a server's container: opens the link, asks the host what to run, carries the program's stdin and stdout and ends with it. Knows nothing
// about what the program says.
import { spawn } from 'node:child_process';
import { Console } from 'node:console';
import { once } from 'node:events';
import http from 'node:http';
import os from 'node:os';
import type { Duplex } from 'node:stream';
import { json } from 'node:stream/consumers';
import { systemClock } from '../../../src/core/clock.js';
import { BOX_STDIN, BOX_STDOUT, type BoxOrder, boxOrder, GATEWAY_PORT } from '../../../src/wire.js';
import { openLink } from './link.js';
import { proxyEnv } from './network.js';
import { connectThrough, openTunnels } from './tunnels.js';

/** From the end of its stdin to SIGTERM, and from there to SIGKILL. */
const EOF_GRACE_MS = 2_000;
const TERM_GRACE_MS = 1_000;
/** For a host that is slow to read the last of the output, or a process left behind that holds it open. */
const LAST_READ_MS = 10_000;
/** As shells say it. */
const NOT_FOUND = 127;

/** What every program there has of the runner's own environment. */
const ENV_ALLOWED = /^(HOME|LANG|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|SSL_CERT_FILE)$/;

async function main(): Promise<void> {
  const { env, stdin, stdout } = process;
  const { port } = await openLink({ stdin, stdout, port: GATEWAY_PORT, onClosed: () => process.exit(0) });
  await openTunnels(env.PINCH_TUNNELS, port);
  const [answer] = await once(http.get({ host: '127.0.0.1', port, path: '/order' }), 'response');
  const order = boxOrder.parse(await json(answer));
  const [input, output] = await Promise.all([connectThrough(port, BOX_STDIN), connectThrough(port, BOX_STDOUT)]);
  const code = await runProgram(order, port, { input, output });
  output.end();
  // The host closes it once it has read all of it.
  await Promise.race([once(output, 'close'), systemClock.sleep(LAST_READ_MS)]);
  process.exit(code);
}

/** Resolves with its exit code; a signal counts as shells count it. */
async function runProgram({ command, env, cwd }: BoxOrder, port: number, io: { input: Duplex; output: Duplex }) {
  const [program = '', ...args] = command;
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => ENV_ALLOWED.test(name)));
  // Last: no package brings another `node` or `sh`.
  const path = `${process.env.PATH}:/server/node_modules/.bin`;
  // A process group, which can be ended whole.
  const child = spawn(program, args, { cwd, env: { ...own, PATH: path, ...proxyEnv(port), ...env }, detached: true });
  const signal = (name: NodeJS.Signals): void => signalGroup(child.pid, name);
  process.once('exit', () => signal('SIGKILL'));
  child.stdin.on('error', () => child.stdin.destroy());
  io.input.pipe(child.stdin);
  child.stdout.pipe(io.output, { end: false });
  child.stderr.pipe(process.stderr, { end: false });
  // Nobody listens any more.
  io.output.resume().on('close', () => signal('SIGKILL'));
  io.input.on('close', () => void endSlowly(signal));
  const closed = once(child, 'close');
  const exit = new Promise<number>((resolve) => {
    child.on('exit', (code, name) => resolve(code ?? 128 + (name ? os.constants.signals[name] : 0)));
    child.on('error', (error) => {
      console.error(`${program} cannot be started`, error);
      resolve(NOT_FOUND);
    });
  });
  const code = await exit;
  signal('SIGKILL');
  await Promise.race([closed.catch(() => undefined), systemClock.sleep(LAST_READ_MS)]);
  return code;
}

/** Its stdin has ended, which for most programs is the sign to go. */
async function endSlowly(signal: (name: NodeJS.Signals) => void): Promise<void> {
  await systemClock.sleep(EOF_GRACE_MS);
  signal('SIGTERM');
  await systemClock.sleep(TERM_GRACE_MS);
  signal('SIGKILL');
}

function signalGroup(pid: number | undefined, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // Gone already.
  }
}

// Standard output is the link, so nothing else may write there.
globalThis.console = new Console(process.stderr, process.stderr);
main().catch((error) => {
  console.error('fatal', error);
  process.exit(1);
});
