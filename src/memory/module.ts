// Memory files of groups: their journal, undo, and the search in them.
import { memoryApi } from './api.js';
import { type MemoryCommandDeps, memoryCommands } from './commands.js';
import { type HandOverDeps, memoryCalls } from './hand-over.js';
import { createRestores, type RestoreDeps } from './restore.js';
import { createMemorySearch } from './search.js';

type MemoryDeps = HandOverDeps & Omit<RestoreDeps, 'takeFound'> & Omit<MemoryCommandDeps, 'restores'>;

export function createMemoryModule(deps: MemoryDeps) {
  const handOver = memoryCalls(deps);
  const restores = createRestores({ ...deps, takeFound: handOver.takeFound });
  const { start, stop, routes } = restores;
  return {
    ...memoryCommands({ ...deps, restores }),
    routes: [...handOver.routes, ...routes],
    api: memoryApi({ ...deps, restores }),
    search: createMemorySearch(deps.store),
    start,
    stop,
  };
}
