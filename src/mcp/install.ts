// What a server is made of: its npm packages and program files, in a folder that never changes, named after what was asked for. Installed by npm in
// a container that reaches the registry and nothing else. The folder gets its name once it is whole.
import { createHash, randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { atMost } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { describeError, PinchError } from '../core/errors.js';
import { inFolder, listFolder } from '../core/files.js';
import { LIMITS } from '../egress/connections.js';
import type { Allowed, Refused } from '../egress/decide.js';
import { canonicalHost, type Target } from '../egress/host.js';
import { ownFolder } from '../sandbox/home.js';
import type { McpServer } from '../services/servers.js';
import { type Box, type BoxDeps, startBox } from './box.js';
import { measure, namesIn, readText, removeFolder, writeTexts } from './folders.js';
import { createServerPolicy } from './reach.js';
import { failed, lockfileProblem, npmProblem, packageOf, registryOf } from './registry.js';

export interface InstallDeps extends BoxDeps {
  config: Pick<Config, 'dataDir' | 'repository' | 'env'>;
}
type Installed = Pick<McpServer, 'name' | 'packages' | 'program'>;

const MIB = 1024 ** 2;
const MEMORY_BYTES = 1024 * MIB;
/** Of all its packages together. */
const MOST = { bytes: 1024 * MIB, files: 200_000 };
const LOCKFILE_BYTES = 10 * MIB;
const INSTALL_MS = 10 * 60_000;
const LOOK_MS = 5_000;
/** A sick engine may take longer; then it is removed later. */
const REMOVE_WAIT_MS = 10_000;
const NPM_LIMITS = { ...LIMITS, dayBytes: 2 * 1024 * MIB, ageMs: INSTALL_MS };
/** A registry on this machine itself, too. */
const ALL_BY_PROXY = { NO_PROXY: '', no_proxy: '' };
const PROGRAM_FILES = 200;
const PROGRAM_FILE_BYTES = MIB;
const UNFINISHED = '.install-';
const FINISHED = /^[0-9a-f]{16}$/;

/** `installServer` resolves with the folder, at once when it is there. Throws PinchError `mcp_install`, and what a sandbox throws. Calls for the same share one install, which the `over` of the first ends. */
export function createInstaller(deps: InstallDeps) {
  const { dataDir, repository } = deps.config;
  /** By folder. */
  const under = new Map<string, Promise<string>>();
  /** Folders in which a container may still write: while one does, they are not removed. */
  const unfinished = new Set<string>();
  async function installServer(server: Installed, over?: AbortSignal): Promise<string> {
    const files = programFiles(repository, server.program);
    const name = nameOf(server.packages, files);
    const path = `mcp/${server.name}/${name}`;
    const running = under.get(path);
    if (running) return running;
    const names = namesIn(dataDir, `mcp/${server.name}`);
    if (names.includes(name)) return join(dataDir, path);
    const install = installInto(deps, server, { path, files, unfinished, over }).finally(() => under.delete(path));
    under.set(path, install);
    return install;
  }
  return {
    installServer,
    /** Once a version works: the others, and what a killed install left, are removed. Never rejects. */
    async keepOnly(server: string, folder: string): Promise<void> {
      const path = `mcp/${server}`;
      const isOld = (name: string) =>
        name.startsWith(UNFINISHED)
          ? !unfinished.has(`${path}/${name}`)
          : FINISHED.test(name) && join(dataDir, path, name) !== folder;
      try {
        for (const name of namesIn(dataDir, path).filter(isOld)) {
          // Half of it must not count if this process is killed meanwhile.
          const dying = `${path}/${unfinishedName()}`;
          renameSync(join(dataDir, path, name), join(dataDir, dying));
          await removeFolder(dataDir, dying);
        }
      } catch (error) {
        deps.log.warn({ server, error: describeError(error) }, 'an old version could not be removed');
      }
    },
  };
}

const unfinishedName = (): string => `${UNFINISHED}${randomBytes(6).toString('hex')}`;

const nameOf = (packages: string[], files: Record<string, string>): string =>
  createHash('sha256')
    .update(JSON.stringify([[...packages].sort(), Object.entries(files).sort()]))
    .digest('hex')
    .slice(0, 16);

/** The server's own files, by name. Throws PinchError `mcp_install`. */
function programFiles(repository: string, program: string | undefined): Record<string, string> {
  if (program === undefined) return {};
  const unusable = (why: string) => failed(`the program ${program} ${why}`, 'correct it in services.json');
  try {
    const entries = inFolder(repository, program, (folder) => listFolder(folder, PROGRAM_FILES + 1));
    if (entries.length > PROGRAM_FILES) throw unusable(`has more than ${PROGRAM_FILES} files`);
    const names = entries.map(({ name }) => name).filter((name) => name.endsWith('.mjs'));
    return Object.fromEntries(
      names.map((name) => {
        const text = readText(repository, program, name, PROGRAM_FILE_BYTES);
        if (text === undefined)
          throw unusable(`has a file, ${name}, that is a link or larger than ${PROGRAM_FILE_BYTES} bytes`);
        return [name, text];
      }),
    );
  } catch (error) {
    if (error instanceof PinchError) throw error;
    throw failed(
      `the program ${program} cannot be read: ${describeError(error)}`,
      'it is a folder below the repository',
      error,
    );
  }
}

type Plan = { path: string; files: Record<string, string>; unfinished: Set<string>; over: AbortSignal | undefined };

async function installInto(
  deps: InstallDeps,
  server: Installed,
  { path, files, unfinished, over }: Plan,
): Promise<string> {
  const { dataDir } = deps.config;
  const place = `mcp/${server.name}/${unfinishedName()}`;
  const startedAt = deps.clock.now();
  const dependencies = Object.fromEntries(server.packages.map(packageOf).map(({ name, version }) => [name, version]));
  let gone = Promise.resolve();
  unfinished.add(place);
  try {
    ownFolder(dataDir, place);
    writeTexts(dataDir, place, { ...files, 'package.json': JSON.stringify({ private: true, dependencies }, null, 2) });
    // Again, because what was written is the container's as well.
    const folder = ownFolder(dataDir, place);
    if (server.packages.length > 0)
      await installPackages(deps, server, { place, over }, (box) => {
        gone = box.gone;
      });
    renameSync(folder, join(dataDir, path));
    unfinished.delete(place);
    deps.log.info({ server: server.name, durationMs: deps.clock.now() - startedAt }, 'a server is installed');
    return join(dataDir, path);
  } catch (error) {
    const removed = gone.then(() => removeFolder(dataDir, place)).finally(() => unfinished.delete(place));
    await atMost(deps.clock, REMOVE_WAIT_MS, removed);
    throw error;
  }
}

type OnBox = (box: Box) => void;

async function installPackages(
  deps: InstallDeps,
  { name, packages }: Installed,
  { place, over }: { place: string; over: AbortSignal | undefined },
  onBox: OnBox,
): Promise<void> {
  const { dataDir, env } = deps.config;
  const registry = registryOf(env);
  const npm = ['npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--omit=dev'];
  const options = [
    '--loglevel=error',
    '--fetch-retries=3',
    '--fetch-retry-mintimeout=1000',
    '--fetch-retry-factor=2',
    `--registry=${registry.href}`,
  ];
  let isUnreached = false;
  const policy = createServerPolicy({
    ...{ ...deps, server: name, day: { since: 0, bytes: 0 } },
    decide: (target) => decideForNpm(registry, target),
    onTold: ({ verdict }) => {
      isUnreached ||= verdict === 'failed';
    },
  });
  const box = await startBox(deps, {
    ...{ name, memoryBytes: MEMORY_BYTES, policy, limits: NPM_LIMITS, tunnels: [], over },
    // On the disk before the folder gets its name.
    order: { command: ['sh', '-c', '"$@" && sync -f .', 'sh', ...npm, ...options], env: ALL_BY_PROXY, cwd: '/server' },
    mounts: [{ source: join(dataDir, place), target: '/server', readOnly: false }],
  });
  onBox(box);
  box.stdout.resume();
  const exit = await exitOf(deps, box, place);
  over?.throwIfAborted();
  if (exit !== 0) throw npmProblem(box.stderrTail(), registry, isUnreached);
  const problem = lockfileProblem(readText(dataDir, place, 'package-lock.json', LOCKFILE_BYTES), packages, registry);
  if (problem) throw failed(`its packages are refused: ${problem}`, 'choose other packages in services.json');
}

/** Wherever the machine's own settings say it is: companies have theirs on a private address. */
function decideForNpm({ hostname, port, protocol }: URL, { host, port: asked }: Target): Allowed | Refused {
  const own = Number(port || (protocol === 'http:' ? 80 : 443));
  if (host === canonicalHost(hostname) && asked === own) return { kind: 'allow', why: 'rule', anyAddress: true };
  return {
    kind: 'refuse',
    why: 'install',
    reason: `only the npm registry ${hostname} is reached while packages are installed`,
  };
}

/** Of npm, which is ended when it takes too long or leaves too much. Throws PinchError `mcp_install` then. */
async function exitOf({ clock, config }: InstallDeps, box: Box, place: string): Promise<number | undefined> {
  const isTooLarge = async () => {
    const { bytes, files } = await measure(clock, config.dataDir, place, MOST);
    return bytes > MOST.bytes || files > MOST.files;
  };
  const until = clock.now() + INSTALL_MS;
  try {
    for (;;) {
      const exit = await atMost(clock, LOOK_MS, box.exit);
      if (await isTooLarge())
        throw failed(
          `its packages are more than ${MOST.bytes / MIB} MiB or ${MOST.files} files`,
          'choose others in services.json',
        );
      if (exit) return exit.exitCode;
      if (clock.now() > until) throw failed('npm did not end within ten minutes', 'is the registry slow?');
    }
  } finally {
    await box.stop();
  }
}
