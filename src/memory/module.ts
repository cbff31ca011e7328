// Memory files of groups: their journal, undo, and the search in them.
import { memoryApi } from './api.js';
import { type MemoryCommandDeps, memoryCommands } from './commands.js';
import { type HandOverDeps, memoryCalls } from './hand-over.js';
import { createRestores, type RestoreDeps } from './restore.js';
import { createMemorySearch } from './search.js';

export function createMemoryModule(deps: HandOverDeps & RestoreDeps & Omit<MemoryCommandDeps, 'restores'>) {
  const restores = createRestores(deps);
  const { start, stop, routes } = restores;
  return {
    ...memoryCommands({ ...deps, restores }),
    routes: [...memoryCalls(deps), ...routes],
    api: memoryApi({ ...deps, restores }),
    search: createMemorySearch(deps.store),
    start,
    stop,
  };
}
