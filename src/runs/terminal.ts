// The terminal's commands about runs.
import { z } from 'zod';
import { systemClock } from '../core/clock.js';
import { oneLine } from '../core/one-line.js';
import { columns, firstOf, reading, shortLength, type TerminalCommand } from '../core/terminal.js';
import { shortTime } from '../core/times.js';
import { runRow, runState } from '../core/types.js';

const shownRun = runRow
  .pick({
    ...{ id: true, state: true, kind: true, attempt: true, error: true },
    ...{ createdAt: true, startedAt: true, finishedAt: true },
  })
  .extend({ what: z.string(), costMicroUsd: z.number(), dry: z.boolean() });
const timeline = z.object({
  run: shownRun,
  waitsFor: z.array(z.unknown()),
  messages: z.array(z.object({ senderName: z.string(), text: z.string() })),
  events: z.array(z.object({ at: z.number(), kind: z.string(), detail: z.record(z.string(), z.unknown()) })),
  modelCalls: z.array(
    z.object({ inputTokens: z.number(), outputTokens: z.number(), costMicroUsd: z.number(), durationMs: z.number() }),
  ),
  outbox: z.array(z.object({ text: z.string(), state: z.string(), error: z.string().nullable() })),
});

const MAX_TEXT = 300;
const SHOWN_RUNS = 30;

export const runTerminal: TerminalCommand[] = [
  {
    usage: 'runs [state]',
    what: `the latest runs (${runState.options.join(', ')})`,
    isEveryday: true,
    words: runState.options,
    call: 'GET /api/runs:state',
    shown: SHOWN_RUNS,
    show: reading(z.object({ runs: z.array(shownRun) }), ({ runs }, { timeZone }, isAll) =>
      runs.length === 0
        ? 'no runs'
        : firstOf(runs, { shown: SHOWN_RUNS, isAll, command: 'runs' }, (some) => runsText(some, timeZone)),
    ),
  },
  {
    usage: 'run <id>',
    what: 'one run with its timeline',
    isEveryday: true,
    call: 'GET /api/runs/:id',
    show: reading(timeline, (answer, { timeZone }) => runText(answer, timeZone)),
  },
  {
    usage: 'retry <id>',
    what: 'try a dead or cancelled run again',
    isEveryday: true,
    call: 'POST /api/runs/:id/retry',
    show: () => 'The run is ready again.',
  },
];

const STATES: Record<string, string> = { ready: 'waits', leased: 'works', dead: 'failed', cancelled: 'stopped' };
const RUN_HEADING = ['RUN', 'STATE', 'BEGAN', 'TOOK', 'TRIES', 'COST', 'WHAT'];

/** Below them what to do about one. */
function runsText(runs: z.infer<typeof shownRun>[], timeZone: string): string {
  const [one] = [...runs.filter(({ state }) => state === 'dead'), ...runs];
  const again = one?.state === 'dead' ? `, pinch retry ${one.id} tries it again` : '';
  return `${columns([RUN_HEADING, ...runs.map((run) => runCells(run, timeZone))])}\n\npinch run ${one?.id} says more${again}; pinch recap sums up since yesterday evening`;
}

function runCells(run: z.infer<typeof shownRun>, timeZone: string): string[] {
  const now = systemClock.now();
  const took = run.startedAt === null ? '' : shortLength((run.finishedAt ?? now) - run.startedAt);
  const cost = run.costMicroUsd ? `$${(run.costMicroUsd / 1e6).toFixed(2)}` : '';
  const began = shortTime(run.startedAt ?? run.createdAt, now, timeZone);
  const state = `${run.dry ? 'dry, ' : ''}${STATES[run.state] ?? run.state}`;
  return [`${run.id}`, state, began, took, `${run.attempt}`, cost, oneLine(run.what, 70)];
}

function runText(answer: z.infer<typeof timeline>, timeZone: string): string {
  const { run, waitsFor, messages, events, modelCalls, outbox } = answer;
  const start = run.startedAt ?? run.createdAt;
  const sum = (key: 'inputTokens' | 'outputTokens' | 'costMicroUsd') =>
    modelCalls.reduce((total, call) => total + call[key], 0);
  const cost = `${modelCalls.length} model calls, ${sum('inputTokens')} tokens in, ${sum('outputTokens')} out, $${(sum('costMicroUsd') / 1_000_000).toFixed(4)}`;
  const after = (at: number) => (at < start ? '' : `+${shortLength(at - start)}`);
  return [
    columns([RUN_HEADING, runCells(run, timeZone)]),
    ...(run.error && run.state !== 'done' ? ['', `Failed: ${oneLine(run.error, 1_000)}`] : []),
    ...(run.state === 'dead' || run.state === 'cancelled' ? [`Try it again: pinch retry ${run.id}`] : []),
    ...(waitsFor.length > 0 ? [`Waits for your answer to: ${waitsFor.map(String).join(', ')}`] : []),
    '',
    ...messages.map(({ senderName, text }) => `${oneLine(senderName, 40)}: ${oneLine(text, MAX_TEXT)}`),
    '',
    columns(events.map(({ at, kind, detail }) => [after(at), kind.replaceAll('_', ' '), detailText(detail)])),
    '',
    cost,
    ...outbox.map(
      ({ text, state, error }) => `${state}: ${oneLine(text, MAX_TEXT)}${error ? ` (${oneLine(error, 100)})` : ''}`,
    ),
  ].join('\n');
}

const detailText = (detail: Record<string, unknown>): string =>
  oneLine(
    Object.entries(detail)
      .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(', '),
    160,
  );
