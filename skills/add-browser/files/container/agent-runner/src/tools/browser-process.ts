// One Chromium and the DevTools protocol spoken to it over two pipes: there is no port that anybody else could use.
// Knows nothing about pages or tools. https://chromedevtools.github.io/devtools-protocol/
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable, Writable } from 'node:stream';
import * as z from 'zod';
import { systemClock } from '../../../../src/core/clock.js';

/** The programs themselves come before Debian's start scripts, which would stay in between. */
const PROGRAMS = [
  '/usr/lib/chromium/chromium-headless-shell',
  '/usr/lib/chromium/chromium',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const FLAGS = [
  '--headless',
  '--remote-debugging-pipe',
  // Its own sandbox needs rights that the container does not give: the container is the wall, as it is for bash.
  '--no-sandbox',
  // The container's /dev/shm has 16 MB.
  '--disable-dev-shm-usage',
  '--disable-gpu',
  '--renderer-process-limit=2',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--disable-background-timer-throttling',
  '--disable-extensions',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--no-default-browser-check',
  '--password-store=basic',
  '--mute-audio',
  '--hide-scrollbars',
  '--disk-cache-size=20000000',
];
const CALL_LIMIT_MS = 60_000;

const message = z.object({
  id: z.int().optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
  sessionId: z.string().optional(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string() }).optional(),
});

export type BrowserEvent = { method: string; params: unknown; sessionId: string | undefined };
export type Browser = ReturnType<typeof startBrowser>;

/** Undefined where no Chromium is installed. */
export const findProgram = () => PROGRAMS.find((program) => fs.existsSync(program));

/**
 * Other sites through the gateway, which listens at this port of 127.0.0.1; servers in the container as they are. The gateway has a name that only
 * the browser itself resolves: under any other its port is not there, so that no page speaks to the host in the agent's name.
 */
export const networkFlags = (gatewayPort: string): string[] => [
  `--proxy-server=http://gateway.invalid:${gatewayPort}`,
  `--host-resolver-rules=MAP gateway.invalid:${gatewayPort} 127.0.0.1:${gatewayPort}, MAP *:${gatewayPort} ~NOTFOUND`,
];

/** Starts it with a profile of its own that goes with it. `onEvent` hears every event. It ends by itself when this process does. */
export function startBrowser(program: string, network: string[], onEvent: (event: BrowserEvent) => void) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'pinch-browser-'));
  const { PATH = '', LANG = 'C.UTF-8', TZ = 'UTC' } = process.env;
  const child = spawn(program, [...FLAGS, ...network, `--user-data-dir=${home}/profile`], {
    env: { PATH, LANG, TZ, HOME: home },
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const [input, output] = [child.stdio[3], child.stdio[4]];
  if (!(input instanceof Writable && output instanceof Readable)) throw new Error('the browser has no pipes');
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  let calls = 0;

  function take(text: string): void {
    const { id, method, params, sessionId, result, error } = message.parse(JSON.parse(text));
    if (method !== undefined) return onEvent({ method, params, sessionId });
    const call = waiting.get(id ?? 0);
    waiting.delete(id ?? 0);
    if (error) call?.reject(new Error(`the browser refused: ${error.message}`));
    else call?.resolve(result);
  }

  const ended = new Promise<void>((resolve) => {
    const end = () => {
      for (const { reject } of waiting.values()) reject(new Error('the browser ended; browser_open starts a new one'));
      waiting.clear();
      resolve();
    };
    child.once('error', end);
    child.once('close', end);
  });
  const removed = ended.then(async () => {
    // Its helper processes outlive it for a moment and still write into the profile.
    endGroup(child.pid);
    try {
      await fs.promises.rm(home, { recursive: true, force: true, maxRetries: 10 });
    } catch (error) {
      console.error('the profile of an ended browser stays until the container goes', error);
    }
  });
  // A write to one that is gone fails; the call is refused by `ended`.
  input.on('error', () => undefined);
  readMessages(output, (text) => {
    try {
      take(text);
    } catch (error) {
      // Whatever a browser says, the runner goes on: the call that waits for it has its time limit.
      console.error('a message of the browser was not understood', error);
    }
  });

  return {
    ended,
    /** One call; `result` checks the answer. Rejects when the browser refuses it, ends, or is silent for a minute. */
    async call<T>(method: string, params: object, result: z.ZodType<T>, sessionId?: string): Promise<T> {
      calls += 1;
      const id = calls;
      const answer = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }));
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('the browser ended');
      input.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
      const over = new AbortController();
      const late = systemClock.sleep(CALL_LIMIT_MS, over.signal).then(() => {
        if (!over.signal.aborted) throw new Error(`the browser did not answer ${method} within a minute`);
      });
      return result.parse(await Promise.race([answer, late]).finally(() => over.abort()));
    },
    /** Ends it with all its processes and removes its profile. Harmless when it has ended. */
    close(): Promise<void> {
      endGroup(child.pid);
      return removed;
    },
  };
}

/** Ends a process and all it started, as far as they are still there. */
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

/** Messages end with a NUL. */
function readMessages(output: Readable, take: (text: string) => void): void {
  let rest: Buffer[] = [];
  output.on('error', () => undefined);
  output.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let end = chunk.indexOf(0); end !== -1; end = chunk.indexOf(0, from)) {
      take(Buffer.concat([...rest, chunk.subarray(from, end)]).toString());
      rest = [];
      from = end + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  });
}
