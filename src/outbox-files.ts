// Files on their way out: kept in data/outbox from the agent's call until they are sent or given up.
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
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
    /** Bytes that lie here under these keys. */
    async bytesOf(keys: string[]): Promise<number> {
      const sizes = keys.map((key) =>
        stat(pathOf(key)).then(
          ({ size }) => size,
          () => 0,
        ),
      );
      return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    },
    /** Removes everything but what these keys name: what a crash left, and what was given up. Only while nothing is being kept. */
    async sweep(keys: string[]): Promise<void> {
      const kept = new Set(keys.map(pathOf));
      const names = await readdir(folder).catch(() => []);
      const paths = names.map((name) => join(folder, name)).filter((path) => !kept.has(path));
      await Promise.all(paths.map((path) => rm(path, { force: true })));
    },
  };
}

/** By the first bytes for pictures, else by the name. */
export function mimeTypeOf(fileName: string, bytes: Buffer): string {
  const start = bytes.toString('latin1', 0, 8);
  if (start.startsWith('\x89PNG\r\n')) return 'image/png';
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return TYPES[fileName.split('.').at(-1)?.toLowerCase() ?? ''] ?? 'application/octet-stream';
}
