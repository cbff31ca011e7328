// The emergency stop: a file in data/ that survives restarts. While it is there nothing is started; a file that cannot be
// read as "running" counts as stopped.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const stateFile = z.object({ stopped: z.boolean(), reason: z.string() });

export type StopSwitch = ReturnType<typeof createStopSwitch>;

export function createStopSwitch(dataDir: string, now: () => number) {
  const file = join(dataDir, 'stop.json');
  let stopped = readStopped(file);
  return {
    stopped: (): boolean => stopped,
    stop(reason: string): void {
      stopped = true;
      writeFileSync(file, JSON.stringify({ stopped: true, reason, at: now() }), { mode: 0o600 });
    },
    resume(): void {
      rmSync(file, { force: true });
      stopped = false;
    },
  };
}

function readStopped(file: string): boolean {
  if (!existsSync(file)) return false;
  try {
    return stateFile.parse(JSON.parse(readFileSync(file, 'utf8'))).stopped;
  } catch {
    return true;
  }
}
