// Real servers from Debian for tests: installed where that harms nobody, run as nobody, with all they have in a folder of their own.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../e2e/harness.js';

/** Debian's `nobody`; a test that root does not run can be nobody else than who runs it. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** Why these programs cannot run here, in words; undefined when they can. `programs`: path → Debian package. */
export function programProblem(programs: Record<string, string>): string | undefined {
  const packages = Object.entries(programs).flatMap(([path, name]) => (existsSync(path) ? [] : [name]));
  if (packages.length === 0) return undefined;
  const missing = `missing: apt-get install ${packages.join(' ')}`;
  // Where services are started at boot, they would go on running after the tests.
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get') || existsSync('/run/systemd/system')) return missing;
  // Test files run beside each other, and apt-get does not wait for another one. Without --no-remove it would take away other servers.
  const apt = (...args: string[]) =>
    spawnSync('flock', ['/tmp/pinch-apt.lock', 'apt-get', '-q', '-y', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
      encoding: 'utf8',
    });
  apt('update');
  const { status, stderr } = apt('install', '--no-install-recommends', '--no-remove', ...packages);
  return status === 0 ? undefined : `${missing}, which failed here: ${stderr.trim()}`;
}

export interface Place {
  /** Belongs to nobody. */
  folder: string;
  /** Runs a command there to its end as nobody. Throws with what it said. */
  run(program: string, ...args: string[]): string;
  /** Starts a server there as nobody; resolves when the port of 127.0.0.1, or the socket, takes connections. */
  start(program: string, args: string[], at: number | string): Promise<void>;
  /** Ends what was started and deletes the folder. */
  close(): Promise<void>;
}

/** A folder for a server, and the server's processes. */
export function createPlace(name: string): Place {
  const folder = mkdtempSync(join(tmpdir(), `pinch-${name}-`));
  if (NOBODY.uid !== undefined) execFileSync('chown', ['65534:65534', folder]);
  chmodSync(folder, 0o700);
  const children: ChildProcess[] = [];
  const options = { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, LANG: 'C.UTF-8' }, ...NOBODY };
  const log = join(folder, 'said.log');
  return {
    folder,
    run: (program, ...args) => execFileSync(program, args, { ...options, encoding: 'utf8', stdio: 'pipe' }),
    async start(program, args, at) {
      const quoted = [program, ...args].map((one) => `'${one}'`).join(' ');
      // With its parent's end it gets the signal: a test whose set-up fails, or that is killed, closes nothing.
      const command = `exec setpriv --pdeathsig TERM ${quoted} >>said.log 2>&1`;
      const child = spawn('sh', ['-c', command], { ...options, stdio: 'ignore' });
      children.push(child);
      const answers = async () => {
        if (child.exitCode !== null) throw new Error(`${program} ended: ${readFileSync(log, 'utf8')}`);
        return takesConnections(at);
      };
      await eventually(answers, `${program} answers`);
    },
    async close() {
      await Promise.all(children.map(end));
      rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

const takesConnections = (at: number | string) =>
  new Promise<boolean>((resolve) => {
    const socket = typeof at === 'number' ? connect(at, '127.0.0.1') : connect(at);
    const done = (is: boolean) => () => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', done(true)).once('error', done(false));
  });

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}
