// The last backup of the whole home that was read again and found whole, as noted beside the database for `pinch doctor`.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../core/config.js';

type Home = Pick<Config, 'dataDir'>;

const note = z.object({ at: z.number(), file: z.string(), bytes: z.number() });

const noteFile = ({ dataDir }: Home) => join(dataDir, 'whole-backup.json');

export function noteBackup(home: Home, made: z.infer<typeof note>): void {
  writeFileSync(noteFile(home), JSON.stringify(made), { mode: 0o600 });
}

/** Undefined when there was none, or the note cannot be read. */
export function lastBackup(home: Home): z.infer<typeof note> | undefined {
  if (!existsSync(noteFile(home))) return undefined;
  try {
    return note.parse(JSON.parse(readFileSync(noteFile(home), 'utf8')));
  } catch {
    return undefined;
  }
}
