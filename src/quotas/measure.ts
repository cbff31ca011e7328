// Asks walk.js how much lies in the folders of a group. Knows nothing about quotas beyond where counting may stop.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Config } from '../core/config.js';
import type { Group } from '../core/types.js';

const use = z.object({
  bytes: z.number(),
  /** Of all kinds, folders too. */
  files: z.number(),
  /** Something of it cannot be counted: closed folders, or nested too deep. */
  isHidden: z.boolean(),
  /** The time did not suffice: it is this at least. */
  isCut: z.boolean(),
  largest: z.array(z.object({ path: z.string(), bytes: z.number() })),
});
export type Use = z.infer<typeof use>;

/** Counting takes no longer, ms. */
const MAX_MS = 120_000;
const MEMORY_MB = 128;
const WALK = fileURLToPath(new URL('./walk.js', import.meta.url));
const start = promisify(execFile);

/** What a group's container can write to without asking: by the names that it knows. */
export function foldersOf({ groupsDir, dataDir }: Pick<Config, 'groupsDir' | 'dataDir'>, { folder, isMain }: Group) {
  const own = [
    { name: '/workspace', path: join(groupsDir, folder) },
    { name: '/sessions', path: join(dataDir, 'sessions', folder) },
  ];
  return isMain ? [...own, { name: '/global', path: join(groupsDir, 'global') }] : own;
}

/** Stops counting beyond `most`. Rejects when that process cannot work, or `signal` ended it. */
export async function measure(
  roots: { name: string; path: string }[],
  most: { bytes: number; files: number },
  signal: AbortSignal,
): Promise<Use> {
  const order = JSON.stringify({ roots, maxBytes: most.bytes, maxFiles: most.files, maxMs: MAX_MS });
  const args = [`--max-old-space-size=${MEMORY_MB}`, WALK, order];
  // Nothing of our environment: it has keys.
  const { stdout } = await start(process.execPath, args, { env: {}, signal, timeout: 2 * MAX_MS });
  return use.parse(JSON.parse(stdout));
}
