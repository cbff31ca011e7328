// `npm start`: everything a fresh machine lacks, then the daemon in this same process, so that signals reach it directly.
// Up to date, it compares stamps and asks the engine for one image, nothing more.
import { keepingWhy } from './lib/failed-start.mjs';
import { endOnSignals, runCommand, SetupError } from './lib/progress.mjs';
import { readSettings } from './lib/settings.mjs';
import { prepareCode, prepareRuntime } from './lib/setup.mjs';

await runCommand(async () => {
  const letGo = endOnSignals();
  await keepingWhy(async () => {
    await prepareCode();
    await checkSettings();
    await prepareRuntime(readSettings().PINCH_RUNTIME);
  });
  const { main } = await import('../dist/main.js');
  // The daemon takes its own signals from here on.
  letGo();
  await main();
});

/** A wrong `.env` is told before Docker and the image take their time. Throws SetupError. */
async function checkSettings() {
  const [{ loadConfig }, { describeError }, { root }] = await Promise.all([
    import('../dist/core/config.js'),
    import('../dist/core/errors.js'),
    import('./lib/paths.mjs'),
  ]);
  try {
    loadConfig(process.env, root);
  } catch (error) {
    throw new SetupError(describeError(error), '', { cause: error });
  }
}
