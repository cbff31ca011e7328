// Tells the owner about rows that cannot be read, of a skill that was removed or of a newer Pinch: each once, whatever reads it how often. They are
// left out wherever rows are read (core/statements.ts), so everything else goes on.
import type { Db } from '../core/db.js';
import type { LoopDeps } from '../core/deps.js';
import { oneLine } from '../core/one-line.js';

interface BadRowDeps extends Pick<LoopDeps, 'notifyOwner'> {
  store: Pick<Db, 'badRows' | 'signals'>;
}

/** How many are told one by one; more of a table at once are one accident. */
const MAX_TOLD = 20;

export function tellBadRows({ store, notifyOwner }: BadRowDeps): void {
  const tell = () => {
    for (const { table = '?', id, problem } of store.badRows().slice(0, MAX_TOLD))
      notifyOwner(
        `bad-row:${table}:${id ?? ''}`,
        `I cannot read ${id === undefined ? 'a row' : `row ${id}`} of my table \`${table}\` (${oneLine(problem, 300)}), so I leave it out and go on with ` +
          'everything else. It may belong to a skill that was removed or to a newer version of me: with that it counts again.',
      );
  };
  // Not within the work that came upon it, which may fail and take the notice back.
  store.signals.on('bad-row', () => setImmediate(tell));
  tell();
}
