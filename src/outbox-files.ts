// Files on their way out: kept in data/outbox from the agent's call until they are sent or given up.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const TYPES: Record<string, string> = { pdf: 'application/pdf', txt: 'text/plain', csv: 'text/csv' };

export type OutboxFiles = ReturnType<typeof createOutboxFiles>;

export function createOutboxFiles(dataDir: string) {
  const folder = join(dataDir, 'outbox');
  const pathOf = (key: string): string => join(folder, key.replace(':', '-'));
  return {
    /** Where the bytes of the outbox row with this key lie. */
    pathOf,
    /** Safe to repeat. */
    async keep(key: string, bytes: Buffer): Promise<void> {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(`${pathOf(key)}.part`, bytes, { mode: 0o600, flush: true });
      await rename(`${pathOf(key)}.part`, pathOf(key));
    },
    drop: (key: string): Promise<void> => rm(pathOf(key), { force: true }),
  };
}

/** By the first bytes for pictures, else by the name. */
export function mimeTypeOf(fileName: string, bytes: Buffer): string {
  const start = bytes.toString('latin1', 0, 8);
  if (start.startsWith('\x89PNG\r\n')) return 'image/png';
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return TYPES[fileName.split('.').at(-1)?.toLowerCase() ?? ''] ?? 'application/octet-stream';
}
