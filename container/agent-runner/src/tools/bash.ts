// bash, bash_output, bash_kill: commands in process groups of their own, cwd kept, output limited, the whole of it on file.
import fs from 'node:fs';
import path from 'node:path';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import * as z from 'zod';
import { systemClock } from '../../../../src/clock.js';
import { type RunContext, type Tool, untilAborted } from '../context.js';
import type { Exit, Job } from '../processes.js';
import { cutMiddle, head } from '../text.js';

const MAX_CHARS = 30_000;
const DEFAULT_TIMEOUT_MS = 120_000;
const MAX_TIMEOUT_MS = 600_000;
/** Everything else of the runner's environment stays out of reach of commands. */
const ENV_ALLOWED =
  /^(PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TMPDIR|(https?|no|all)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR))$/i;
// One stream for both outputs keeps their order; the directory is told on descriptor 3 however the command ends.
const SCRIPT = 'exec 2>&1; trap \'pwd >&3\' EXIT; eval "$1"';

export type Shell = ReturnType<typeof createShell>;

/** What a session's shell remembers between calls and runs; one per session, as long as the container lives. */
export function createShell(cwd: string) {
  let last: Promise<unknown> = Promise.resolve();
  return {
    cwd,
    jobs: new Map<string, { job: Job; runId: number; command: string }>(),
    /** Runs writers (bash, write, edit) one after the other, in the order they were called. */
    inOrder<T>(work: () => Promise<T>): Promise<T> {
      const next = last.then(work);
      last = next.catch(() => undefined);
      return next;
    },
  };
}

/** The environment commands get: allow-listed names, no terminal, the run's time zone. */
export function commandEnv(timeZone: string): Record<string, string> {
  const allowed = Object.entries(process.env).filter(([name]) => ENV_ALLOWED.test(name));
  return { ...(Object.fromEntries(allowed) as Record<string, string>), TERM: 'dumb', TZ: timeZone };
}

function start({ shell, paths, run, processes }: RunContext, command: string): Job {
  if (!fs.existsSync(shell.cwd)) shell.cwd = paths.workspace;
  return processes.start(['-c', SCRIPT, 'bash', command], { cwd: shell.cwd, env: commandEnv(run.timeZone) });
}

/** Output for the model; when it is long, the whole text is kept in `<workspace>/.out/<id>.txt`. */
function limited({ paths }: RunContext, text: string, id: string): string {
  if (text.length <= MAX_CHARS) return text;
  const file = path.join(paths.workspace, '.out', `${id.replace(/[^\w-]/g, '_')}.txt`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  return cutMiddle(text, MAX_CHARS, `full output: ${file}`);
}

const endNote = ({ code, signal }: Exit) => (signal === null ? `[exit code ${code}]` : `[killed by ${signal}]`);

const joined = (output: string, note: string) => [output.trimEnd() || '(no output)', note].filter(Boolean).join('\n');

async function foreground(context: RunContext, id: string, call: { command: string; timeoutMs: number }) {
  const { shell, signal } = context;
  signal.throwIfAborted();
  const job = start(context, call.command);
  const timer = new AbortController();
  const timedOut = systemClock.sleep(call.timeoutMs, timer.signal).then(() => undefined);
  const inTime = await untilAborted(Promise.race([job.done, timedOut]), signal).catch(() => job.kill());
  timer.abort();
  const exit = inTime ?? (await job.stop());
  shell.cwd = job.side().trim().split('\n').at(-1) || shell.cwd;
  const output = limited(context, job.output(), id);
  if (signal.aborted) throw new Error(joined(output, '[stopped: the work was cancelled]'));
  if (!inTime) return joined(output, `[timed out after ${call.timeoutMs} ms and was killed]`);
  return joined(output, exit.code === 0 ? '' : endNote(exit));
}

function background(context: RunContext, command: string): string {
  const { session, shell, run } = context;
  // Never a number of before: the model may still remember it.
  const id = `job${session.records.filter((r) => r.kind === 'job' && r.state === 'started').length + 1}`;
  session.append({ kind: 'job', id, state: 'started' });
  shell.jobs.set(id, { job: start(context, command), runId: run.id, command: head(command, 200) });
  return `Started in the background as ${id}. Read it with bash_output, end it with bash_kill.`;
}

function find({ shell }: RunContext, id: string): Job {
  const found = shell.jobs.get(id);
  if (!found) throw new Error(`There is no background job ${id}; it may have ended with its container.`);
  return found.job;
}

/** What to tell the model about background jobs that ended, or were lost with their container, since it was last told. */
export function endedJobs({ session, shell }: RunContext): string[] {
  const states = new Map(session.records.flatMap((r) => (r.kind === 'job' ? [[r.id, r.state]] : [])));
  return [...states].flatMap(([id, state]) => {
    const found = shell.jobs.get(id);
    const exit = found?.job.exit();
    if (state === 'ended' || (found && !exit)) return [];
    session.append({ kind: 'job', id, state: 'ended' });
    if (!found || !exit) return [`[background job ${id} is gone: its container was stopped]`];
    return [`[background job ${id} (${found.command}) ended: ${endNote(exit)}]`];
  });
}

/** bash, bash_output and bash_kill of one run. */
export function bashTools(context: RunContext): Tool[] {
  return [
    betaZodTool({
      name: 'bash',
      description:
        'Run a bash command in the container. The working directory is kept between calls, variables are not. Output over 30,000 characters is cut in the middle and kept whole in a file.',
      inputSchema: z.object({
        command: z.string().min(1).describe('The bash command. Input is empty, there is no terminal.'),
        timeout_ms: z.int().min(1).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS),
        background: z.boolean().describe('Start it and return at once; for servers and long work.').optional(),
      }),
      run: async ({ command, timeout_ms: timeoutMs, background: inBackground }, call) => {
        if (inBackground) return background(context, command);
        return context.shell.inOrder(() => foreground(context, call?.toolUse.id ?? 'bash', { command, timeoutMs }));
      },
    }),
    betaZodTool({
      name: 'bash_output',
      description: 'The output of a background job so far, and whether it still runs.',
      inputSchema: z.object({
        id: z.string().describe('The job id, e.g. job1.'),
        offset: z.number().int().min(0).describe('Skip this many characters (a former call says how many).').optional(),
      }),
      run: ({ id, offset = 0 }, call) => {
        const job = find(context, id);
        const text = job.output();
        const exit = job.exit();
        const state = exit ? `ended: ${endNote(exit)}` : 'still running';
        const shown = limited(context, text.slice(offset), call?.toolUse.id ?? id);
        return joined(shown, `[${id} ${state}; next offset ${text.length}]`);
      },
    }),
    betaZodTool({
      name: 'bash_kill',
      description: 'End a background job and everything it started.',
      inputSchema: z.object({ id: z.string() }),
      run: async ({ id }) => `${id} ended: ${endNote(await find(context, id).stop())}`,
    }),
  ];
}
