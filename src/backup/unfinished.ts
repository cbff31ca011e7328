// A restore that was interrupted while it moved things into the home: the daemon must not work in a home that is half old, half new.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';

/** Where a restored home lies, written whole, until all of it is moved to its places. */
export const stagedFolder = ({ dataDir }: Pick<Config, 'dataDir'>) => join(dataDir, 'restoring');

/** Throws PinchError `restore_unfinished` for a home that must not be used. */
export function refuseUnfinished(config: Pick<Config, 'dataDir'>): void {
  if (!existsSync(stagedFolder(config))) return;
  throw new PinchError('restore_unfinished', 'a restore was interrupted, and this home is half of it', {
    hint: 'run the same `pinch restore` again: it is finished then',
  });
}
