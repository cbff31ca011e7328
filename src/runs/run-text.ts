// Runs as people read them in a chat: a line each, or one with what became of it.
import { oneLine, shownLine } from '../core/one-line.js';
import { shortTime } from '../core/times.js';
import type { Run, StoredMessage } from '../core/types.js';
import { isCompaction } from './run-input.js';
import type { Store } from './store.js';

const STATES: Record<Run['state'], string> = {
  ready: 'waits',
  leased: 'works',
  done: 'done',
  dead: 'failed',
  cancelled: 'stopped',
};
const MAX_WHAT_CHARS = 60;
const MAX_WHY_CHARS = 120;

interface TextDeps {
  store: Store;
  now: number;
  timeZone: string;
}

/** `340 ms`, `12 s`, `3 min`, `2 h 5 min`. */
export function lengthText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What it is about: the task, or how its first message begins. `cut` makes it a line for where it is shown; without it one for a chat. */
export function whatOf({ runs, messages }: Pick<Store, 'runs' | 'messages'>, run: Run, cut = shownLine): string {
  const { id } = run;
  const task = runs.input(id);
  if (task) return `task ${task.taskId}: ${cut(task.title, MAX_WHAT_CHARS)}`;
  if (isCompaction(run)) return 'shortening the conversation';
  const text = (firstMessageOf({ messages }, run) ?? messages.ofRun(id).at(-1))?.text;
  return text === undefined ? '' : `“${cut(text, MAX_WHAT_CHARS)}”`;
}

/** The message that a message run began with; its key names it. Later ones of others do not make the run theirs. */
export function firstMessageOf({ messages }: Pick<Store, 'messages'>, { kind, key }: Run): StoredMessage | undefined {
  const id = kind === 'message' ? Number(key.split(':')[2]) : Number.NaN;
  return Number.isInteger(id) ? messages.get(id) : undefined;
}

/** `withGroup`: in a list of all groups. */
export function runLine(deps: TextDeps, run: Run, withGroup: boolean): string {
  const { store, now, timeZone } = deps;
  const cost = store.usage.spentByRun(run.id);
  const length = run.startedAt === null ? '' : lengthText((run.finishedAt ?? now) - run.startedAt);
  const isOpen = run.state === 'ready' || run.state === 'leased';
  const facts = [
    STATES[run.state],
    run.replayOf === null ? '' : `${run.dry ? 'dry, nothing of it left this machine: ' : ''}run ${run.replayOf} again`,
    withGroup ? `\`${store.groups.get(run.groupId)?.folder}\`` : '',
    shortTime(run.createdAt, now, timeZone),
    length,
    cost > 0 ? `$${(cost / 1e6).toFixed(2)}` : '',
    whatOf(store, run),
    run.error && (isOpen || run.state === 'dead') ? `why: ${shownLine(run.error, MAX_WHY_CHARS)}` : '',
  ];
  return `**${run.id}** ${facts.filter(Boolean).join(', ')}`;
}

/** One run, with what it did and what came of it. */
export function runDetails(deps: TextDeps, run: Run, withGroup: boolean): string {
  const { store } = deps;
  const events = store.events.ofRun(run.id);
  const tools = events.flatMap(({ kind, detail }) => (kind === 'tool_started' ? [oneLine(`${detail.tool}`, 40)] : []));
  const counted = [...new Set(tools)].map((name) => `\`${name}\` ${tools.filter((one) => one === name).length}×`);
  const failures = events.flatMap(({ kind, detail }) =>
    kind === 'attempt_failed' ? [shownLine(`${detail.message}`, 300)] : [],
  );
  // Each try says the same when nothing changed between them.
  const reasons = [...new Set(failures)].map((why) => {
    const times = failures.filter((one) => one === why).length;
    return `- ${why}${times > 1 ? ` (${times} tries)` : ''}`;
  });
  const calls = store.usage.ofRun(run.id);
  const models = [...new Set(calls.map(({ model }) => `\`${oneLine(model, 60)}\``))].join(', ');
  const retry = run.state === 'dead' || run.state === 'cancelled' ? [`\`/retry ${run.id}\` tries it again.`] : [];
  return [
    // The reasons stand below, whole.
    runLine(deps, { ...run, error: reasons.length > 0 ? null : run.error }, withGroup),
    `Attempts: ${run.attempt}; model calls: ${calls.length}${models ? ` (${models})` : ''}${counted.length > 0 ? `; tools: ${counted.join(', ')}` : ''}`,
    ...reasons.slice(-5),
    ...retry,
  ].join('\n');
}
