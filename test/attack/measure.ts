// What the daemon costs meanwhile, seen from outside: its pauses, its processor time, its memory, its descriptors.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { z } from 'zod';
import type { DaemonProcess } from '../e2e/harness.js';

export const probeFile = (home: string) => join(home, 'probe.sock');

const probeAnswer = z.object({ pauseMs: z.number(), busyMs: z.number(), lookedUp: z.array(z.string()) });

/** What the probe saw since it was last asked. */
export async function askProbe({ home }: DaemonProcess): Promise<z.infer<typeof probeAnswer>> {
  return probeAnswer.parse(await json(connect(probeFile(home))));
}

export const descriptorsOf = ({ pid }: DaemonProcess): number => readdirSync(`/proc/${pid}/fd`).length;

export function memoryMb({ pid }: DaemonProcess): number {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kb) / 1024;
}

/** Begins to watch. The returned function ends the watch and gives what was seen since. */
export async function startWatch(daemon: DaemonProcess) {
  const descriptors = descriptorsOf(daemon);
  const idleMb = memoryMb(daemon);
  await askProbe(daemon);
  let mostMb = 0;
  const timer = setInterval(() => {
    if (!existsSync(`/proc/${daemon.pid}`)) return clearInterval(timer);
    mostMb = Math.max(mostMb, memoryMb(daemon));
  }, 20);
  return async () => {
    clearInterval(timer);
    return { descriptors, ...(await askProbe(daemon)), growthMb: mostMb - idleMb };
  };
}

export type Measured = Awaited<ReturnType<Awaited<ReturnType<typeof startWatch>>>>;
