// `npm start`: everything a fresh machine lacks, then the daemon in this same process, so that signals reach it directly.
// Up to date, it compares stamps and asks the engine for one image, nothing more.
import { settleReady, settleUpdate } from './lib/update-guard.mjs';

await settleUpdate('start');
// Only now it is clear which version lies here.
const { keepingWhy } = await import('./lib/failed-start.mjs');
const { root } = await import('./lib/paths.mjs');
const { endOnSignals, runCommand, SetupError } = await import('./lib/progress.mjs');
const { readSettings } = await import('./lib/settings.mjs');
const { prepareCode, prepareRuntime } = await import('./lib/setup.mjs');

await runCommand(async () => {
  const letGo = endOnSignals();
  const main = await keepingWhy(async () => {
    await prepareCode();
    const daemon = await import('../dist/main.js');
    // A wrong `.env` is told before Docker and the image take their time.
    const problem = daemon.problemOfSettings(process.env, root);
    if (problem) throw new SetupError(problem);
    await prepareRuntime(readSettings().PINCH_RUNTIME);
    return daemon.main;
  });
  // The daemon takes its own signals from here on.
  letGo();
  await main();
  settleReady();
});
