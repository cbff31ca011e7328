// The daemon as a process: where its log goes, which signals end it, and how an unknown error does.
import { systemClock as clock } from '../core/clock.js';
import { type Config, isService } from '../core/config.js';
import { describeError, PinchError } from '../core/errors.js';
import { createLog, type Logger, terminal } from '../core/log.js';
import { addSettings } from '../secrets/known.js';
import { createSecrets, type Secrets } from '../secrets/secrets.js';
import { markCrashed } from './last-run.js';
import { logFile, rotatingFile, trimStartLog } from './log-file.js';

/** A service manager leaves ten seconds. */
const END_MS = 9_000;
const LOOK_MS = 50;

export interface Daemon {
  /** Rejects when the start fails; whoever stops a daemon that starts does not wait for it. */
  started: Promise<void>;
  /** Ends everything, from whatever it is doing. Rejects never; takes 8 s at most. */
  stop(): Promise<void>;
}

/**
 * Runs until SIGTERM, SIGINT, or SIGHUP of a closed terminal, which count from the start on. A start that fails prints what to do and exits 1; so
 * does an unknown error later.
 */
export async function runProcess(
  load: () => Config,
  start: (config: Config, log: Logger, secrets: Secrets) => Promise<Daemon>,
): Promise<void> {
  // Whatever we write is for this user alone; what a container gets is handed over to its user (sandbox/home.ts).
  process.umask(0o077);
  const life = createLife();
  try {
    const config = load();
    life.dataDir = config.dataDir;
    const secrets = createSecrets();
    addSettings(secrets, config);
    life.log = await openLog(config, (line) => secrets.clean(line).text);
    life.daemon = start(config, life.log, secrets);
    await (await life.daemon).started;
  } catch (error) {
    // What an end breaks off is no failure.
    if (life.isEnding) return;
    // The end of the process is no further reason.
    life.isEnding = true;
    if (life.dataDir) markCrashed(life.dataDir, error);
    const text = error instanceof Error && !(error instanceof PinchError) ? error.stack : describeError(error);
    // A pipe that is read slowly would lose the end of it.
    await new Promise((written) => process.stderr.write(`✗ ${text}\n`, written));
    process.exit(1);
  }
}

/** A file keeps it for `pinch logs`. What a service manager collects is never ended, so there the file is all. */
async function openLog(config: Config, clean: (line: string) => string): Promise<Logger> {
  trimStartLog(config.dataDir);
  const file = rotatingFile(logFile(config.dataDir));
  if (isService(config)) return createLog(config.logLevel, clean, file);
  const screen = await terminal();
  return createLog(config.logLevel, clean, {
    write(line) {
      screen.write(line);
      file.write(line);
    },
  });
}

interface Life {
  dataDir?: string;
  log?: Logger;
  daemon?: Promise<Daemon>;
  isEnding: boolean;
  /** Nothing is open any more: what still fails now is of no account. */
  isOver: boolean;
}

/** What ends the process, as soon as this was called: the signals of people and service managers, and errors that nobody caught. */
function createLife(): Life {
  const life: Life = { isEnding: false, isOver: false };
  const crashed = (error: unknown) => life.dataDir && markCrashed(life.dataDir, error);
  const end = async (signal: NodeJS.Signals) => {
    if (life.isEnding) return;
    life.isEnding = true;
    const endBy = clock.now() + END_MS;
    life.log?.info({ signal }, 'stopping');
    const late = clock.at(endBy, () => {
      crashed(`it did not end within ${END_MS} ms of ${signal}`);
      process.exit(1);
    });
    // One whose start failed meanwhile has told why.
    await life.daemon?.then(
      (daemon) => daemon.stop(),
      () => undefined,
    );
    life.isOver = true;
    late.cancel();
    life.log?.info('stopped');
    await exitClean(signal, endBy);
  };
  for (const signal of SIGNALS) process.on(signal, () => void end(signal));
  // Whoever ends the process in the middle of it.
  process.on('exit', (code) => life.isEnding || crashed(`it ended itself (code ${code})`));
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error: unknown) => {
      if (life.isOver) return;
      life.isEnding = true;
      crashed(error);
      life.log?.fatal({ err: error }, 'unknown error, exiting; leases are taken back at the next start');
      process.exit(1);
    });
  }
  return life;
}

/** SIGHUP: the terminal in which it was started is closed. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** What holds a thread of the process until the system answers: a silent name server, a network disk. */
const HOLDS_THREAD = /^(FSReq|GetAddrInfo|GetNameInfo)/;

/** `process.exit` would wait for such threads, however long that takes: the signal itself does not. */
async function exitClean(signal: NodeJS.Signals, endBy: number): Promise<void> {
  const isHeld = () => process.getActiveResourcesInfo().some((name) => HOLDS_THREAD.test(name));
  while (isHeld() && clock.now() < endBy) await clock.sleep(LOOK_MS);
  if (!isHeld()) process.exit(0);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
