// `npm start`: everything a fresh machine lacks, then the daemon in this same process, so that signals reach it directly.
// Up to date, it compares stamps and asks the engine for one image, nothing more.
import { keepingWhy } from './lib/failed-start.mjs';
import { root } from './lib/paths.mjs';
import { runCommand, SetupError } from './lib/progress.mjs';
import { readSettings } from './lib/settings.mjs';
import { prepareCode, prepareRuntime } from './lib/setup.mjs';

await runCommand(async () => {
  const main = await keepingWhy(async () => {
    await prepareCode();
    const daemon = await import('../dist/main.js');
    // A wrong `.env` is told before Docker and the image take their time.
    const problem = daemon.problemOfSettings(process.env, root);
    if (problem) throw new SetupError(problem);
    await prepareRuntime(readSettings().PINCH_RUNTIME);
    return daemon.main;
  });
  await main();
});
