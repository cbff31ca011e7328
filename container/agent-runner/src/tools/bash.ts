// bash, bash_output, bash_kill: commands in process groups of their own, cwd kept, output limited, the whole of it on file.
import fs from 'node:fs';
import path from 'node:path';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { z } from 'zod';
import { systemClock } from '../../../../src/clock.js';
import type { Exit, Job } from '../processes.js';
import { cutMiddle, head } from '../text.js';
import type { Tool, ToolContext } from './context.js';

const MAX_CHARS = 30_000;
const DEFAULT_TIMEOUT_MS = 120_000;
const MAX_TIMEOUT_MS = 600_000;
/** Everything else of the runner's environment stays out of reach of commands. */
const ENV_ALLOWED =
  /^(PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TMPDIR|(https?|no|all)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR))$/i;
// One stream for both outputs keeps their order; the directory is told on descriptor 3 however the command ends.
const SCRIPT = 'exec 2>&1; trap \'pwd >&3\' EXIT; eval "$1"';

/** The environment commands get: allow-listed names, no terminal, the run's time zone. */
export function commandEnv(env: NodeJS.ProcessEnv, timeZone: string): Record<string, string> {
  const allowed = Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && ENV_ALLOWED.test(name) ? [[name, value]] : [],
  );
  return { ...Object.fromEntries(allowed), TERM: 'dumb', TZ: timeZone };
}

function start(context: ToolContext, command: string): Job {
  const { shell, paths, run } = context;
  if (!fs.existsSync(shell.cwd)) shell.cwd = paths.workspace;
  const env = commandEnv(process.env, run.timeZone);
  return context.processes.start({ file: '/bin/bash', args: ['-c', SCRIPT, 'bash', command], cwd: shell.cwd, env });
}

/** Output for the model; when it is long, the whole text is kept in `<workspace>/.out/<id>.txt`. */
function limited(context: ToolContext, text: string, id: string): string {
  if (text.length <= MAX_CHARS) return text;
  const file = path.join(context.paths.workspace, '.out', `${id}.txt`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  return cutMiddle(text, MAX_CHARS, `full output: ${file}`);
}

function endNote(exit: Exit): string {
  if (exit.signal !== null) return `[killed by ${exit.signal}]`;
  return exit.code === 0 ? '' : `[exit code ${exit.code}]`;
}

function joined(output: string, note: string): string {
  return [output.trimEnd() || '(no output)', note].filter(Boolean).join('\n');
}

async function foreground(
  context: ToolContext,
  id: string,
  { command, timeoutMs }: { command: string; timeoutMs: number },
) {
  if (context.signal.aborted) throw new Error('not run: the work was stopped');
  const job = start(context, command);
  const ended = new AbortController();
  const stopped = new Promise<'aborted'>((resolve) =>
    context.signal.addEventListener('abort', () => resolve('aborted'), { once: true, signal: ended.signal }),
  );
  const timedOut = systemClock.sleep(timeoutMs, ended.signal).then(() => 'timeout' as const);
  const first = await Promise.race([job.done, stopped, timedOut]);
  ended.abort();
  if (first === 'aborted') job.kill();
  const exit = first === 'timeout' ? await job.stop() : await job.done;
  const directory = job.side().trim().split('\n').at(-1);
  if (directory) context.shell.cwd = directory;
  const output = limited(context, job.output(), id);
  if (first === 'aborted') throw new Error(joined(output, '[stopped: the work was cancelled]'));
  if (first === 'timeout') return joined(output, `[timed out after ${timeoutMs} ms and was killed]`);
  return joined(output, endNote(exit));
}

function background(context: ToolContext, command: string): string {
  const { jobs } = context.shell;
  let number = jobs.size + 1;
  while (jobs.has(`job${number}`) || jobKnown(context, `job${number}`)) number++;
  const id = `job${number}`;
  context.session.append({ kind: 'job', id, state: 'started' });
  jobs.set(id, { job: start(context, command), runId: context.run.id, command: head(command, 200) });
  return `Started in the background as ${id}. Read it with bash_output, end it with bash_kill.`;
}

function jobKnown(context: ToolContext, id: string): boolean {
  return context.session.records.some((r) => r.kind === 'job' && r.id === id);
}

function find(context: ToolContext, id: string): Job {
  const found = context.shell.jobs.get(id);
  if (!found) throw new Error(`There is no background job ${id}; it may have ended with its container.`);
  return found.job;
}

/**
 * What to tell the model about background jobs that ended since the last turn, and records that. Jobs that were
 * running when the container was replaced are told as lost.
 */
export function endedJobs(context: Pick<ToolContext, 'session' | 'shell'>): string[] {
  const running = new Set<string>();
  for (const r of context.session.records) {
    if (r.kind === 'job' && r.state === 'started') running.add(r.id);
    else if (r.kind === 'job') running.delete(r.id);
  }
  return [...running].flatMap((id) => {
    const found = context.shell.jobs.get(id);
    const exit = found?.job.exit();
    if (found && !exit) return [];
    context.session.append({ kind: 'job', id, state: 'ended' });
    if (!found || !exit) return [`[background job ${id} is gone: its container was stopped]`];
    return [`[background job ${id} (${found.command}) ended: ${endNote(exit) || '[exit code 0]'}]`];
  });
}

const bashInput = z.object({
  command: z.string().min(1).describe('The bash command. Input is empty, there is no terminal.'),
  timeout_ms: z.number().int().min(1).max(MAX_TIMEOUT_MS).describe('Default 120000, at most 600000.').optional(),
  background: z.boolean().describe('Start it and return at once; for servers and long work.').optional(),
});

/** bash, bash_output and bash_kill of one run. */
export function bashTools(context: ToolContext): Tool[] {
  return [
    betaZodTool({
      name: 'bash',
      description:
        'Run a bash command in the container. The working directory is kept between calls, variables are not. Output over 30,000 characters is cut in the middle and kept whole in a file.',
      inputSchema: bashInput,
      run: async ({ command, timeout_ms, background: inBackground }, call) => {
        if (inBackground) return background(context, command);
        const options = { command, timeoutMs: timeout_ms ?? DEFAULT_TIMEOUT_MS };
        return context.shell.inOrder(() => foreground(context, call?.toolUse.id ?? 'bash', options));
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
        const state = exit ? `ended ${endNote(exit) || '[exit code 0]'}` : 'still running';
        const shown = limited(context, text.slice(offset), call?.toolUse.id ?? id);
        return joined(shown, `[${id} ${state}; next offset ${text.length}]`);
      },
    }),
    betaZodTool({
      name: 'bash_kill',
      description: 'End a background job and everything it started.',
      inputSchema: z.object({ id: z.string() }),
      run: async ({ id }) => {
        const exit = await find(context, id).stop();
        return `${id} ended ${endNote(exit) || '[exit code 0]'}`;
      },
    }),
  ];
}
