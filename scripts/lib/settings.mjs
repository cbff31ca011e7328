// The few settings set-up itself needs. The daemon checks all of them in src/core/config.ts; nothing is refused here.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { root } from './paths.mjs';
import { SetupError } from './progress.mjs';

/** Throws SetupError when this Node is too old for the daemon. */
export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new SetupError(
    `Pinch needs Node 20.19 or newer (this is ${process.version}): install Node 24 from https://nodejs.org.`,
  );
}

/** Root of what is the owner's: `groups/`, `data/`, `.env`, services.json. */
export const homeFolder = () => resolve(process.env.PINCH_HOME || root);

/**
 * The process environment over the home's `.env`; empty values count as unset.
 * @returns {Record<string, string | undefined>}
 */
export function readSettings() {
  const file = join(homeFolder(), '.env');
  /** @type {Record<string, string | undefined>} */
  const settings = existsSync(file) ? parseEnv(readFileSync(file, 'utf8').replace(/^\uFEFF/, '')) : {};
  for (const [name, value] of Object.entries(process.env)) if (value) settings[name] = value;
  for (const [name, value] of Object.entries(settings)) if (!value) delete settings[name];
  return settings;
}
