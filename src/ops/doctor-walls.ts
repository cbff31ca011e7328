// Which walls around a container are real on this machine: a container with the options of an agent's looks at itself, the engine says what it
// can do. Engines leave limits out where the kernel lacks what they need, and say so only in passing.
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { containerOptions } from '../sandbox/docker.js';
import { connectEngine, requireRuntime, within } from '../sandbox/engine.js';
import { askKind, identityFor } from '../sandbox/engine-kind.js';
import { containerUser, homeId, ownFolder } from '../sandbox/home.js';
import { agentImage } from '../sandbox/runtime.js';
import { type CheckDeps, type Finding, failure, ok, skipped, warning } from './finding.js';

const CALL_MS = 20_000;

const facts = z.object({
  uid: z.number(),
  /** What connecting to a public address says; nothing is sent. */
  route: z.string(),
  /** Of the root's line in the table of mounts. */
  root: z.string(),
  /** Lines of /proc/self/status. */
  status: z.record(z.string(), z.string()),
  memory: z.string(),
  processes: z.string(),
  cpu: z.string(),
  uidMap: z.string(),
  profile: z.string(),
  kernel: z.string(),
  /** What writing a file in a folder of the home says. */
  wrote: z.string(),
});
type Facts = z.infer<typeof facts>;

const PROBE = `
const { readFileSync, writeFileSync } = require('node:fs');
const attempt = (work) => { try { work(); return 'done'; } catch (error) { return error.code; } };
const read = (...files) => { for (const file of files) try { return readFileSync(file, 'utf8').trim(); } catch {} return ''; };
const group = (v2, v1) => read('/sys/fs/cgroup/' + v2, '/sys/fs/cgroup/' + v1);
const line = read('/proc/self/mounts').split('\\n').find((one) => one.split(' ')[1] === '/') ?? '';
const status = Object.fromEntries(read('/proc/self/status').split('\\n').map((one) => one.split(/:\\s*/)).filter((pair) => pair.length === 2));
const socket = require('node:dgram').createSocket('udp4');
const tell = (route) => { console.log(JSON.stringify({
  uid: process.getuid(), route, status, root: line.split(' ')[3] ?? '', uidMap: read('/proc/self/uid_map'), profile: read('/proc/self/attr/current'),
  memory: group('memory.max', 'memory/memory.limit_in_bytes'), processes: group('pids.max', 'pids/pids.max'),
  cpu: group('cpu.max', 'cpu/cpu.cfs_quota_us'), kernel: require('node:os').release(),
  wrote: attempt(() => writeFileSync('/workspace/made', '')),
})); process.exit(); };
socket.connect(9, '192.0.2.1', (error) => tell(error ? error.code : 'open'));`;

const engineFacts = z.object({
  DefaultRuntime: z.string().default('unknown'),
  KernelVersion: z.string().default(''),
  MemoryLimit: z.boolean().default(false),
  PidsLimit: z.boolean().default(false),
  CpuCfsQuota: z.boolean().default(false),
});

export async function checkWalls({ config, clock }: CheckDeps): Promise<Finding[]> {
  if (config.runtime !== 'docker') return [skipped(`not looked at with PINCH_RUNTIME=${config.runtime}`)];
  const engine = connectEngine(config.env);
  const asked = within(clock, CALL_MS, (abortSignal) => engine.listContainers({ limit: 1, abortSignal }));
  if (!(await asked.catch(() => undefined))) return [skipped('the engine does not answer')];
  await requireRuntime({ engine, clock, ociRuntime: config.ociRuntime });
  const info = engineFacts.parse(await engine.info());
  const { seen, owner } = await lookFromInside(config, clock);
  const walls = wallFindings(seen, {
    runtime: config.ociRuntime ?? info.DefaultRuntime,
    kernel: info.KernelVersion,
    limits: { memory: info.MemoryLimit, processes: info.PidsLimit, cpu: info.CpuCfsQuota },
  });
  return [...walls, ...fileFindings(config.home, { wrote: seen.wrote, owner, own: containerUser().uid })];
}

/** Pure. `owner`: of what was written in a container, as this machine sees it; none when nothing is there. */
export function fileFindings(
  home: string,
  files: { wrote: string; owner: number | undefined; own: number },
): Finding[] {
  const { wrote, owner, own } = files;
  const fix = 'docs/engines.md says what each engine needs; DOCKER_HOST in .env takes another one';
  if (wrote !== 'done') return [failure(`containers cannot write in ${home}: ${wrote}`, fix)];
  if (owner === undefined) return [failure(`what containers write does not arrive in ${home}`, fix)];
  return owner === own ? [] : [failure(`what containers write in ${home} belongs to uid ${owner}, not to ${own}`, fix)];
}

/** Starts a container and removes it again. Throws what the engine says. */
async function lookFromInside(config: Config, clock: Clock): Promise<{ seen: Facts; owner: number | undefined }> {
  const engine = connectEngine(config.env);
  const call = <T>(make: (abortSignal: AbortSignal) => Promise<T>) => within(clock, CALL_MS, make);
  const { ociRuntime } = config;
  const from = {
    image: agentImage(config),
    homeId: homeId(config.home),
    ...identityFor(await askKind({ engine, clock }), containerUser()),
    ociRuntime,
  };
  // A home that was never started has none yet, and is to stay one.
  const made = mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const source = ownFolder(config.dataDir, 'doctor');
  const options = containerOptions(from, {
    folder: 'doctor',
    mounts: [{ source, target: '/workspace', readOnly: false }],
  });
  const request = {
    ...options,
    ...{ Entrypoint: ['node', '-e', PROBE], OpenStdin: false, StdinOnce: false, AttachStdin: false, Tty: true },
    // Its only output is its log.
    HostConfig: { ...options.HostConfig, AutoRemove: false, LogConfig: { Type: 'json-file', Config: {} } },
  };
  const container = engine.getContainer(options.name);
  try {
    await call((abortSignal) => engine.createContainer({ ...request, abortSignal }));
    await call((abortSignal) => container.start({ abortSignal }));
    await call((abortSignal) => container.wait({ abortSignal }));
    // dockerode has parsed what is JSON.
    const output: unknown = await call((abortSignal) => container.logs({ stdout: true, stderr: true, abortSignal }));
    const seen = facts.safeParse(output).data;
    if (!seen) throw new Error(`a container that only looks at itself says: ${output}`);
    return { seen, owner: statSync(join(source, 'made'), { throwIfNoEntry: false })?.uid };
  } finally {
    rmSync(made ?? source, { recursive: true, force: true });
    await call((abortSignal) => container.remove({ force: true, abortSignal })).catch(() => undefined);
  }
}

export interface EngineWalls {
  runtime: string;
  kernel: string;
  limits: { memory: boolean; processes: boolean; cpu: boolean };
}

/** Pure. A kernel of the container's own (gVisor, Kata) is not seen into: there the engine's word counts. */
export function wallFindings(seen: Facts, engine: EngineWalls): Finding[] {
  const { status } = seen;
  const ownKernel = engine.kernel !== '' && seen.kernel !== engine.kernel;
  const limit = (value: string, most: number) => Number.parseInt(value, 10) <= most && !value.startsWith('-');
  const walls: [name: string, holds: boolean, fix: string][] = [
    ['no network', /^E(NET|HOST)UNREACH$/.test(seen.route), OTHER_ENGINE],
    // In a rootless engine uid 0 inside is an ordinary user outside.
    ['not root', seen.uid !== 0 || !/^0\s+0\s/.test(seen.uidMap), OTHER_ENGINE],
    ['read-only root', /^ro\b/.test(seen.root), OTHER_ENGINE],
    ['no capabilities', /^0+$/.test(`${status.CapEff}${status.CapBnd}`), OTHER_ENGINE],
    ['no new privileges', ownKernel || status.NoNewPrivs === '1', OTHER_ENGINE],
    ['seccomp', ownKernel || status.Seccomp === '2', 'start the engine with its own seccomp profile'],
    ['1 GiB of memory', limit(seen.memory, 1024 ** 3) || (ownKernel && engine.limits.memory), CGROUPS],
    ['256 processes', limit(seen.processes, 256) || (ownKernel && engine.limits.processes), CGROUPS],
    ['1 processor', limit(seen.cpu, 100_000) || (ownKernel && engine.limits.cpu), CGROUPS],
  ];
  const confined = seen.profile !== '' && !seen.profile.startsWith('unconfined');
  const more: [name: string, holds: boolean][] = [
    ['user namespace', !/^0\s+0\s/.test(seen.uidMap)],
    ['AppArmor or SELinux', confined],
    ['a kernel of its own', ownKernel],
  ];
  const names = (list: [name: string, holds: boolean, fix?: string][], holds: boolean) =>
    list.filter((wall) => wall[1] === holds).map(([name]) => name);
  const absent = names(more, false).join(', ');
  const real = `${engine.runtime}: ${[...names(walls, true), ...names(more, true)].join(', ')}`;
  return [
    ok(absent ? `${real}; not on this machine: ${absent}` : real),
    ...walls.filter(([, holds]) => !holds).map(([name, , fix]) => missing(name, fix)),
  ];
}

const OTHER_ENGINE = 'this engine leaves out what it was asked for: use another one, or another PINCH_OCI_RUNTIME';
const CGROUPS =
  'give the kernel its cgroups (Raspberry Pi: cgroup_enable=memory in cmdline.txt, then restart; a rootless engine: cgroup v2, Delegate=yes)';

const missing = (name: string, fix: string): Finding =>
  (fix === OTHER_ENGINE ? failure : warning)(`this wall is missing: ${name}`, fix);
