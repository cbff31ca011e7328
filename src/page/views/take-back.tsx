// What the last run of a group wrote to memory, and the button that takes it back: above the files, and at that run.
import { z } from 'zod';
import { Action, Name } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked } from '../view.js';

const t = texts.memory;

const undoable = z.object({
  group: z.string(),
  run: z.number().nullable(),
  files: z.array(z.object({ path: z.string() })),
});
type Undoable = z.infer<typeof undoable> & { run: number };

/** Undefined when nothing of a run is left that could be taken back. */
export async function readUndo(asked: Asked, group: string): Promise<Undoable | undefined> {
  const undo = await asked.read(`/api/memory/undo?group=${encodeURIComponent(group)}`, undoable);
  return undo && undo.run !== null ? { ...undo, run: undo.run } : undefined;
}

export const TakeBack = ({ undo: { group, run, files } }: { undo: Undoable }) => (
  <div class="actions take-back">
    <p>
      {t.wroteLast} <a href={`/runs/${run}`}>{t.run(run)}</a>:{' '}
      <a href={`/memory?group=${encodeURIComponent(group)}`}>
        <Name of={files.map(({ path }) => path).join(', ')} />
      </a>
    </p>
    <Action
      call="POST /api/memory/undo"
      body={{ group, run }}
      label={t.takeBack}
      about={t.run(run)}
      confirm={t.takeBackSure}
    />
  </div>
);
