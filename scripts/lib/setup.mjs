// The steps every command shares, in order: packages, build, engine, image. Knows nothing about what is run afterwards.
import { existsSync } from 'node:fs';
import { ensureBuilt } from './compile.mjs';
import { ensureInstalled } from './install.mjs';
import { inRoot } from './paths.mjs';
import { checkNode, readSettings } from './settings.mjs';

/** Packages and dist/ are there and up to date. Throws SetupError. @param {import('./install.mjs').Extent} [wanted] */
export async function prepareCode(wanted = 'run') {
  checkNode();
  await ensureInstalled(wanted);
  await ensureBuilt();
}

/**
 * What agents run in is there: a runtime other than Docker brings a file of its own, or needs nothing. Throws SetupError.
 * @param {string | undefined} name checked by the settings
 */
export async function prepareRuntime(name = 'docker') {
  if (name === 'docker') return prepareImage();
  const file = inRoot('scripts', 'lib', `runtime-${name}.mjs`);
  if (existsSync(file)) await (await import(file)).prepare(readSettings());
}

/** An engine runs and has the agent image; dist/agent-image.json names it. Throws SetupError. */
export async function prepareImage() {
  const { ensureEngine } = await import('./engine-start.mjs');
  const { ensureImage } = await import('./image.mjs');
  const settings = readSettings();
  await ensureImage(await ensureEngine(settings), settings);
}
