// The emergency stop: a file in data/ that survives restarts. While it is there, whatever is in it, nothing is started.
import { lstatSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type StopSwitch = ReturnType<typeof createStopSwitch>;

export function createStopSwitch(dataDir: string, now: () => number) {
  const file = join(dataDir, 'stop.json');
  let stopped = isThere(file);
  return {
    stopped: (): boolean => stopped,
    stop(reason: string): void {
      stopped = true;
      writeFileSync(file, JSON.stringify({ reason, at: now() }), { mode: 0o600 });
    },
    resume(): void {
      rmSync(file, { force: true, recursive: true });
      stopped = false;
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
