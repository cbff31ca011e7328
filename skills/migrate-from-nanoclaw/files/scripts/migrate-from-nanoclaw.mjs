// `node scripts/migrate-from-nanoclaw.mjs <its folder>`: groups with their memory, registered chats and scheduled tasks of a NanoClaw.

import { runMigration } from './lib/migrate-run.mjs';
import { planOfNanoClaw } from './lib/nanoclaw.mjs';
import { SetupError } from './lib/progress.mjs';

await runMigration(
  'node scripts/migrate-from-nanoclaw.mjs <folder of NanoClaw> [--dry-run] [--yes] [--tz <zone>]',
  ({ source, ...zones }) => {
    if (source === undefined) throw new SetupError('Where is NanoClaw? Give its folder, such as ~/nanoclaw.');
    return planOfNanoClaw(source, { ...zones, now: Date.now() });
  },
);
