// When the whole database was read last, and what was found: once it is large that takes seconds, so nobody does it without a reason. The note lies
// beside the database and goes with it where it is moved.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { describeError } from '../core/errors.js';

const note = z.object({ at: z.number(), found: z.string() });

/** `found`: `ok`, or what is wrong. */
export type WholeLook = z.infer<typeof note>;

const noteFile = (dataDir: string) => join(dataDir, 'pinch.db-looked.json');

/** Returns why it could not be noted; never throws. Whose the old note was does not matter: the new one takes its place. */
export function noteLook(dataDir: string, look: WholeLook): string | undefined {
  const next = `${noteFile(dataDir)}.${process.pid}`;
  try {
    writeFileSync(next, JSON.stringify(look), { mode: 0o600 });
    renameSync(next, noteFile(dataDir));
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** Undefined when there was none, or the note cannot be read. */
export function lastLook(dataDir: string): WholeLook | undefined {
  if (!existsSync(noteFile(dataDir))) return undefined;
  try {
    return note.parse(JSON.parse(readFileSync(noteFile(dataDir), 'utf8')));
  } catch {
    return undefined;
  }
}
