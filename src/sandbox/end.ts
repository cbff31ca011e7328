// How a container ended. Exit code 137 says only that it was killed; what the engine saw before that says whether it was for memory.
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { z } from 'zod';
import { atMost, type Clock } from '../core/clock.js';
import { describeError } from '../core/errors.js';
import type { EngineDeps } from './engine.js';
import type { SandboxExit } from './sandbox.js';

const KILLED = 137;
/** A kill for memory is seen so long before the end it caused at most; one longer ago was that of another program in the container. */
const OOM_BEFORE_NS = 2_000_000_000;
/** How long anybody waits for what the engine saw. */
const ASK_MS = 400;

const seen = z.object({
  Action: z.enum(['oom', 'kill', 'die']),
  timeNano: z.number(),
  Actor: z.object({ Attributes: z.object({ signal: z.string().optional() }) }),
});
export type Seen = z.infer<typeof seen>;

/** Resolves when the container has ended. Never rejects. */
export function exitOf(engine: Docker, container: Docker.Container, clock: Clock): Promise<SandboxExit> {
  return container.wait({ condition: 'next-exit' }).then(
    async ({ StatusCode: exitCode }) => {
      if (exitCode !== KILLED) return { reason: `exit code ${exitCode}`, exitCode, outOfMemory: false };
      const events: Seen[] = [];
      await atMost(clock, ASK_MS, readEvents({ engine, clock }, container.id, events));
      const cause = decideKill(events);
      return { reason: `exit code ${KILLED}: ${CAUSES[cause]}`, exitCode, outOfMemory: cause === 'memory' };
    },
    (error: unknown) => {
      const reason = `the engine lost it: ${describeError(error)}`;
      return { reason, exitCode: undefined, outOfMemory: false };
    },
  );
}

const CAUSES = {
  memory: 'out of memory',
  outside: 'it was killed from outside',
  unknown: 'it was killed, and the engine does not say why',
};

/** Podman tells of fewer events, so what is missing means nothing. Pure. */
export function decideKill(events: Seen[]): keyof typeof CAUSES {
  const end = events.find(({ Action }) => Action === 'die')?.timeNano ?? Number.POSITIVE_INFINITY;
  const kills = events.filter(
    ({ Action, Actor }) => Action === 'kill' && /^(9|SIGKILL)$/i.test(Actor.Attributes.signal ?? ''),
  );
  if (kills.some(({ timeNano }) => timeNano <= end)) return 'outside';
  const isNear = ({ Action, timeNano }: Seen) => Action === 'oom' && end - timeNano < OOM_BEFORE_NS;
  return events.some(isNear) ? 'memory' : 'unknown';
}

/** Fills `events` with what the engine remembers of the container, its end last. Rejects when it cannot be asked. */
async function readEvents({ engine, clock }: Pick<EngineDeps, 'engine' | 'clock'>, name: string, events: Seen[]) {
  // By no time of ours: an engine in a virtual machine has another clock. It keeps the latest few hundred events of all kinds.
  const stream = await engine.getEvents({ since: 1, filters: { container: [name], event: ['oom', 'kill', 'die'] } });
  if (!(stream instanceof Readable)) throw new Error('the engine gave no stream');
  const late = clock.at(clock.now() + ASK_MS, () => stream.destroy());
  try {
    for await (const line of createInterface({ input: stream })) {
      const event = seen.safeParse(JSON.parse(line)).data;
      if (event) events.push(event);
      // What killed it may be told a moment after its end.
      if (events.some(({ Action }) => Action === 'die') && decideKill(events) !== 'unknown') return;
    }
  } finally {
    late.cancel();
    stream.destroy();
  }
}
