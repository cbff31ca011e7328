// The waiting of a device flow (RFC 8628 §3.4, §3.5), in the owner's terminal: as often as the server allows, slower while it cannot be reached.
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { qrForTerminal } from '../core/qr.js';
import type { DeviceFlow } from './device.js';

const answer = z.object({ state: z.enum(['connected', 'pending', 'slow_down', 'unreachable']) });
/** What `slow_down` adds for good. */
const SLOWER_MS = 5_000;
const MAX_PAUSE_MS = 60_000;

export interface WaitDeps {
  /** The running daemon. Throws PinchError. */
  ask(call: string, body: object): Promise<unknown>;
  say(text: string): void;
  clock: Clock;
}

/** Resolves once the owner said yes. Throws PinchError. */
export async function waitForDevice(
  { ask, say, clock }: WaitDeps,
  call: string,
  { deviceCode, userCode, url, fullUrl, livesMs, intervalMs }: DeviceFlow,
): Promise<void> {
  say(
    `Open this in a browser, on any device:\n\n${url}\n\nand type there: ${userCode}\n\n${qrForTerminal(fullUrl ?? url)}\n`,
  );
  let [interval, pause] = [intervalMs, intervalMs];
  for (let waited = 0; waited < livesMs; waited += pause) {
    await clock.sleep(pause);
    const { state } = await ask(call, { deviceCode }).then((said) => answer.parse(said), unlessRestarting);
    if (state === 'connected') return;
    if (state === 'slow_down') interval += SLOWER_MS;
    pause = state === 'unreachable' ? Math.max(interval, Math.min(pause * 2, MAX_PAUSE_MS)) : interval;
  }
  throw new PinchError('expired', 'nobody typed the code in time', { hint: 'connect again' });
}

/** Nothing of this is in the daemon: it may be started again meanwhile. */
function unlessRestarting(error: unknown): z.infer<typeof answer> {
  if (error instanceof PinchError && error.code === 'not_running') return { state: 'unreachable' };
  throw error;
}
