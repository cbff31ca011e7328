// bash: commands, the directory kept from call to call, long output saved to a file; background jobs with a log file.
import fs from 'node:fs';
import path from 'node:path';
import * as z from 'zod';
import { systemClock } from '../../../../src/core/clock.js';
import type { RunContext, Tool } from '../context.js';
import { killedForMemory } from '../memory.js';
import { networkHint } from '../network.js';
import { exitText, type Job } from '../processes.js';
import { cutMiddle, head } from '../text.js';
import { zodTool } from './zod-tool.js';

const MAX_CHARS = 30_000;
// One stream for both outputs keeps their order. The directory comes on descriptor 3, however the command ends.
const SCRIPT = 'exec 2>&1; trap \'pwd >&3\' EXIT; eval "$1"';
const OUT_OF_MEMORY = '\n[out of memory: meanwhile the kernel killed a program of this container, which had no more]';
// No call waits for a background job, so its log says that it ended and how.
const BACKGROUND_SCRIPT = 'exec 2>&1; trap \'echo "[exit code $?]"\' EXIT; eval "$1"';

function start({ shell, paths, run, processes }: RunContext, command: string, log?: string): Job {
  if (!fs.existsSync(shell.cwd)) shell.cwd = paths.workspace;
  const script = log === undefined ? SCRIPT : BACKGROUND_SCRIPT;
  return processes.start(['-c', script, 'bash', command], { cwd: shell.cwd, run, log });
}

/** A file in `<workspace>/.out`, for output that is too long for a result. */
export function outFile({ paths }: RunContext, name: string): string {
  const folder = path.join(paths.workspace, '.out');
  fs.mkdirSync(folder, { recursive: true });
  return path.join(folder, name.replace(/[^\w.-]/g, '_'));
}

type Input = { command: string; timeout_ms: number };

async function foreground(context: RunContext, id: string, { command, timeout_ms: timeoutMs }: Input) {
  const { shell, signal, paths } = context;
  const killedBefore = killedForMemory();
  const job = start(context, command);
  const inTime = await Promise.race([job.done, systemClock.sleep(timeoutMs, signal)]);
  if (signal.aborted) job.kill();
  const exit = inTime ?? (await job.stop());
  shell.cwd = job.fd3().trim().split('\n').at(-1) || shell.cwd;
  let output = job.output().trimEnd() || '(no output)';
  const hint = networkHint(output, paths.skills);
  if (output.length > MAX_CHARS) {
    const file = outFile(context, `${id}.txt`);
    fs.writeFileSync(file, output);
    output = cutMiddle(output, MAX_CHARS, `full output: ${file}`);
  }
  output += hint;
  // Of another run here, perhaps: nobody can tell whose program it was, and its exit code may be swallowed by what started it.
  if (killedForMemory() > killedBefore) output += OUT_OF_MEMORY;
  if (signal.aborted) throw new Error(`${output}\n[stopped: the work was cancelled]`);
  if (inTime === undefined) return `${output}\n[timed out after ${timeoutMs} ms and was killed]`;
  return exit === 0 ? output : `${output}\n[${exitText(exit)}]`;
}

function background(context: RunContext, command: string): string {
  const { session, shell, run, signal } = context;
  // Never the number of an earlier job, which the model may remember.
  const numbers = session.records.flatMap((r) => (r.kind === 'job' ? [Number(r.id.slice(3))] : []));
  const id = `job${Math.max(0, ...numbers) + 1}`;
  const log = outFile(context, `${run.session}-${id}.log`);
  const job = start(context, command, log);
  session.append({ kind: 'job', id, state: 'started' });
  // A person who stops the run stops its jobs; the time limit does not.
  signal.addEventListener('abort', () => signal.reason.name !== 'TimeoutError' && job.kill());
  shell.jobs.set(id, { job, command: head(command, 200) });
  return `Started in the background as ${id}. Its output and exit code go to ${log} (10 MB at most); end it with: kill -- -${job.pid}`;
}

const bashInput = z.object({
  command: z.string().min(1),
  timeout_ms: z.int().min(1).max(600_000).default(120_000),
  background: z.boolean().default(false),
});

export function bashTool(context: RunContext): Tool {
  return zodTool({
    name: 'bash',
    description:
      'Run a bash command in the container; its input is empty, there is no terminal. The working directory is kept between calls, variables are not. Output over 30,000 characters is cut in the middle and kept whole in a file. background: start it and return at once, for servers and long work; the output goes to a log file.',
    inputSchema: bashInput,
    run: async (input, call) => {
      if (input.background) return background(context, input.command);
      return foreground(context, call?.toolUse.id ?? 'bash', input);
    },
  });
}
