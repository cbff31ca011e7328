// What the daemon knows of updates: which build it is itself, and what the owner has to be told of one that was taken back.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { LoopDeps } from '../core/deps.js';

interface ToldDeps extends Pick<LoopDeps, 'notifyOwner'> {
  config: { dataDir: string };
}

const note = z.object({ at: z.number(), text: z.string() });

/** Tells the owner what scripts/lib/update-switch.mjs noted; once, whenever this process ends. */
export function tellUpdate({ config, notifyOwner }: ToldDeps): void {
  const file = join(config.dataDir, 'updated.json');
  const { at, text } = noted(file);
  if (text) notifyOwner(`update:${at}`, text);
  rmSync(file, { force: true });
}

function noted(file: string): { at: number; text: string } {
  try {
    return note.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // There was none, or a power cut left half of it: the terminal has said it as well.
    return { at: 0, text: '' };
  }
}

/** The stamp of dist/; undefined where the sources run without one. */
export function buildOf(repository: string): string | undefined {
  try {
    return readFileSync(join(repository, 'dist', '.build'), 'utf8').trim();
  } catch {
    return undefined;
  }
}
