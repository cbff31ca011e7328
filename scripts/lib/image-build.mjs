// Builds the agent image through the engine's API (no docker command needed): on the registry's Node image, or on the offline base
// where no registry answers. Loaded only when there is something to build. Knows nothing about the daemon.
import { chmodSync, copyFileSync, createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import Docker from 'dockerode';
import { isDebian } from './debian.mjs';
import { hasImage } from './engine.mjs';
import { removeOldImages } from './image-prune.mjs';
import { bundles, dockerfile, offlineScript, packageList } from './paths.mjs';
import { oneLine, runQuietly, SetupError, say, telling } from './progress.mjs';
import { hashOf } from './stamp.mjs';

/**
 * @typedef {import('./engine.mjs').Engine} Engine
 * @typedef {{ tag: string, uid: number, authorities: string[], packages: string[], settings: import('./engine.mjs').Settings }} ImagePlan
 * `authorities`: certificates in PEM; `packages`: Debian packages that skills add.
 */

const registryBase = 'node:24-bookworm-slim';
const REGISTRY_ANSWER_MS = 15_000;

/**
 * Builds `plan.tag`; a second call is harmless. Throws SetupError with the build's last lines.
 * @param {Engine} engine
 * @param {ImagePlan} plan
 */
export async function buildImage(engine, plan) {
  const docker = new Docker(engine);
  const base = await ensureBase(engine, docker, plan.packages);
  say(`Building the agent image on ${base}…`);
  const folder = mkdtempSync(join(tmpdir(), 'pinch-image-'));
  try {
    fillContext(folder, plan.authorities);
    const body = await docker.buildImage(
      { context: folder, src: ['Dockerfile', 'packages.txt', ...bundles.map((file) => basename(file)), 'ca'] },
      buildOptions(base, plan),
    );
    await finished(docker, body, 'The agent image could not be built');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  try {
    await removeOldImages(docker, [plan.tag, base], Date.now());
  } catch (error) {
    say(`Images of earlier versions could not be removed: ${String(error)}`);
  }
}

/**
 * Puts what the Dockerfile copies, and the Dockerfile itself, into a folder.
 * @param {string} folder
 * @param {string[]} authorities
 */
export function fillContext(folder, authorities) {
  copyFileSync(dockerfile, join(folder, 'Dockerfile'));
  copyFileSync(packageList, join(folder, 'packages.txt'));
  for (const file of bundles) copyFileSync(file, join(folder, basename(file)));
  // The engine keeps the mode, whatever our umask made of it.
  chmodSync(join(folder, 'pinch.cjs'), 0o755);
  mkdirSync(join(folder, 'ca'));
  // update-ca-certificates takes one certificate a file, Node takes one file with all of them.
  for (const [index, pem] of authorities.entries()) writeFileSync(join(folder, 'ca', `${index}.crt`), `${pem}\n`);
  writeFileSync(join(folder, 'ca', 'all.pem'), `${authorities.join('\n')}\n`);
}

/**
 * @param {string} base
 * @param {ImagePlan} plan
 */
function buildOptions(base, plan) {
  return { t: plan.tag, buildargs: { BASE: base, ...buildArguments(plan) }, rm: true, forcerm: true };
}

/**
 * What the Dockerfile asks for, but for its base.
 * @param {ImagePlan} plan
 * @returns {Record<string, string>}
 */
export function buildArguments({ uid, authorities, settings }) {
  const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
  return {
    AGENT_UID: String(uid),
    EXTRA_CA: authorities.length > 0 ? '/usr/local/share/ca-certificates/pinch/all.pem' : '',
    ...Object.fromEntries(proxies.flatMap((name) => (settings[name] ? [[name, settings[name]]] : []))),
  };
}

/**
 * The base image's name, once the engine has it: what is there already comes before the registry, so that a changed runner costs seconds.
 * @param {Engine} engine
 * @param {Docker} docker
 * @param {string[]} packages
 */
async function ensureBase(engine, docker, packages) {
  const offline = `pinch-base:${hashOf([offlineScript], packages).slice(0, 12)}`;
  for (const base of [registryBase, offline]) if (await hasImage(engine, base)) return base;
  const problem = await pull(docker);
  if (problem === undefined) return registryBase;
  if (!isDebian()) {
    throw new SetupError(
      `The base image ${registryBase} could not be downloaded (${problem}): connect to the internet once, or \`docker load\` it.`,
    );
  }
  say('No registry answers: making the base image from Debian packages (about half a minute)…');
  await importOfflineBase(docker, offline);
  return offline;
}

/**
 * @param {Docker} docker
 * @returns {Promise<string | undefined>} why it failed
 */
async function pull(docker) {
  say(`Downloading the base image ${registryBase}…`);
  const abort = new AbortController();
  // The engine sends its first byte when the registry has answered; how long the download then takes is the line's matter.
  const timer = setTimeout(() => abort.abort(), REGISTRY_ANSWER_MS);
  try {
    const body = await docker.pull(registryBase, { abortSignal: abort.signal });
    clearTimeout(timer);
    await finished(docker, body, 'download failed');
    return undefined;
  } catch (error) {
    return abort.signal.aborted
      ? 'the registry does not answer'
      : String(error instanceof Error ? error.message : error);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {Docker} docker
 * @param {string} tag
 */
async function importOfflineBase(docker, tag) {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-base-'));
  try {
    await runQuietly('bash', [offlineScript, folder], {
      failure: 'The base image could not be made from Debian packages: see the lines above.',
    });
    const changes = ['ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'CMD ["node"]'];
    // The tag as part of the name: Podman takes no other.
    const options = { repo: tag, changes };
    const body = await docker.importImage(createReadStream(join(folder, 'rootfs.tar')), options);
    await finished(docker, body, 'The base image could not be imported');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Waits for the end of the engine's progress stream. Throws SetupError with its last lines when it reports an error.
 * @param {Docker} docker
 * @param {NodeJS.ReadableStream} body
 * @param {string} failure
 */
async function finished(docker, body, failure) {
  /** @type {string[]} */
  const lines = [];
  // Some errors end the stream, others are only told in it.
  let told = '';
  let status = 'the engine is at work';
  /** @type {Promise<Error | null>} */
  const end = new Promise((resolve) => {
    docker.modem.followProgress(body, resolve, (event) => {
      if (typeof event.stream === 'string') lines.push(event.stream);
      if (typeof event.error === 'string') told = event.error;
      const line = oneLine(String(event.stream ?? event.status ?? ''));
      // The number of a layer says less than the step it is of.
      if (!line.startsWith('--->')) status = line || status;
    });
  });
  const error = await telling(end, () => status);
  const reason = error?.message ?? told;
  if (reason) throw new SetupError(`${failure}: ${reason}`, lines.slice(-20).join('').trimEnd());
}
