// What `pinch doctor` looks at on the machine: Node, the container engine, disk, permissions, clock.
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { mountsFile } from '../mounts/list.js';
import { examineInTime, examineMounts } from '../mounts/module.js';
import { connectEngine, engineUnavailable, socketCandidates, within } from '../sandbox/engine.js';
import { askKind, describeKind } from '../sandbox/engine-kind.js';
import { agentImage } from '../sandbox/runtime.js';
import { readServices, servicesFile, variablesOf } from '../services/list.js';
import { serverVariables } from '../services/servers.js';
import { type CheckDeps, type Finding, failure, ok, skipped, warning } from './finding.js';
import { PROXY_FIX, unusedProxies } from './proxies.js';
import { settingNotices } from './settings-check.js';

const GIB = 1024 ** 3;
const HOUR_MS = 3_600_000;
const ENGINE_MS = 5_000;
const SKEW_MS = 30_000;

export function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  return fits ? ok(process.version) : failure(`${process.version} is too old`, 'install Node 20.19 or newer');
}

/** What `.env` says that nobody can have meant. */
export function checkSettings({ config }: CheckDeps): Finding[] {
  const notices = settingNotices(config);
  if (notices.length === 0) return [ok('nothing in .env looks like a mistake')];
  return notices.map((notice) => warning(notice, `correct it in ${join(config.home, '.env')}, and restart Pinch`));
}

export async function checkEngine({ config, clock }: CheckDeps): Promise<Finding[]> {
  if (config.runtime === 'process')
    return [warning('agents run WITHOUT a sandbox (PINCH_RUNTIME=process)', 'take PINCH_RUNTIME out of .env')];
  if (config.runtime !== 'docker') return [skipped(`not looked at with PINCH_RUNTIME=${config.runtime}`)];
  const engine = connectEngine(config.env);
  const where = config.env.DOCKER_HOST ?? socketCandidates(config.env).find((path) => existsSync(path));
  // The one call that can be aborted comes first: an engine that hangs must not hang us.
  const asked = within(clock, ENGINE_MS, (abortSignal) => engine.listContainers({ limit: 1, abortSignal }));
  await asked.catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EACCES') {
      const hint = 'Linux: `sudo usermod -aG docker $USER`, then log in again';
      throw new PinchError('engine_forbidden', `this user may not use ${where}`, { hint, cause: error });
    }
    throw engineUnavailable(error);
  });
  const [kind, { SystemTime }] = await Promise.all([askKind({ engine, clock }), engine.info()]);
  const skew = Math.abs(clock.now() - Date.parse(String(SystemTime)));
  const found = ok(`${describeKind(kind)} at ${where}`);
  if (!(skew > SKEW_MS)) return [found];
  return [found, warning(`its clock is ${Math.round(skew / 1000)} s off`, 'restart the engine (its machine slept)')];
}

export async function checkImage({ config, clock }: CheckDeps): Promise<Finding> {
  if (config.runtime !== 'docker') return skipped(`not looked at with PINCH_RUNTIME=${config.runtime}`);
  const tag = agentImage(config);
  const options = { filters: { reference: [tag] } };
  const found = await within(clock, ENGINE_MS, (abortSignal) =>
    connectEngine(config.env).listImages({ ...options, abortSignal }),
  ).catch(() => undefined);
  if (!found) return skipped('the engine does not answer');
  return found.length > 0 ? ok(tag) : failure(`the engine does not have ${tag}`, '`npm start` builds it');
}

/** Folders of the owner's list that containers go without. */
export async function checkMounts({ config, clock }: CheckDeps): Promise<Finding[]> {
  const found = await examineInTime(clock, examineMounts(config));
  const refused = found.filter((one) => one.kind === 'refused');
  if (refused.length === 0) return [ok(`${found.length} further folders are given to containers`)];
  return refused.map(({ name, why }) =>
    warning(`${name} is not given to containers: ${why}`, `correct it in ${mountsFile(config)}`),
  );
}

/** What of services.json is no use, and variables that it names and nobody set. */
export function checkServices({ config }: CheckDeps): Finding[] {
  const { services, servers, problems } = readServices(config);
  const fix = `correct it in ${servicesFile(config)}`;
  const needed = [
    ...services.map((service) => ({ name: service.name, variables: variablesOf(service) })),
    ...servers.map((server) => ({ name: server.name, variables: serverVariables(server) })),
  ];
  const missing = needed.flatMap(({ name: service, variables }) =>
    variables
      .filter((name) => !config.env[name])
      .map((name) => warning(`${service} has no credential: ${name} is not set`, `set ${name} in .env`)),
  );
  const onHost = servers.filter(({ host }) => host);
  const found = [
    ...problems.map(({ name, why }) => warning(`${name} is not used: ${why}`, fix)),
    ...missing,
    ...onHost.map(({ name }) =>
      warning(
        `the MCP server ${name} runs on this machine itself, in no container`,
        `without "host": true in ${servicesFile(config)} it runs in one`,
      ),
    ),
  ];
  return found.length > 0 ? found : [ok(`${services.length + servers.length} services of services.json`)];
}

export function checkProxies({ config }: CheckDeps): Finding {
  const names = unusedProxies(config.env);
  if (names.length === 0) return ok('connections go out directly');
  return warning(`${names.join(', ')}: not used for the model, chats, services and sites, only by set-up`, PROXY_FIX);
}

export function checkDisk({ config }: CheckDeps): Finding {
  const { bavail, bsize } = statfsSync(config.home);
  const free = `${((bavail * bsize) / GIB).toFixed(1)} GiB free at ${config.home}`;
  const fix = 'make room: old files of the groups, `docker system df`';
  if (bavail * bsize < GIB / 2) return failure(free, fix);
  return bavail * bsize < 3 * GIB ? warning(free, fix) : ok(free);
}

/** Keys, histories and WhatsApp's identity are for their owner alone, and so is whatever program a container leaves in its folder. */
export function checkPermissions({ config }: CheckDeps): Finding[] {
  const places: [path: string, mode: string][] = [
    [join(config.home, '.env'), '600'],
    [config.dataDir, '700'],
    [config.groupsDir, '700'],
  ];
  const findings = places.flatMap(([path, mode]) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return [];
    accessSync(path, constants.R_OK | constants.W_OK);
    const others = stat.mode & 0o077;
    return others ? [warning(`other users can open ${path}`, `chmod ${mode} '${path}'`)] : [];
  });
  return findings.length > 0 ? findings : [ok('.env, data/ and groups/ are for this user alone')];
}

export function checkClock({ config, clock }: CheckDeps): Finding {
  const now = clock.now();
  const time = `${new Date(now).toLocaleString('sv-SE', { timeZone: config.timeZone })} ${config.timeZone}`;
  const fix = 'set the clock (macOS: Date & Time; Linux: `timedatectl set-ntp true`)';
  const newest = Math.max(0, ...databaseFiles(config).map((file) => statSync(file).mtimeMs));
  if (newest > now + HOUR_MS) return failure(`${time}, but the database was written later than that`, fix);
  return config.env.TZ ? ok(time) : ok(`${time} (the machine's zone; TZ in .env sets another)`);
}

const databaseFiles = ({ dataDir }: Config) =>
  ['pinch.db', 'pinch.db-wal'].map((name) => join(dataDir, name)).filter((file) => existsSync(file));
