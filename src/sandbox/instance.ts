// How a runner with a link lives and ends, wherever it runs: what docker.ts and process.ts share.
import { atMost } from '../core/clock.js';
import { describeError, PinchError } from '../core/errors.js';
import { type HostLinkDeps, openHostLink } from './link.js';
import type { SandboxExit, SandboxInstance } from './sandbox.js';

interface Runner extends Omit<HostLinkDeps, 'helloTimeoutMs'> {
  id: string;
  /** Its own end; never rejects. Without an exit code it may live on somewhere. */
  exit: Promise<SandboxExit>;
  /** Ends it at once; resolves when it is gone, however long that takes; never rejects. Harmless twice. */
  kill(): Promise<unknown>;
}

const HELLO_TIMEOUT_MS = 20_000;
/** How long a runner whose link is gone, or that never spoke, may take to end by itself, with all it started. */
const EXIT_WAIT_MS = 1_000;
/** How long a stop waits until it is gone; a sick engine must not hold up our own end. */
const KILL_WAIT_MS = 5_000;

/** Resolves once the link is up. Throws PinchError `link_failed`, with how the runner ended; the caller then ends it. */
export async function openInstance({ id, exit, kill, ...io }: Runner): Promise<SandboxInstance> {
  const { clock } = io;
  const link = await openHostLink({ ...io, helloTimeoutMs: HELLO_TIMEOUT_MS }).catch(async (cause: unknown) => {
    const own = await atMost(clock, EXIT_WAIT_MS, exit);
    const how = own ? ` (${own.reason})` : '';
    throw new PinchError('link_failed', `${describeError(cause)}${how}`, { cause });
  });
  /** Set when it is we who end it. */
  let ending: string | undefined;
  const end = async (why: string, graceMs: number): Promise<void> => {
    ending ??= why;
    link.close();
    await atMost(clock, graceMs, exit);
    await atMost(clock, KILL_WAIT_MS, kill());
  };
  // Without its link it cannot be reached, and one the engine lost sight of may live on: neither must stay.
  // Its own exit says more than the link's end, so that comes first.
  const linkLost = link.closed.then(async (reason): Promise<SandboxExit> => {
    const own = await atMost(clock, EXIT_WAIT_MS, exit);
    if (own?.exitCode === undefined) await end(own?.reason ?? reason, 0);
    return own ?? { reason, exitCode: undefined, outOfMemory: false };
  });
  void exit.then(() => link.close());
  const closed = Promise.race([exit, linkLost]).then((own) =>
    ending === undefined ? own : { ...own, reason: ending, outOfMemory: false },
  );
  const gone = closed.then(() => (ending === undefined ? undefined : kill())).then(() => undefined);
  return { id, closed, gone, stop: (graceMs) => end('it was stopped', graceMs) };
}
