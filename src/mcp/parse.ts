// Lines of MCP servers as messages. Long ones are read by a thread of their own: 10 MB of brackets take a second, and nothing may hold the event
// loop for so long.
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';

/** Of this length even the slowest JSON is read in a few milliseconds. */
export const SHORT_BYTES = 64 * 1024;
const IDLE_MS = 60_000;
/** 10 MB of empty lists become some hundred MB of objects. */
const MEMORY_MB = 512;

const answer = z.object({ id: z.number(), message: z.unknown().optional(), error: z.string().optional() });

export type Parser = ReturnType<typeof createParser>;

export function createParser(clock: Clock) {
  let worker: Worker | undefined;
  let last = 0;
  let idle: { cancel(): void } | undefined;
  const waiting = new Map<number, { resolve(message: unknown): void; reject(error: Error): void }>();

  function drop(ended: Worker, why: string): void {
    if (worker === ended) worker = undefined;
    for (const one of waiting.values()) one.reject(new Error(why));
    waiting.clear();
  }
  function start(): Worker {
    const started = new Worker(new URL('./parse-worker.js', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
      // Not those of this process: some are only for its own first file.
      execArgv: [],
      env: {},
    });
    started.unref();
    started.on('error', (error) => drop(started, error.message));
    started.on('exit', () => drop(started, 'the reader ended'));
    started.on('message', (said) => {
      const { id, message, error } = answer.parse(said);
      const one = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) one?.resolve(message);
      else one?.reject(new Error(error));
      if (waiting.size === 0) rest();
    });
    return started;
  }
  function rest(): void {
    idle?.cancel();
    idle = clock.at(clock.now() + IDLE_MS, close);
  }
  function close(): void {
    idle?.cancel();
    if (waiting.size === 0) void worker?.terminate();
  }
  return {
    /** Rejects when it is no JSON. */
    async parse(line: Buffer): Promise<unknown> {
      if (line.length <= SHORT_BYTES) return JSON.parse(line.toString());
      idle?.cancel();
      worker ??= start();
      const id = ++last;
      // A copy of its own, which is handed over and not copied again.
      const bytes = new Uint8Array(line);
      const done = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }));
      worker.postMessage({ id, line: bytes }, [bytes.buffer]);
      return done;
    },
    close,
  };
}
