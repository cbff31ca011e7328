// `npm run bench`: the set-up of the tests, then test/bench/main.ts with the arguments given here. Knows nothing about what is measured.
import { join } from 'node:path';
import { dist, inRoot } from './lib/paths.mjs';
import { runCommand, runLoudly } from './lib/progress.mjs';
import { prepareCode, prepareImage } from './lib/setup.mjs';

await runCommand(async () => {
  await prepareCode('all');
  await prepareImage();
  const { build } = await import('esbuild');
  // As deep below the repository as the source, so that paths relative to the file mean the same.
  const outdir = join(dist, 'bench');
  await build({
    entryPoints: [inRoot('test', 'bench', 'main.ts'), inRoot('test', 'bench', 'floor-bot.ts')],
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
  });
  process.exitCode = await runLoudly(process.execPath, [join(outdir, 'main.mjs'), ...process.argv.slice(2)]);
});
