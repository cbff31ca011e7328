// The steps every command shares, in order: packages, build, engine, image. Knows nothing about what is run afterwards.
import { ensureBuilt } from './compile.mjs';
import { ensureInstalled } from './install.mjs';
import { checkNode, readSettings } from './settings.mjs';

/** Packages and dist/ are there and up to date. Throws SetupError. */
export async function prepareCode() {
  checkNode();
  await ensureInstalled();
  await ensureBuilt();
}

/** An engine runs and has the agent image; dist/agent-image.json names it. Throws SetupError. */
export async function prepareImage() {
  const { ensureEngine } = await import('./engine-start.mjs');
  const { ensureImage } = await import('./image.mjs');
  const settings = readSettings();
  await ensureImage(await ensureEngine(settings), settings);
}
