// Folders of servers below data/mcp: what a container wrote into them is measured and read without following a link, and never run.
import type { Dirent } from 'node:fs';
import fs from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.js';
import { createEntry, inFolder, listFolder, openEntry, statEntry } from '../core/files.js';

const MAX_ENTRIES = 20_000;
/** Looked at without a pause, and for so long: everything else of this process waits meanwhile. */
const SLICE = 500;
const SLICE_MS = 10;

export interface Sizes {
  bytes: number;
  files: number;
}

/** What lies in the folder; ends early once it is more than `most`. */
export async function measure(clock: Clock, root: string, path: string, most: Sizes): Promise<Sizes> {
  const sum = { bytes: 0, files: 0 };
  const folders = [path];
  let pausedAt = clock.now();
  for (const place of folders) {
    const entries = orNone(() => inFolder(root, place, (folder) => listFolder(folder, MAX_ENTRIES)));
    for (let at = 0; at < entries.length; at += SLICE) {
      const slice = entries.slice(at, at + SLICE);
      sum.bytes += orNone(() =>
        inFolder(root, place, (folder) => slice.map(({ name }) => statEntry(folder, name)?.size ?? 0)),
      ).reduce((a, b) => a + b, 0);
      if (clock.now() - pausedAt > SLICE_MS) {
        await clock.sleep(1);
        pausedAt = clock.now();
      }
    }
    sum.files += entries.length;
    folders.push(...entries.filter((entry: Dirent) => entry.isDirectory()).map(({ name }) => `${place}/${name}`));
    if (sum.bytes > most.bytes || sum.files > most.files) break;
  }
  return sum;
}

/** A folder that is gone, or exchanged, has nothing. */
function orNone<T>(look: () => T[]): T[] {
  try {
    return look();
  } catch {
    return [];
  }
}

/** The text of a file in the folder; undefined when it is none, or too large. */
export const readText = (root: string, path: string, name: string, maxBytes: number): string | undefined =>
  inFolder(root, path, (folder) =>
    openEntry(folder, name, (fd, stat) =>
      stat.isFile() && stat.size <= maxBytes ? fs.readFileSync(fd, 'utf8') : undefined,
    ),
  );

export const writeTexts = (root: string, path: string, texts: Record<string, string>): void =>
  inFolder(root, path, (folder) => {
    for (const [name, text] of Object.entries(texts)) createEntry(folder, name, text);
  });

/** Names in the folder of one server. */
export const namesIn = (root: string, path: string): string[] =>
  inFolder(root, path, (folder) => listFolder(folder, MAX_ENTRIES).map(({ name }) => name), { make: true });

/** No container works in it any more. Nothing a link leads to is touched. */
export const removeFolder = (root: string, path: string): Promise<void> =>
  rm(join(root, path), { recursive: true, force: true });
