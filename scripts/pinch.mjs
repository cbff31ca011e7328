// `npm run -s pinch -- …`: the owner's commands. stdout is the command's alone.
import { runCommand } from './lib/progress.mjs';
import { prepareCode } from './lib/setup.mjs';

await runCommand(async () => {
  await prepareCode();
  const { runCli } = await import('../dist/cli.js');
  process.exitCode = await runCli(process.argv.slice(2));
});
