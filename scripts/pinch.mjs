// `npm run -s pinch -- …`: the owner's commands. stdout is the command's alone.
import { settleUpdate } from './lib/update-guard.mjs';

// Whoever reads it has read enough, or the disk behind it is full.
process.stdout.on('error', ({ code, message }) => {
  if (code !== 'EPIPE') process.stderr.write(`✗ what it says cannot be written: ${message}\n`);
  process.exit(code === 'EPIPE' ? 0 : 1);
});
process.stderr.on('error', () => undefined);
await settleUpdate('command');
// Only now it is clear which version lies here.
const { runCommand } = await import('./lib/progress.mjs');
const { prepareCode } = await import('./lib/setup.mjs');

await runCommand(async () => {
  await prepareCode();
  const { runCli } = await import('../dist/cli.js');
  process.exitCode = await runCli(process.argv.slice(2));
});
