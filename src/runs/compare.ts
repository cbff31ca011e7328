// What a run did beside what its replay did, or a dry one would have done: read from the two timelines and what hangs on them. Pure.
import { oneLine } from '../core/one-line.js';
import type { Run } from '../core/types.js';
import { ANSWER } from './dry.js';

/** One thing with an effect outside. The same `what` and `about` on both sides is the same thing, whatever its text. */
export interface Act {
  /** `message`, `answer`, `file`, `question`, `task`, `service`, `mcp`, `connection`, `approval`, `written file` and so on. */
  what: string;
  about: string;
  text?: string;
  at: number;
}

export interface Side {
  run: number;
  state: Run['state'];
  /** Of its model calls, in the order of their first. */
  models: string[];
  costMicroUsd: number;
  durationMs: number | null;
  modelCalls: number;
}

export interface Comparison {
  /** The run that was repeated. */
  of: number;
  dry: boolean;
  /** Null: it is gone, for it was too old. */
  original: Side | null;
  replay: Side;
  did: Act[];
  would: Act[];
  /** What the lists cannot say. */
  notes: string[];
}

/** What of the store there is of a run. */
export interface RunRecord {
  run: Run;
  events: { at: number; kind: string; detail: Record<string, unknown> }[];
  outbox: { key: string; text: string; createdAt: number }[];
  modelCalls: { model: string; costMicroUsd: number }[];
}

/** A file of the group, by its path. */
export const WRITTEN = 'written file';
const MAX_TEXT_CHARS = 20_000;

export function compare(of: number, original: RunRecord | undefined, replay: RunRecord): Comparison {
  return {
    of,
    dry: replay.run.dry,
    original: original ? sideOf(original) : null,
    replay: sideOf(replay),
    did: original ? actsOf(original) : [],
    would: actsOf(replay),
    notes: [original, replay].flatMap((one) => (one && hidesFiles(one) ? [noteOf(one)] : [])),
  };
}

/** Of a dry run everything that changed in its folder is known. */
const hidesFiles = ({ run, events }: RunRecord): boolean =>
  !run.dry && events.some(({ kind, detail }) => kind === 'tool_started' && detail.tool === 'bash');
const noteOf = ({ run }: RunRecord): string =>
  `Run ${run.id} ran commands: files that commands wrote are not listed, but for its memory.`;

function sideOf({ run, modelCalls }: RunRecord): Side {
  const { id, state, startedAt, finishedAt } = run;
  return {
    run: id,
    state,
    models: [...new Set(modelCalls.map(({ model }) => model))],
    costMicroUsd: modelCalls.reduce((sum, call) => sum + call.costMicroUsd, 0),
    durationMs: startedAt === null || finishedAt === null ? null : finishedAt - startedAt,
    modelCalls: modelCalls.length,
  };
}

/** In the order of time. */
function actsOf(record: RunRecord): Act[] {
  const { run, events, outbox } = record;
  const texts = new Map(outbox.map(({ key, text }) => [key, text]));
  const isEnd = ({ key }: { key: string }) => key.startsWith(`${run.id}:end:`);
  const answers = outbox
    .filter(isEnd)
    .map(({ text, createdAt }) => ({ what: ANSWER, about: 'to its chat', text: cut(text), at: createdAt }));
  const acts = events.flatMap(({ at, kind, detail }) => {
    // Whatever wrote them: a tool, or a command.
    if (kind === 'memory_changed')
      return word(detail.files)
        .split(', ')
        .filter(Boolean)
        .map((about) => ({ what: WRITTEN, about, at }));
    const act = READ[kind]?.(detail, (key) => texts.get(`${run.id}:${key}`));
    if (!act) return [];
    const { what, about, text } = act;
    return [{ what, about, ...(text && { text: cut(text) }), at }];
  });
  return merged([...acts, ...answers].sort((one, other) => one.at - other.at));
}

const cut = (text: string): string => text.slice(0, MAX_TEXT_CHARS);

/** What was said or done several times in the same words stands once, and a file that was written once as it became. */
function merged(acts: Act[]): Act[] {
  const shown = new Map<string, Act>();
  for (const act of acts) {
    const { what, about, text } = act;
    const key = JSON.stringify(what === WRITTEN ? [what, about] : [what, about, text]);
    const first = shown.get(key);
    if (!first || (text && !first.text)) shown.set(key, { ...act, at: first?.at ?? act.at });
  }
  return [...shown.values()];
}

type Detail = Record<string, unknown>;
type Found = { what: string; about: string; text?: string | undefined } | undefined;
const word = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? `${value}` : '');

/** What was held back stands there as that. */
const called = (what: string, verdict: unknown, about: string): Found =>
  verdict === 'held' ? undefined : { what: verdict === 'allowed' ? what : `${what}, ${word(verdict)}`, about };

/** By the kind of an event: what was done, with the text of the message that it names. */
const READ: Record<string, (detail: Detail, textOf: (key: string) => string | undefined) => Found> = {
  held_back: ({ what, about, text }) => ({
    what: word(what),
    about: word(about),
    ...(typeof text === 'string' && { text }),
  }),
  message_queued: ({ chat, key }, textOf) => ({ what: 'message', about: `to ${word(chat)}`, text: textOf(word(key)) }),
  file_queued: ({ path, key }, textOf) => ({ what: 'file', about: word(path), text: textOf(word(key)) || undefined }),
  asked: ({ question, choices }) => ({ what: 'question', about: word(question), text: word(choices) || undefined }),
  task_changed: ({ about, text }) => ({ what: 'task', about: word(about), text: word(text) || undefined }),
  approval_asked: ({ what }) => ({ what: 'approval', about: word(what) }),
  service: ({ service, method, path, verdict }) =>
    called('service', verdict, `${word(method)} ${word(service)} ${word(path)}`),
  mcp: ({ service, tool, verdict }) => called('mcp', verdict, `${word(service)} ${word(tool)}`),
  egress: ({ host, port, verdict }) => ({
    what: verdict === 'allowed' ? 'connection' : `connection, ${word(verdict)}`,
    about: `${word(host)}:${word(port)}`,
  }),
  tool_started: ({ tool, input }) =>
    tool === 'write' || tool === 'edit' ? { what: WRITTEN, about: pathIn(word(input)) } : undefined,
};

/** The input of a tool may be cut. */
const pathIn = (input: string): string =>
  (/"path":\s*"((?:[^"\\]|\\.)*)"/.exec(input)?.[1] ?? '').replace(/^\/workspace\//, '');

/** For people: what only one of the two did, what both did, and what it cost. `width`: of a line with both sides; 0: one below the other. */
export function comparisonText(comparison: Comparison, width = 0): string {
  const { of, dry, original, replay, did, would } = comparison;
  const title = dry
    ? `Run ${replay.run} was run ${of} again, dry: nothing of it left this machine.`
    : `Run ${replay.run} was run ${of} again.`;
  const heads = [`Run ${of} did`, dry ? `Run ${replay.run} would have done` : `Run ${replay.run} did`];
  const rows = pairs(did, would).map(([left, right]) => [left && line(left), right && line(right)]);
  const sums = [original ? sideText(original) : 'it is gone', sideText(replay)];
  const end = comparison.notes.length > 0 ? ['', ...comparison.notes] : [];
  return [title, ...(width > 0 ? besides(heads, [...rows, sums], width) : below(heads, rows, sums)), ...end].join('\n');
}

const line = ({ what, about, text }: Act): string =>
  oneLine(`${what}: ${[about, text].filter(Boolean).join(' — ')}`, 160);

function sideText({ state, models, costMicroUsd, durationMs }: Side): string {
  const took = durationMs === null ? [] : [`${(durationMs / 1_000).toFixed(1)} s`];
  return [state, ...models, `$${(costMicroUsd / 1_000_000).toFixed(4)}`, ...took].join(', ');
}

/** What both did stands in one row, in the order of the first side; what only the second did comes after. */
export function pairs(did: Act[], would: Act[]): [Act | undefined, Act | undefined][] {
  const left = [...would];
  const rows = did.map((act): [Act | undefined, Act | undefined] => {
    const at = left.findIndex(({ what, about }) => what === act.what && about === act.about);
    return [act, at < 0 ? undefined : left.splice(at, 1)[0]];
  });
  return [...rows, ...left.map((act): [undefined, Act] => [undefined, act])];
}

const NOTHING = '–';

function below([first, second]: string[], rows: (string | undefined)[][], [sum, otherSum]: string[]): string[] {
  const listed = (at: number) => rows.flatMap((row) => (row[at] ? [`- ${row[at]}`] : []));
  const side = (head = '', at: number, end = '') => [
    '',
    `${head} (${end}):`,
    ...(listed(at).length > 0 ? listed(at) : ['- nothing']),
  ];
  return [...side(first, 0, sum), ...side(second, 1, otherSum)];
}

function besides(heads: string[], rows: (string | undefined)[][], width: number): string[] {
  const half = Math.floor((width - 3) / 2);
  const cell = (text = NOTHING): string[] => {
    const characters = [...text];
    const count = Math.max(1, Math.ceil(characters.length / half));
    return Array.from({ length: count }, (_, at) => characters.slice(at * half, (at + 1) * half).join(''));
  };
  return [heads, ...rows].flatMap(([left, right]) => {
    const [one, other] = [cell(left), cell(right)];
    const lines = Math.max(one.length, other.length);
    return Array.from({ length: lines }, (_, at) => `${(one[at] ?? '').padEnd(half)} | ${other[at] ?? ''}`.trimEnd());
  });
}
