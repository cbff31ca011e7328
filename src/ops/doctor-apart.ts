// The doctor for the page: it looks in a process of its own, because some of what it looks at holds a process up for seconds.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import { describeError } from '../core/errors.js';
import type { Signals } from '../core/signals.js';

const LOOK_MS = 60_000;
const MAX_BYTES = 1024 * 1024;

const findings = z.array(
  z.object({
    check: z.string(),
    state: z.enum(['ok', 'warning', 'failure', 'skipped']),
    detail: z.string(),
    fix: z.string().optional(),
  }),
);

export interface Examination {
  isLooking: boolean;
  /** When the last look was over; null: nobody has looked yet. */
  lookedAt: number | null;
  findings: z.infer<typeof findings>;
  /** Why it could not look. */
  problem: string | null;
}

const PROGRAM = `process.exitCode = await (await import(process.argv[1])).runCli(['doctor', '--json'])`;
const COMMAND = ['--input-type=module', '-e', PROGRAM, new URL('../cli.js', import.meta.url).href];

export function createDoctor(
  { clock, signals }: { clock: Clock; signals: Signals },
  command: string[] = COMMAND,
): { state(): Examination; look(): void } {
  let state: Examination = { isLooking: false, lookedAt: null, findings: [], problem: null };
  const run = promisify(execFile);
  async function look(): Promise<Partial<Examination>> {
    const options = { timeout: LOOK_MS, maxBuffer: MAX_BYTES };
    try {
      // It ends with 1 when it found a failure, and has said what it found all the same.
      const { stdout } = await run(process.execPath, command, options).catch((error: unknown) => {
        const ended = z.object({ code: z.literal(1), stdout: z.string().startsWith('[') }).safeParse(error);
        if (ended.success) return ended.data;
        throw error;
      });
      return { findings: findings.parse(JSON.parse(stdout)), problem: null };
    } catch (error) {
      return { problem: describeError(error).slice(0, 500) };
    }
  }
  return {
    state: () => state,
    /** Harmless while it looks. */
    look() {
      if (state.isLooking) return;
      state = { ...state, isLooking: true };
      void look().then((found) => {
        state = { ...state, ...found, isLooking: false, lookedAt: clock.now() };
        signals.emit('daemon');
      });
    },
  };
}
