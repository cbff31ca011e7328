// Whether a container got the further folders that were looked at. Between the look and the start of the container somebody who can write in a
// folder on the way may put a link or another folder there; it is found here, before the container has any work.
import { readFile, stat } from 'node:fs/promises';
import type Docker from 'dockerode';
import { atMost, type Clock } from '../core/clock.js';
import { identityOf } from '../mounts/check.js';
import { within } from './engine.js';
import type { Mount } from './sandbox.js';

const LOOK_MS = 5_000;

/** A container must not go on: `target` is not the folder that was looked at. */
export class MountChanged extends Error {
  constructor(readonly target: string) {
    super(`what is at ${target} is not the folder that was looked at`);
  }
}

export const isExtra = ({ identity }: Mount): boolean => identity !== undefined;

/** Throws MountChanged, and what the engine's answer throws. */
export async function verifyMounts({ clock }: { clock: Clock }, container: Docker.Container, mounts: Mount[]) {
  if (mounts.length === 0) return;
  const { Id, State } = await within(clock, LOOK_MS, (abortSignal) => container.inspect({ abortSignal }));
  for (const { source, target, identity } of mounts) {
    const look = identityInside(State.Pid, Id, target).catch(() => identityNow(source));
    const found = await atMost(clock, LOOK_MS, look);
    if (found !== identity) throw new MountChanged(target);
  }
}

/** As the container itself sees it. Rejects where that cannot be seen from here: its process is in a virtual machine, in a kernel of its own, or closed to us. */
async function identityInside(pid: number, id: string, target: string): Promise<string> {
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8');
  if (!groups.includes(id)) throw new Error('another process has this number here');
  return identityOf(await stat(`/proc/${pid}/root${target}`, { bigint: true }));
}

/** As it is called on this machine: finds everything but an exchange that was taken back meanwhile. */
async function identityNow(source: string): Promise<string> {
  return identityOf(await stat(source, { bigint: true }));
}
