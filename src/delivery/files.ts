// Files on their way out: kept in data/outbox from the agent's call until they are sent or dead.
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

const TYPES: Record<string, string> = { pdf: 'application/pdf', txt: 'text/plain', csv: 'text/csv' };

export type OutboxFiles = ReturnType<typeof createOutboxFiles>;

export function createOutboxFiles(dataDir: string) {
  const folder = join(dataDir, 'outbox');
  const pathOf = (key: string): string => join(folder, key.replace(':', '-'));
  const partOf = (key: string): string => `${pathOf(key)}.part`;
  return {
    /** Where the bytes of the outbox row with this key lie. */
    pathOf,
    /** Safe to repeat. Resolves with the first piece. Rejects as `pieces` does, or when the disk takes no more. */
    async keep(key: string, pieces: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<Buffer> {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = await open(partOf(key), 'w', 0o600);
      let first: Buffer | undefined;
      try {
        for await (const piece of pieces) {
          first ??= piece;
          await file.appendFile(piece);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(partOf(key), pathOf(key));
      return first ?? Buffer.alloc(0);
    },
    /** Also what was kept in part. */
    async drop(key: string): Promise<void> {
      for (const path of [partOf(key), pathOf(key)]) await rm(path, { force: true });
    },
    /** Removes everything but what these keys name: what a crash left, and files of dead messages. Only while nothing is being kept. */
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
