// The emergency stop: a file in data/ that survives restarts. While it is there, whatever is in it, nothing is started.
import { lstatSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type StopSwitch = ReturnType<typeof createStopSwitch>;

export function createStopSwitch(dataDir: string, now: () => number) {
  const file = join(dataDir, 'stop.json');
  let stoppedAt = isThere(file) ? writtenAt(file) : undefined;
  return {
    stopped: (): boolean => stoppedAt !== undefined,
    /** Epoch ms; the same after a restart. Undefined while nothing is stopped. */
    since: (): number | undefined => stoppedAt,
    stop(reason: string): void {
      stoppedAt = now();
      writeFileSync(file, JSON.stringify({ reason, at: now() }), { mode: 0o600 });
      stoppedAt = writtenAt(file);
    },
    resume(): void {
      rmSync(file, { force: true, recursive: true });
      stoppedAt = undefined;
    },
  };
}

/** A link that leads nowhere, a folder, a place that cannot be looked at: when in doubt, stopped. */
function isThere(file: string): boolean {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

/** 0 when that cannot be seen. */
function writtenAt(file: string): number {
  try {
    return Math.floor(lstatSync(file).mtimeMs);
  } catch {
    return 0;
  }
}
