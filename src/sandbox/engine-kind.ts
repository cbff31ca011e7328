// Which engine it is, and what follows for a container's user: what is written inside must belong, outside, to the user who runs Pinch. The engine
// is asked, nothing is configured.
import type Docker from 'dockerode';
import { z } from 'zod';
import { type EngineDeps, within } from './engine.js';

export interface EngineKind {
  name: 'Docker' | 'Podman';
  version: string;
  /** It runs as a user of the machine, not as root: its uid 0 is that user. */
  rootless: boolean;
  /** Docker's `userns-remap`: each uid inside is another one outside. */
  remapped: boolean;
  /** It confines its containers by SELinux labels. */
  selinux: boolean;
}

/** Who a container runs as. */
export interface Identity {
  user: { uid: number; gid: number };
  /** The engine's default without one. */
  usernsMode?: string;
  securityOpt: string[];
}

const CALL_MS = 10_000;

const versionAnswer = z.object({
  Version: z.string(),
  Components: z.array(z.object({ Name: z.string() })).nullish(),
});
const infoAnswer = z.object({ SecurityOptions: z.array(z.string()).nullish(), Rootless: z.boolean().optional() });
const podmanAnswer = z.object({
  host: z.object({ security: z.object({ rootless: z.boolean(), selinuxEnabled: z.boolean().default(false) }) }),
});

/** Throws what the engine answers instead, and an Error when there is no answer. */
export async function askKind({ engine, clock }: Pick<EngineDeps, 'engine' | 'clock'>): Promise<EngineKind> {
  const ask = (path: string) => within(clock, CALL_MS, (abortSignal) => askEngine(engine, path, abortSignal));
  const [version, info] = await Promise.all([ask('/version'), ask('/info')]);
  const kind = kindOf(version, info);
  if (kind.name === 'Docker') return kind;
  // What Podman tells in Docker's words lacks SELinux.
  const { rootless, selinuxEnabled } = podmanAnswer.parse(await ask('/v4.0.0/libpod/info')).host.security;
  return { ...kind, rootless, selinux: selinuxEnabled };
}

/** Pure: from the answers to `/version` and `/info`. */
export function kindOf(version: unknown, info: unknown): EngineKind {
  const { Version, Components } = versionAnswer.parse(version);
  const { SecurityOptions, Rootless } = infoAnswer.parse(info);
  const has = (name: string) => (SecurityOptions ?? []).some((option) => option.split(',')[0] === `name=${name}`);
  return {
    name: Components?.some(({ Name }) => Name === 'Podman Engine') ? 'Podman' : 'Docker',
    version: Version,
    rootless: Rootless ?? has('rootless'),
    remapped: has('userns'),
    selinux: has('selinux'),
  };
}

/** Pure. `user` is who owns the folders that containers get, outside. */
export function identityFor(kind: EngineKind, user: Identity['user']): Identity {
  // Not relabelled: folders of the owner, the skills of the checkout and global/ belong to other programs too, and a label for one container
  // (`:Z`) would lock out the next.
  const securityOpt = kind.selinux ? ['label=disable'] : [];
  const { uid, gid } = user;
  if (kind.rootless && kind.name === 'Podman')
    return { user, usernsMode: `keep-id:uid=${uid},gid=${gid}`, securityOpt };
  if (kind.rootless) return { user: { uid: 0, gid: 0 }, securityOpt };
  return { user, ...(kind.remapped && { usernsMode: 'host' }), securityOpt };
}

/** Pure. A folder that this engine would mount otherwise than it was asked to: Podman puts paths into a list with commas, unquoted. */
export function unmountable(kind: EngineKind, sources: string[]): string | undefined {
  return kind.name === 'Podman' ? sources.find((source) => /[",]/.test(source)) : undefined;
}

/** One line for `pinch doctor`. */
export function describeKind(kind: EngineKind): string {
  const means = [
    kind.rootless && (kind.name === 'Podman' ? 'rootless: containers keep your uid' : 'rootless: uid 0 inside is you'),
    kind.remapped && !kind.rootless && 'userns-remap: not for Pinch, whose files would belong to nobody',
    kind.selinux && 'SELinux: labels off for Pinch, its other walls stay',
  ];
  return [`${kind.name} ${kind.version}`, ...means.filter((one) => one !== false)].join('; ');
}

function askEngine(engine: Docker, path: string, abortSignal: AbortSignal): Promise<unknown> {
  const options = { path, method: 'GET', abortSignal, statusCodes: { 200: true, 500: 'server error' } };
  return new Promise((resolve, reject) =>
    engine.modem.dial(options, (error, answer) => (error ? reject(error) : resolve(answer))),
  );
}
