// A run again: in a fresh session, with another model or other words if wanted, dry if wanted.
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import { type Run, runRow } from '../core/types.js';
import type { PromptMessage } from '../wire.js';
import { type Comparison, compare, type RunRecord } from './compare.js';
import type { Store } from './store.js';

export const replayRequest = z.strictObject({
  dry: z.boolean().default(false),
  model: z
    .string()
    .regex(/^[\w.:/@-]{1,200}$/, 'the name of a model')
    .optional(),
  /** In the place of what was asked. */
  prompt: z
    .string()
    .trim()
    .min(1)
    .refine((text) => Buffer.byteLength(text) <= 16_384, 'a prompt may have 16 kB')
    .optional(),
});
export type ReplayRequest = z.infer<typeof replayRequest>;

export interface ReplayDeps {
  store: Store;
  clock: { now(): number };
  /** Without containers of its own nothing holds an agent back. */
  config: { runtime: string };
}

const conflict = (message: string, hint: string) => new PinchError('conflict', message, { hint });

/** Queues it and returns the new run. Throws PinchError `conflict`, which says why it cannot be. Joins a transaction of the caller. */
export function startReplay(
  { store, clock, config }: ReplayDeps,
  first: Run,
  { dry, model, prompt, reportChat }: ReplayRequest & { reportChat?: number },
): Run {
  const problem = problemOf(store, first, dry);
  if (problem) throw problem;
  if (dry && config.runtime === 'process')
    throw conflict('a dry run needs containers, and PINCH_RUNTIME=process has none', 'use PINCH_RUNTIME=docker');
  const { id: replayOf, groupId, chatId, taskId } = first;
  const input = store.runs.input(replayOf);
  const now = clock.now();
  return store.transaction(() => {
    for (let n = 1; ; n += 1) {
      const name = { key: `replay:${replayOf}:${n}`, session: `${dry ? 'dry' : 'replay'}-${replayOf}-${n}` };
      const about = { replayOf, dry, model: model ?? null, prompt: prompt ?? null, reportChat: reportChat ?? null };
      const id = store.runs.enqueue({
        ...name,
        ...about,
        kind: 'replay',
        groupId,
        chatId,
        taskId,
        input,
        runAt: now,
        now,
      });
      const made = id === undefined ? undefined : store.runs.get(id);
      if (!made) continue;
      store.runs.copyMessages(replayOf, made.id);
      store.events.add(made.id, now, 'replay_of', { runId: replayOf, dry });
      store.signal('run:ready');
      return made;
    }
  });
}

/** Why it cannot be run again. */
function problemOf(store: Store, { id, state, groupId, chatId }: Run, dry: boolean): PinchError | undefined {
  if (state === 'ready' || state === 'leased')
    return conflict(`run ${id} is ${state}`, 'wait until it has ended, or stop it');
  if (!store.runs.input(id) && store.messages.ofRun(id).length === 0)
    return conflict(
      `the messages of run ${id} are gone`,
      'they were removed because of their age (PINCH_KEEP_MESSAGES_DAYS)',
    );
  if (!store.groups.get(groupId)) return conflict(`the group of run ${id} is gone`, 'there is nobody to run it again');
  // A dry one sends nothing there.
  if (!dry && store.groups.chat(chatId)?.groupId !== groupId)
    return conflict(`the chat of run ${id} does not belong to its group any more`, 'a dry replay sends nothing there');
  return undefined;
}

/** The messages of a run with other words: in the place of the last that asks, whose files stay. */
export function withPrompt(messages: PromptMessage[], prompt: string | null): PromptMessage[] {
  if (prompt === null) return messages;
  const asks = messages.findLastIndex(({ mayAsk }) => mayAsk !== false);
  return messages.map((message, at) => (at === asks ? { ...message, text: prompt } : message));
}

export const DRY_NOTE =
  '[This is a dry run: an earlier run is repeated to see what you would do. Nothing that you send, plan, ask for or change at a service is carried out, and nobody is asked or told: ' +
  'such a call is answered with "Noted". Go on each time as if it had been done. You can read (files, plain http pages, GET at services); https sites cannot be reached. ' +
  'Your folder is a copy that is thrown away afterwards; where it cannot be written to, say what you would write. Your last text is kept and shown to the owner.]';

function recordOf(store: Store, run: Run): RunRecord {
  const { id } = run;
  return { run, events: store.events.ofRun(id), outbox: store.outbox.ofRun(id), modelCalls: store.usage.ofRun(id) };
}

/** Of a replay; undefined for any other run. */
export function comparisonOf(store: Store, run: Run): Comparison | undefined {
  if (run.replayOf === null) return undefined;
  const original = store.runs.get(run.replayOf);
  return compare(run.replayOf, original && recordOf(store, original), recordOf(store, run));
}

/** As the terminal reads it. */
const side = z.object({
  run: z.number(),
  state: runRow.shape.state,
  models: z.array(z.string()),
  costMicroUsd: z.number(),
  durationMs: z.number().nullable(),
  modelCalls: z.number(),
});
const act = z.object({ what: z.string(), about: z.string(), text: z.string().exactOptional(), at: z.number() });
export const comparisonShape = z.object({
  of: z.number(),
  dry: z.boolean(),
  original: side.nullable(),
  replay: side,
  did: z.array(act),
  would: z.array(act),
  notes: z.array(z.string()),
});
