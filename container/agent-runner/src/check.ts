// The check script of an unattended run: decides without a model call whether the model is woken. Knows nothing about the loop.
import { systemClock } from '../../../src/core/clock.js';
import type { FinishReport } from '../../../src/wire.js';
import type { RunContext } from './context.js';
import { exitText } from './processes.js';
import { cutMiddle, wellFormed } from './text.js';

const LIMIT_MS = 60_000;
/** Stays below 30,000 with the note about what was cut out. */
const MAX_CHARS = 29_900;
const MAX_ERROR_CHARS = 500;
// Only standard output wakes the model. Standard error goes to descriptor 3, apart, to be shown when the script fails.
const SCRIPT = 'exec 2>&3; eval "$1"';

/** `exit` is undefined when the time was up or the run was stopped. */
async function runScript({ run, paths, processes, signal }: RunContext, script: string) {
  const job = processes.start(['-c', SCRIPT, 'bash', script], { cwd: paths.workspace, run });
  const inTime = await Promise.race([job.done, systemClock.sleep(LIMIT_MS, signal)]);
  // Also what it left running in the background.
  job.kill();
  await job.done;
  const exit = signal.aborted ? undefined : (inTime ?? undefined);
  return { exit, output: job.output().trim(), stderr: job.fd3().trim() };
}

/** Runs the check script unless the model was woken before. Returns the report when the run ends; else its output is in the run's message. */
export async function runCheck(context: RunContext): Promise<FinishReport | undefined> {
  const { run, session, host, messages, signal } = context;
  const [message] = messages;
  const script = run.unattended?.check;
  if (script === undefined || !message || session.knows(message.id)) return undefined;
  const { exit, output, stderr } = await runScript(context, script);
  if (signal.aborted && signal.reason.name !== 'TimeoutError') return { outcome: 'cancelled', handledMessageIds: [] };
  if (exit !== 0) {
    const how = exit === undefined ? 'it took too long and was killed' : exitText(exit);
    const said = wellFormed([output, stderr].filter(Boolean).join('\n').slice(-MAX_ERROR_CHARS));
    const why = `the check script failed (${how}): ${said || '(no output)'}`;
    return { outcome: 'failed', errorClass: 'check', message: why, handledMessageIds: [] };
  }
  const note = output === '' ? 'nothing: the model was not woken' : `${output.length} characters: the model is woken`;
  host.event(run.id, 'note', { text: `the check script printed ${note}` });
  // Handled although no history has the message, or the host would start another run for it.
  if (output === '') return { outcome: 'done', text: '', step: 0, handledMessageIds: [message.id] };
  const text = cutMiddle(output, MAX_CHARS, 'print less');
  const { untrusted: payload } = message;
  const both = payload && { source: `${payload.source}, check script`, text: `${payload.text}\n\n${text}` };
  messages[0] = { ...message, untrusted: both ?? { source: 'check script', text } };
  return undefined;
}
