// The check script of an unattended run: decides without a model call whether the model is woken. Knows nothing about the loop.
import { systemClock } from '../../../src/core/clock.js';
import type { FinishReport } from '../../../src/wire.js';
import type { RunContext } from './context.js';
import { exitText } from './processes.js';
import { cutMiddle, wellFormed } from './text.js';

const LIMIT_MS = 60_000;
/** With the note about what is missing it stays below 30,000. */
const MAX_CHARS = 29_900;
const MAX_ERROR_CHARS = 500;
// Only what it prints wakes the model; what it complains about is kept apart, on descriptor 3, for the case that it fails.
const SCRIPT = 'exec 2>&3; eval "$1"';

/** `exit` is undefined when the time was up or the run was stopped. */
async function runScript({ run, paths, processes, signal }: RunContext, script: string) {
  const job = processes.start(['-c', SCRIPT, 'bash', script], { cwd: paths.workspace, run });
  const inTime = await Promise.race([job.done, systemClock.sleep(LIMIT_MS, signal)]);
  // Also those it left running: a check that is over leaves nothing behind.
  job.kill();
  await job.done;
  const exit = signal.aborted ? undefined : (inTime ?? undefined);
  return { exit, output: job.output().trim(), complaints: job.side().trim() };
}

/**
 * Runs the check where there is one and the model has not been woken yet. Returns the report when the run ends here;
 * else what the script printed is part of the run's message.
 */
export async function checkFirst(context: RunContext): Promise<FinishReport | undefined> {
  const { run, session, host, messages, signal } = context;
  const [message] = messages;
  const script = run.unattended?.check;
  if (script === undefined || !message || session.knows(message.id)) return undefined;
  const { exit, output, complaints } = await runScript(context, script);
  if (signal.aborted && signal.reason.name !== 'TimeoutError')
    return { outcome: 'cancelled', text: '', handledMessageIds: [] };
  if (exit !== 0) {
    const how = exit === undefined ? 'it took too long and was killed' : exitText(exit);
    const said = wellFormed([output, complaints].filter(Boolean).join('\n').slice(-MAX_ERROR_CHARS));
    const why = `the check script failed (${how}): ${said || '(no output)'}`;
    return { outcome: 'failed', errorClass: 'check', message: why, handledMessageIds: [] };
  }
  const note = output === '' ? 'nothing: the model was not woken' : `${output.length} characters: the model is woken`;
  host.event(run.id, 'note', { text: `the check script printed ${note}` });
  // Done with, though no history has it: to the host, a message that was not handled was not read.
  if (output === '') return { outcome: 'done', text: '', step: 0, handledMessageIds: [message.id] };
  // What a hook received stays beside it.
  const parts = [message.untrusted, { source: 'check script', text: cutMiddle(output, MAX_CHARS, 'print less') }];
  const join = (key: 'source' | 'text', by: string) => parts.flatMap((part) => part?.[key] ?? []).join(by);
  messages[0] = { ...message, untrusted: { source: join('source', ', '), text: join('text', '\n\n') } };
  return undefined;
}
