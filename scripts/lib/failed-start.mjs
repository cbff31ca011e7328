// Why a start ended before the daemon ran, for who asks later (`pinch status`, `/status`): nobody may see what a service writes to its terminal.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { homeFolder } from './settings.mjs';

/**
 * Does the work of a start and keeps why it fails, which src/ops/last-run.ts reads.
 * @template T
 * @param {() => Promise<T>} work
 */
export async function keepingWhy(work) {
  try {
    return await work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    try {
      writeFileSync(join(homeFolder(), 'data', 'failed-start.json'), JSON.stringify({ error: why }), { mode: 0o600 });
    } catch {
      // A home that was never used has no place for it; who starts the first time sees it.
    }
    throw error;
  }
}
