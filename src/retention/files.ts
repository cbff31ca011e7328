// Files that belong to rows go with them: histories of sessions without a run, what people sent, what waited to be sent. What lies in folders of
// containers is reached by its exact name and through core/files.ts alone: nothing there is listed, no link is followed.
import { opendir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { inFolder, removeEntry } from '../core/files.js';
import { archiveName, inboxName } from '../wire.js';
import type { RetentionRows } from './rows.js';

export interface FileDeps {
  store: { retention: RetentionRows; outbox: { waitingFiles(): string[] } };
  config: { dataDir: string; groupsDir: string };
}

/** Sessions of one run: nobody goes on in them once it is gone. */
const OF_ONE_RUN = /^(task\d+|replay)-[\d-]+$/;

/** The folder may be gone, or a link that a container put there: then there is nothing to do. */
function removeFrom(root: string, path: string, names: string[]): void {
  try {
    inFolder(root, path, (folder) => {
      for (const name of names) removeEntry(folder, name);
    });
  } catch {
    // What it put in the way is its own.
  }
}

/** Removes the history of a run that is gone, unless another run works in it. */
export function removeHistory(
  { store, config }: FileDeps,
  { session, folder }: { session: string; folder: string },
): void {
  if (!OF_ONE_RUN.test(session) || store.retention.hasRunIn(session)) return;
  removeFrom(config.dataDir, `sessions/${folder}`, [`${session}.jsonl`, archiveName(session)]);
}

/** Removes the group's copies of what came with a message that is gone. */
export function removeInboxFiles(
  { config }: FileDeps,
  { id, folder, media }: { id: number; folder: string; media: { fileName: string }[] },
): void {
  const names = media.map(({ fileName }, index) => inboxName(id, index, fileName));
  removeFrom(config.groupsDir, `${folder}/inbox`, names);
}

/** Files of the host's own folder that `isOver` says so of, one after the other. Returns how many went. */
async function sweep(folder: string, isOver: (name: string, ageAt: number) => boolean): Promise<number> {
  let gone = 0;
  const entries = await opendir(folder).catch(() => undefined);
  for await (const { name } of entries ?? []) {
    const path = join(folder, name);
    const changedAt = (await stat(path).catch(() => undefined))?.mtimeMs;
    if (changedAt === undefined || !isOver(name, changedAt)) continue;
    await rm(path, { force: true });
    gone += 1;
  }
  return gone;
}

/** Copies in data/media that no open run needs: of runs that failed or were stopped. A run that starts over fetches them again. */
export function sweepMedia({ store, config }: FileDeps, before: number): Promise<number> {
  const { isCarried, messageExists } = store.retention;
  return sweep(join(config.dataDir, 'media'), (name, changedAt) => {
    const id = Number.parseInt(name, 10);
    if (Number.isNaN(id)) return false;
    return !messageExists(id) || (changedAt < before && !isCarried(id));
  });
}

/** Copies of what channels sent or were given, e.g. by the page. */
export async function sweepChannelFiles({ config }: FileDeps, before: number): Promise<number> {
  const folders = await readdir(join(config.dataDir, 'files')).catch(() => []);
  let gone = 0;
  for (const name of folders) gone += await sweep(join(config.dataDir, 'files', name), (_, at) => at < before);
  return gone;
}

/** Files in data/outbox whose message is not to be sent any more. */
export function sweepOutbox({ store, config }: FileDeps, before: number): Promise<number> {
  const waiting = new Set(store.outbox.waitingFiles().map((key) => key.replace(':', '-')));
  return sweep(join(config.dataDir, 'outbox'), (name, changedAt) => changedAt < before && !waiting.has(name));
}
