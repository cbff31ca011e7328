// The emergency stop: a file in data/ that survives restarts. While it is there, whatever is in it, nothing is started.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function createStopSwitch(dataDir: string, now: () => number) {
  const file = join(dataDir, 'stop.json');
  let stopped = existsSync(file);
  return {
    stopped: (): boolean => stopped,
    stop(reason: string): void {
      stopped = true;
      writeFileSync(file, JSON.stringify({ reason, at: now() }), { mode: 0o600 });
    },
    resume(): void {
      rmSync(file, { force: true });
      stopped = false;
    },
  };
}
