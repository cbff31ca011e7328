// How a run goes on, made from its timeline: what it does now, its list of steps, what the model said on the way. Pure; all texts in one place
// (those of the tools: steps.ts). The timeline comes from a container: everything is bounded.
import { oneLine } from '../core/one-line.js';
import { markdownStep, plainStep, type Step, shownWords, stepOf, withoutSecrets } from './steps.js';
import type { createEvents } from './timeline.js';

type Events = ReturnType<typeof createEvents>;

export interface ProgressEvent {
  id: number;
  kind: string;
  detail: Record<string, unknown>;
}

interface TodoItem {
  text: string;
  state: 'pending' | 'in_progress' | 'done';
}

export interface Progress {
  /** The newest event in it. */
  lastId: number;
  /** Tool calls that have not ended, by id. */
  open: Map<string, Call>;
  /** The last ones that have. */
  past: (Call & { ok: boolean })[];
  isRetrying: boolean;
  /** The list, as the tool wrote it. */
  todo: string;
  /** What the model wrote before its last tool calls. */
  said: string;
}

/** As the container told it: put into words when it is shown, which most never are. */
interface Call {
  tool: string;
  input: string;
}

const MAX_OPEN = 20;
const MAX_PAST = 5;
const MAX_WORDS = 300;
const MAX_ITEMS = 100;
const MAX_SHOWN_ITEMS = 8;
const MAX_ITEM = 80;

export const noProgress = (): Progress => ({
  ...{ lastId: 0, open: new Map(), past: [], isRetrying: false, todo: '', said: '' },
});

/** Takes in the next event of the run. */
export function follow(progress: Progress, { id, kind, detail }: ProgressEvent): void {
  progress.lastId = id;
  const text = (name: string) => (typeof detail[name] === 'string' ? detail[name] : '');
  progress.isRetrying = kind === 'model_retry' || (progress.isRetrying && kind === 'note');
  if (kind === 'claimed') progress.open.clear();
  if (kind === 'tool_started' && progress.open.size < MAX_OPEN)
    progress.open.set(text('id'), { tool: text('tool'), input: text('input') });
  if (kind === 'tool_finished') finish(progress, text('id'), detail.ok === true);
  if (kind !== 'note') return;
  if (text('said')) progress.said = text('said');
  if (text('todo')) progress.todo = text('todo');
}

/** Takes in what is new of the run, and reads nothing else. */
export function catchUp({ ofRunAfter }: Pick<Events, 'ofRunAfter'>, runId: number, progress: Progress): void {
  for (;;) {
    const more = ofRunAfter(runId, progress.lastId);
    for (const event of more) follow(progress, event);
    if (more.length === 0) return;
  }
}

function finish(progress: Progress, id: string, ok: boolean): void {
  const call = progress.open.get(id);
  progress.open.delete(id);
  if (call) progress.past = [...progress.past, { ...call, ok }].slice(-MAX_PAST);
}

/** The list as check boxes, which is how the tool writes it. */
function todoOf(text: string): TodoItem[] {
  const lines = text.split('\n').slice(0, MAX_ITEMS);
  return lines.flatMap((line) => {
    const [, mark, words = ''] = /^- \[([ ~x])\] (.+)$/.exec(line) ?? [];
    if (mark === undefined) return [];
    const state = mark === 'x' ? 'done' : mark === '~' ? 'in_progress' : 'pending';
    return [{ text: oneLine(withoutSecrets(words), MAX_ITEM), state }];
  });
}

const wordsOf = ({ said }: Progress): string => oneLine(withoutSecrets(said), MAX_WORDS);

function nowDoing({ open, isRetrying }: Progress): Step {
  const call = [...open.values()].at(-1);
  if (call) return stepOf(call.tool, call.input);
  return { text: isRetrying ? 'Waiting for the model, which did not answer' : 'Thinking' };
}

/** For programs and the page. */
export const progressView = (progress: Progress) => ({
  step: plainStep(nowDoing(progress)),
  words: wordsOf(progress),
  todo: todoOf(progress.todo),
});

export function progressOf(events: ProgressEvent[]) {
  const progress = noProgress();
  for (const event of events) follow(progress, event);
  return progressView(progress);
}

const MARKS = { done: '☑', in_progress: '▸', pending: '☐' } as const;

interface Shown {
  elapsedMs: number;
  /** With what it did before. */
  full: boolean;
  /** There is a button that stops it. */
  hasButton?: boolean;
}

/** The message in a chat, Markdown. */
export function progressText(progress: Progress, { elapsedMs, full, hasButton = true }: Shown): string {
  const words = wordsOf(progress);
  const todo = todoOf(progress.todo);
  const from = Math.max(
    0,
    Math.min(todo.findIndex(({ state }) => state !== 'done') - 2, todo.length - MAX_SHOWN_ITEMS),
  );
  const items = todo.slice(from, from + MAX_SHOWN_ITEMS);
  const isLong = todo.length > items.length;
  const done = todo.filter(({ state }) => state === 'done').length;
  return [
    `**Working** · ${timeText(elapsedMs)}`,
    ...(words ? [shownWords(words, MAX_WORDS)] : []),
    ...items.map(({ text, state }) => `${MARKS[state]} ${shownWords(text, MAX_ITEM)}`),
    ...(isLong ? [`${done} of ${todo.length} done`] : []),
    ...(full
      ? progress.past.map(({ tool, input, ok }) => `${ok ? '✓' : '✗'} ${markdownStep(stepOf(tool, input))}`)
      : []),
    `${markdownStep(nowDoing(progress))}…`,
    ...(hasButton ? [] : ['`/stop` ends it.']),
  ].join('\n');
}

function timeText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1_000))} s`;
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
