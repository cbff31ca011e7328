// A recap as people read it in a chat and in the terminal: short lines, what went wrong with what to do about it, and how to stop and take back. Pure.
import { oneLine, shownLine } from '../core/one-line.js';
import { shortTime } from '../core/times.js';
import type { Recap, RecapRun } from './recap.js';

const MAX_LISTED = 12;
const MAX_WHY_CHARS = 200;
const MAX_NAMES = 4;

const SIGNS: Record<RecapRun['state'], string> = { done: '✓', dead: '✗', cancelled: '–', ready: '…', leased: '…' };

/** As commands are written there: `/undo` in a chat, `pinch undo` in the terminal. */
export interface Words {
  /** `/` or `pinch `. */
  prefix: string;
  run: string;
  stopAll: string;
  /** Makes a line of what others wrote. */
  line(text: string, most: number): string;
  /** Whoever reads may do something about it. */
  mayAct: boolean;
}

export const CHAT_WORDS: Words = { prefix: '/', run: 'runs', stopAll: 'stop all', line: shownLine, mayAct: true };
export const TERMINAL_WORDS: Words = { prefix: 'pinch ', run: 'run', stopAll: 'stop', line: oneLine, mayAct: true };

export const dollars = (microUsd: number): string => `$${(microUsd / 1e6).toFixed(2)}`;

/** `5 runs, $0.64: 4 done, 1 failed`. */
export function sumText({ runs, isCut, done, failed, stopped, open, costMicroUsd }: Recap): string {
  if (runs.length === 0) return 'nothing was done, and nothing was spent';
  const counts = [
    [done, 'done'],
    [failed, 'failed'],
    [stopped, 'stopped'],
    [open, 'not over yet'],
  ] as const;
  const parts = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  const many = `${isCut ? 'the last ' : ''}${runs.length} run${runs.length === 1 ? '' : 's'}`;
  return `${many}, ${dollars(costMicroUsd)}: ${parts.join(', ')}`;
}

export function recapText(recap: Recap, words: Words): string {
  const { since, now, timeZone, runs } = recap;
  // In the order in which it happened; of many, the failed ones and the last.
  const listed = listedOf(runs);
  const more = runs.length - listed.length;
  const code = (command: string) => `\`${words.prefix}${command}\``;
  return [
    `**Since ${shortTime(since, now, timeZone)}**: ${sumText(recap)}.`,
    '',
    ...listed.map((run) => runText(recap, run, words)),
    ...(more > 0 ? [`- and ${more} more: ${code('runs')}`] : []),
    ...recap.missed.map((slot) => missedText(recap, slot, words)),
    ...(listed.length + recap.missed.length > 0 ? [''] : []),
    ...endLines(recap, words),
  ]
    .join('\n')
    .trim();
}

export function listedOf(runs: RecapRun[]): RecapRun[] {
  const failed = runs.filter(({ state }) => state === 'dead').slice(0, MAX_LISTED);
  const others = runs.filter(({ state }) => state !== 'dead').slice(0, MAX_LISTED - failed.length);
  return [...failed, ...others].sort((a, b) => a.at - b.at);
}

function runText({ now, timeZone }: Recap, run: RecapRun, { prefix, line: cut, mayAct }: Words): string {
  const { id, state, at, what, costMicroUsd, why, attempt } = run;
  const facts = [
    costMicroUsd > 0 ? dollars(costMicroUsd) : '',
    state === 'done' && attempt > 1 ? `${attempt} tries` : '',
    { ready: 'waits', leased: 'works', cancelled: 'stopped', done: '', dead: '' }[state],
    `run ${id}`,
  ];
  const line = `- ${SIGNS[state]} ${shortTime(at, now, timeZone)} ${cut(what, 80)} (${facts.filter(Boolean).join(', ')})`;
  if (state !== 'dead') return line;
  const remedy = mayAct ? ` → \`${prefix}retry ${id}\`` : '';
  return `${line}\n  **failed**: ${cut(why ?? 'nobody knows why', MAX_WHY_CHARS)}${remedy}`;
}

const MISSED: Record<string, string> = { missed: 'missed', skipped: 'left out', blocked: 'could not start' };

function missedText({ now, timeZone }: Recap, slot: Recap['missed'][number], { line }: Words): string {
  const times = slot.count > 1 ? `, ${slot.count} times` : '';
  const why = slot.detail ? `: ${line(slot.detail, MAX_WHY_CHARS)}` : '';
  return `- – ${shortTime(slot.slotAt, now, timeZone)} task ${slot.taskId}: ${line(slot.title, 60)} (${MISSED[slot.state] ?? slot.state}${times}${why})`;
}

/** What waits for the reader, and what can be done about the rest. */
function endLines({ failed, approvalsOpen, changed, runs }: Recap, words: Words): string[] {
  if (!words.mayAct) return [];
  const code = (command: string) => `\`${words.prefix}${command}\``;
  const example = runs.find(({ state }) => state === 'dead') ?? runs[0];
  const names = [...new Set(changed.flatMap(({ files }) => files))];
  const shown = names.slice(0, MAX_NAMES).map((name) => oneLine(name, 60).replaceAll('`', "'"));
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : '';
  return [
    ...(approvalsOpen > 0 ? [`Waits for your answer: ${approvalsOpen}, ${code('approvals')}`] : []),
    ...(example ? [`${failed > 0 ? 'Why' : 'More about one'}: ${code(`${words.run} ${example.id}`)}`] : []),
    ...(names.length > 0 ? [`Written to memory: ${shown.join(', ')}${more}. Take it back: ${code('undo')}`] : []),
    `Stop everything: ${code(words.stopAll)}`,
  ];
}
