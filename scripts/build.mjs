// `npm run build [-- --if-needed]`: everything in dist/. Knows nothing about Docker.
import { build, ensureBuilt } from './lib/compile.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { runCommand } from './lib/progress.mjs';
import { checkNode } from './lib/settings.mjs';

await runCommand(async () => {
  checkNode();
  await ensureInstalled('run');
  await (process.argv.includes('--if-needed') ? ensureBuilt() : build());
});
