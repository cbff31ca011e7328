// What Pinch takes of its machine: disk, database, backups, memory of each container. For the page.
import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../core/config.js';
import type { Containers } from '../sandbox/module.js';

export interface MachineDeps {
  config: Pick<Config, 'dataDir'>;
  containers: { pool: Pick<Containers['pool'], 'containers'>; sandbox: Pick<Containers['sandbox'], 'memoryOf'> };
}

export async function machineFacts({ config: { dataDir }, containers: { pool, sandbox } }: MachineDeps) {
  const { bavail, blocks, bsize } = await statfs(dataDir);
  const sizeOf = (path: string) =>
    stat(path).then(
      ({ size, mtimeMs }) => ({ bytes: size, at: Math.round(mtimeMs) }),
      () => undefined,
    );
  const folder = join(dataDir, 'backups');
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^pinch-[\d-]+\.db$/.test(name)).sort();
  const backups = await Promise.all(names.map(async (name) => ({ name, ...(await sizeOf(join(folder, name))) })));
  const running = pool.containers().flatMap(({ id, group }) => (id === null ? [] : [{ id, group }]));
  const memory = running.map(async ({ id, group }) => ({
    group,
    memoryBytes: (await sandbox.memoryOf?.(id)) ?? null,
  }));
  return {
    disk: { freeBytes: bavail * bsize, totalBytes: blocks * bsize },
    databaseBytes: (await sizeOf(join(dataDir, 'pinch.db')))?.bytes ?? 0,
    /** Newest first. */
    backups: backups.reverse(),
    containers: await Promise.all(memory),
  };
}
