// The agent image: its name follows from its inputs, and it is built when the engine has none of that name. This file decides;
// image-build.mjs talks to the engine about building. Knows nothing about containers.
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasImage, isRootlessDocker } from './engine.mjs';
import { bundles, dockerfile, imageFile, offlineScript, packageList } from './paths.mjs';
import { SetupError } from './progress.mjs';
import { hashOf } from './stamp.mjs';

/** @typedef {import('./engine.mjs').Engine} Engine @typedef {import('./engine.mjs').Settings} Settings */

/** The uid agents run as: the daemon's, so that files written inside are usable outside, but never root; in rootless Docker, uid 0 is the daemon's user. */
export const agentUid = () => process.getuid?.() || 1000;

/**
 * Makes sure that the engine has the agent image and that dist/agent-image.json names it. Throws SetupError.
 * @param {Engine} engine
 * @param {Settings} settings
 * @returns {Promise<string>} the tag
 */
export async function ensureImage(engine, settings) {
  // As the daemon decides it (src/sandbox/engine-kind.ts).
  const plan = planImage(settings, (await isRootlessDocker(engine)) ? 0 : agentUid());
  if (!(await hasImage(engine, plan.tag))) {
    const { buildImage } = await import('./image-build.mjs');
    await buildImage(engine, plan);
  }
  recordImage(plan.tag);
  return plan.tag;
}

/**
 * The image that belongs to this checkout as it is built now. Throws SetupError when it is not.
 * @param {Settings} settings
 * @param {number} [uid] agents run as
 * @returns {import('./image-build.mjs').ImagePlan}
 */
export function planImage(settings, uid = agentUid()) {
  if (!bundles.every(existsSync)) throw new SetupError('The agent runner is not built: run `npm run build`.');
  const authorities = extraAuthorities(settings);
  const packages = readFileSync(packageList, 'utf8').match(/^[a-z0-9].*$/gm) ?? [];
  const tag = `pinch-agent:${hashOf([dockerfile, offlineScript, ...bundles], [`${uid}`, ...packages, ...authorities]).slice(0, 12)}`;
  return { tag, uid, authorities, packages, settings };
}

/** Tells the daemon which image to start. @param {string} tag */
export function recordImage(tag) {
  const content = `${JSON.stringify({ tag })}\n`;
  if (readOr(imageFile, '') !== content) writeFileSync(imageFile, content);
}

/**
 * Certificate authorities this machine trusts beyond its system's own: NODE_EXTRA_CA_CERTS and what Debian's update-ca-certificates reads.
 * @param {Settings} settings
 * @returns {string[]} one PEM block each, no two alike; never a private key
 */
export function extraAuthorities(settings) {
  const folder = '/usr/local/share/ca-certificates';
  const local = filesIn(folder)
    .filter((name) => name.endsWith('.crt'))
    .map((name) => join(folder, name));
  const extra = settings.NODE_EXTRA_CA_CERTS;
  // Often it is just the system's whole bundle, which adds nothing to the two other sources.
  const files = extra && real(extra) !== real('/etc/ssl/certs/ca-certificates.crt') ? [extra, ...local] : local;
  const text = files.map((file) => readOr(file, '')).join('\n');
  return [...new Set(text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [])];
}

/** @param {string} path */
function real(path) {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** @param {string} folder @returns {string[]} sorted; none when it cannot be read */
function filesIn(folder) {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** @param {string} file @param {string} fallback */
function readOr(file, fallback) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return fallback;
  }
}
