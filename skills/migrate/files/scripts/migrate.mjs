// `node scripts/migrate.mjs plan.json`: brings over what a plan names, from whichever assistant it was made of.
import { readFileSync } from 'node:fs';
import { runMigration } from './lib/migrate-run.mjs';
import { SetupError } from './lib/progress.mjs';

await runMigration('node scripts/migrate.mjs <plan.json> [--dry-run] [--yes]', ({ source }) => {
  if (source === undefined) throw new SetupError('Which plan? skills/migrate/SKILL.md says what one looks like.');
  try {
    return JSON.parse(readFileSync(source, 'utf8'));
  } catch {
    // The parser's own words would print a piece of the file.
    throw new SetupError(`${source} cannot be read as JSON.`);
  }
});
