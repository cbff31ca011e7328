// The daemon as a process: where its log goes, which signals end it, and how an unknown error does.
import { type Config, isService } from '../core/config.js';
import { describeError, PinchError } from '../core/errors.js';
import { createLog, type Logger, terminal } from '../core/log.js';
import { addSettings } from '../secrets/known.js';
import { createSecrets, type Secrets } from '../secrets/secrets.js';
import { markCrashed } from './last-run.js';
import { logFile, rotatingFile, trimStartLog } from './log-file.js';

const STOP_TIMEOUT_MS = 9_000;

export interface Daemon {
  stop(): Promise<void>;
}

/** Runs until SIGTERM or SIGINT. A start that fails prints what to do and exits 1; so does an unknown error later. */
export async function runProcess(
  load: () => Config,
  start: (config: Config, log: Logger, secrets: Secrets) => Promise<Daemon>,
): Promise<void> {
  // Whatever we write is for this user alone; what a container gets is handed over to its user (sandbox/home.ts).
  process.umask(0o077);
  let dataDir: string | undefined;
  try {
    const config = load();
    dataDir = config.dataDir;
    const secrets = createSecrets();
    addSettings(secrets, config);
    const log = await openLog(config, (line) => secrets.clean(line).text);
    endOnSignals(await start(config, log, secrets), log, dataDir);
  } catch (error) {
    if (dataDir) markCrashed(dataDir, error);
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

function endOnSignals(daemon: Daemon, log: Logger, dataDir: string): void {
  let ending = false;
  const end = async (signal: string) => {
    if (ending) return;
    ending = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      markCrashed(dataDir, `it did not end within ${STOP_TIMEOUT_MS} ms of ${signal}`);
      process.exit(1);
    }, STOP_TIMEOUT_MS).unref();
    await daemon.stop();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void end(signal));
  // Whoever ends the process in the middle of it.
  process.on('exit', (code) => ending || markCrashed(dataDir, `it ended itself (code ${code})`));
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error: unknown) => {
      ending = true;
      markCrashed(dataDir, error);
      log.fatal({ err: error }, 'unknown error, exiting; leases are taken back at the next start');
      process.exit(1);
    });
  }
}
