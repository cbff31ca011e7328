// Finds the container engine: which sockets may be it, and whether one answers. Knows nothing about images, and needs no package.
import { existsSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { SetupError } from './progress.mjs';

/**
 * How to reach an engine, in the words of both node:http and dockerode.
 * @typedef {{ socketPath: string } | { host: string, port: number, protocol: 'http' | 'https', ca?: Buffer, cert?: Buffer, key?: Buffer }} Engine
 * @typedef {Record<string, string | undefined>} Settings
 */

const PING_MS = 5_000;

/**
 * Sockets an engine may listen on, likeliest first. With DOCKER_HOST set it alone counts (and these do not).
 * @param {Settings} settings
 */
export function socketCandidates(settings) {
  const home = homedir();
  const runtime = settings.XDG_RUNTIME_DIR;
  return [
    '/var/run/docker.sock',
    join(home, '.orbstack/run/docker.sock'),
    join(home, '.docker/run/docker.sock'),
    join(home, '.colima/default/docker.sock'),
    ...(runtime ? [join(runtime, 'docker.sock'), join(runtime, 'podman/podman.sock')] : []),
    join(home, '.local/share/containers/podman/machine/podman.sock'),
  ];
}

/**
 * The engine DOCKER_HOST names. Throws SetupError for an address set-up cannot use.
 * @param {Settings} settings
 * @returns {Engine | undefined} none when it is not set
 */
export function namedEngine(settings) {
  const address = settings.DOCKER_HOST;
  if (!address) return undefined;
  if (address.startsWith('unix://')) return { socketPath: address.slice('unix://'.length) };
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !['tcp:', 'http:', 'https:'].includes(url.protocol)) {
    throw new SetupError(`DOCKER_HOST is ${address}; use unix:///path/to/docker.sock or tcp://host:port.`);
  }
  const folder = settings.DOCKER_CERT_PATH;
  const secure = url.protocol === 'https:' || Boolean(settings.DOCKER_TLS_VERIFY);
  const port = Number(url.port || (secure ? 2376 : 2375));
  if (!secure) return { host: url.hostname, port, protocol: 'http' };
  const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((name) =>
    readIfThere(join(folder ?? join(homedir(), '.docker'), name)),
  );
  return { host: url.hostname, port, protocol: 'https', ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

/** @param {string} path */
const readIfThere = (path) => (existsSync(path) ? readFileSync(path) : undefined);

/**
 * The first engine that answers.
 * @param {Settings} settings
 * @returns {Promise<{ engine?: Engine, forbidden?: string }>} `forbidden`: a socket that is there but not for this user
 */
export async function findEngine(settings) {
  const named = namedEngine(settings);
  const engines = named
    ? [named]
    : socketCandidates(settings)
        .filter(existsSync)
        .map((socketPath) => ({ socketPath }));
  let forbidden;
  for (const engine of engines) {
    const answer = await get(engine, '/_ping').catch((error) => error);
    if (answer.status === 200) return { engine };
    if (answer.code === 'EACCES' && 'socketPath' in engine) forbidden ??= engine.socketPath;
  }
  return { forbidden };
}

/**
 * True when the engine has the image.
 * @param {Engine} engine
 * @param {string} tag
 */
export async function hasImage(engine, tag) {
  const { status, body } = await get(engine, `/images/${encodeURIComponent(tag)}/json`);
  if (status === 200) return true;
  if (status === 404) return false;
  throw new SetupError(`The container engine answers ${status}: ${body.slice(0, 300)}`);
}

/**
 * True when the engine is Docker and runs as a user of the machine: its uid 0 is that user. (Podman can keep the user's own uid.)
 * @param {Engine} engine
 */
export async function isRootlessDocker(engine) {
  const { status, body } = await get(engine, '/info');
  if (status !== 200) throw new SetupError(`The container engine answers ${status}: ${body.slice(0, 300)}`);
  const { SecurityOptions, BuildahVersion } = JSON.parse(body);
  return BuildahVersion === undefined && (SecurityOptions ?? []).includes('name=rootless');
}

/**
 * One GET over node's own HTTP: dockerode takes longer to load than this whole step may last. Rejects when nothing answers in time.
 * @param {Engine} engine
 * @param {string} path
 * @returns {Promise<{ status: number, body: string }>}
 */
async function get(engine, path) {
  const secure = 'protocol' in engine && engine.protocol === 'https';
  const send = secure ? (await import('node:https')).request : httpRequest;
  return new Promise((resolve, reject) => {
    const { protocol: _, ...address } = { protocol: undefined, ...engine };
    const request = send({ ...address, path, timeout: PING_MS, headers: { host: 'docker' } }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
    request.end();
  });
}
