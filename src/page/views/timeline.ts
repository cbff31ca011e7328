// A run as one list: its messages, model calls, tool calls, what it sent, and everything else that its timeline names. Pure but for reading.
import { oneLine } from '../../core/one-line.js';
import type { Run } from '../../core/types.js';
import { lengthText } from '../format.js';
import type { Store } from '../store.js';
import { texts } from '../texts.js';

const t = texts.run;

export interface Entry {
  /** The same for the same thing, however much came before it. */
  key: string;
  at: number;
  title: string;
  /** As code, e.g. of a tool. */
  name?: string;
  facts: string[];
  costMicroUsd?: number;
  link?: string;
  texts: [label: string, text: string][];
  tone?: 'good' | 'bad' | 'busy' | 'mine';
}

const said = (all: Entry['texts']): Entry['texts'] => all.filter(([, text]) => text !== '');

type Event = ReturnType<Store['events']['ofRun']>[number];

/** In the order of time; things of the same moment as they are listed here. */
export function timelineOf(store: Store, run: Run): Entry[] {
  const events = store.events.ofRun(run.id);
  const ends = new Map(
    events.flatMap((event) => (event.kind === 'tool_finished' ? [[String(event.detail.id), event]] : [])),
  );
  const entries = [
    ...messageEntries(store, run),
    ...callEntries(store, run),
    ...events.filter(({ kind }) => kind !== 'tool_finished').map((event) => eventEntry(event, ends, run)),
    ...sentEntries(store, run),
  ];
  return entries.sort((a, b) => a.at - b.at);
}

const messageEntries = (store: Store, run: Run): Entry[] =>
  store.messages.ofRun(run.id).map(({ id, sentAt, senderName, text, media }) => ({
    key: `message${id}`,
    at: Math.max(sentAt, 0),
    title: t.from(oneLine(senderName, 60)),
    facts: media.map(({ fileName, mimeType }) => oneLine(fileName ?? mimeType ?? '', 80)),
    texts: [['', text]],
    tone: 'mine',
  }));

const callEntries = (store: Store, run: Run): Entry[] =>
  store.usage.ofRun(run.id).map((call, index) => {
    const input = call.inputTokens + call.cacheReadTokens + call.cacheWrite5mTokens + call.cacheWrite1hTokens;
    const isBad = call.status >= 400;
    return {
      key: `call${index}`,
      at: call.at,
      title: t.modelCall,
      name: call.model,
      facts: [
        t.modelFacts(input, call.outputTokens, call.cacheReadTokens),
        lengthText(call.durationMs),
        ...(call.firstByteMs === null ? [] : [t.first(lengthText(call.firstByteMs))]),
        ...(isBad ? [t.status(call.status)] : []),
        ...(call.estimated ? [t.estimated] : []),
        ...(call.stopReason ? [call.stopReason] : []),
      ],
      costMicroUsd: call.costMicroUsd,
      texts: [],
      ...(isBad && { tone: 'bad' as const }),
    };
  });

const sentEntries = (store: Store, run: Run): Entry[] =>
  store.outbox.ofRun(run.id).map(({ id, createdAt, state, text, file, attempt, error }) => ({
    key: `sent${id}`,
    at: createdAt,
    title: t.answer(state),
    facts: [...(file ? [oneLine(file.fileName, 120)] : []), ...(attempt > 1 ? [t.attempt(attempt)] : [])],
    texts: said([
      ['', text],
      [t.error, error ?? ''],
    ]),
    tone: state === 'dead' ? 'bad' : 'good',
  }));

/** What is said of each kind of event beside its name: the fields that people ask for, in this order. */
const FACTS = [
  'method',
  'about',
  'service',
  'tool',
  'host',
  'port',
  'path',
  'verdict',
  'why',
  'status',
  'attempt',
  'container',
  'messages',
  'chat',
  'bytes',
  'parts',
  'errorClass',
  'next',
  'outcome',
  'state',
  'was',
];
const TEXTS = ['what', 'message', 'text', 'question', 'choices', 'result', 'error', 'secret', 'where'];
const BAD = new Set(['attempt_failed', 'message_dead', 'refused', 'budget_refused', 'secret_removed', 'interrupted']);
const names: Record<string, string> = texts.events;

function eventEntry(event: Event, ends: Map<string, Event>, run: Run): Entry {
  const { id, at, kind, detail } = event;
  if (kind === 'tool_started') return toolEntry(event, ends.get(String(detail.id)), run);
  const textOf = (name: string): string =>
    detail[name] === undefined || detail[name] === '' ? '' : String(detail[name]);
  const isHeld = kind === 'held_back';
  const verdict = textOf('verdict');
  const isBad = BAD.has(kind) || verdict === 'refused' || verdict === 'failed';
  return {
    key: `event${id}`,
    at,
    title: names[kind] ?? kind,
    ...(isHeld && { name: textOf('what') }),
    facts: FACTS.map(textOf)
      .filter((text) => text !== '')
      .map((text) => oneLine(text, 200))
      .concat(typeof detail.durationMs === 'number' ? [lengthText(detail.durationMs)] : []),
    texts: said(TEXTS.filter((name) => !(isHeld && name === 'what')).map((name) => ['', textOf(name)])),
    ...(kind === 'replay_of' && { link: `/runs/${textOf('runId')}` }),
    ...(isBad && { tone: 'bad' as const }),
  };
}

function toolEntry({ id, at, detail }: Event, end: Event | undefined, run: Run): Entry {
  const isOver = end !== undefined;
  const isOk = end?.detail.ok === true;
  const took = typeof end?.detail.durationMs === 'number' ? [lengthText(end.detail.durationMs)] : [];
  const isBusy = !isOver && run.state === 'leased';
  const output = typeof end?.detail.output === 'string' ? end.detail.output : '';
  return {
    key: `event${id}`,
    at,
    title: t.tool,
    name: oneLine(String(detail.tool), 80),
    facts: [...(isOver ? [isOk ? t.ok : t.notOk] : isBusy ? [t.working] : []), ...took],
    texts: said([
      [t.input, String(detail.input ?? '')],
      [t.output, output],
    ]),
    ...(isBusy ? { tone: 'busy' as const } : isOver && !isOk && { tone: 'bad' as const }),
  };
}
