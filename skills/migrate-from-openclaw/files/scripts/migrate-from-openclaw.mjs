// `node scripts/migrate-from-openclaw.mjs [~/.openclaw]`: memory, persona, group chats and cron jobs of an OpenClaw.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runMigration } from './lib/migrate-run.mjs';
import { planOfOpenClaw } from './lib/openclaw.mjs';

await runMigration(
  'node scripts/migrate-from-openclaw.mjs [folder of OpenClaw, else ~/.openclaw] [--dry-run] [--yes] [--tz <zone>]',
  ({ source = join(homedir(), '.openclaw'), ...zones }) => planOfOpenClaw(source, { ...zones, now: Date.now() }),
);
