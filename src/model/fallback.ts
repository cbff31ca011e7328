// Two models of the owner: while the first is overloaded, attempts of runs work with the second. Goes by the calls that are made and asks nothing
// itself; what it knows is kept, so that a restart does not begin the minutes anew.
import { z } from 'zod';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import type { Db } from '../core/db.js';
import type { Logger } from '../core/log.js';
import { parseJson } from '../gateway/body.js';
import type { createEvents } from '../groups/timeline.js';
import type { ErrorClass } from '../wire.js';
import {
  afterFirst,
  afterSecond,
  changesWithin,
  decideModel,
  type Overload,
  type Overloaded,
  overloaded,
} from './overload.js';
import type { createUsage } from './rows.js';

const KEY = 'model-fallback';
const kept = overloaded.extend({ first: z.string(), second: z.string() });

export interface FallbackDeps {
  config: Pick<Config, 'model' | 'modelFallback' | 'timeZone'>;
  store: Pick<Db, 'settings'> & {
    events: Pick<ReturnType<typeof createEvents>, 'add'>;
    usage: Pick<ReturnType<typeof createUsage>, 'ofRun'>;
  };
  clock: Pick<Clock, 'now'>;
  log: Logger;
}

/** A call was answered, or refused for an overload. */
interface CallEnd {
  runId: number | null;
  model: string;
  startedAt: number;
  overload: Overload | undefined;
}

export type Fallback = ReturnType<typeof createFallback>;

export function createFallback({ config, store, clock, log }: FallbackDeps) {
  const { model: first, modelFallback: second, timeZone } = config;
  let state = load();
  /** The second refused the latest call of it; nothing is lost when a restart forgets it. */
  let isSecondOut = false;

  /** As the last process left it, while the owner has the same two models. */
  function load(): Overloaded | undefined {
    const { data } = kept.safeParse(parseJson(store.settings.get(KEY) ?? ''));
    return data?.first === first && data.second === second ? data : undefined;
  }
  function keep(next: Overloaded | undefined): void {
    if (next === state) return;
    state = next;
    if (next) store.settings.set(KEY, JSON.stringify({ ...next, first, second }));
    else store.settings.remove(KEY);
  }
  function tell(runId: number | null, text: string): void {
    log.warn({ runId }, text);
    if (runId !== null) store.events.add(runId, clock.now(), 'note', { text });
  }
  const time = (at: number) => new Date(at).toLocaleTimeString('sv-SE', { timeZone, timeStyle: 'short' });

  return {
    /** The models that a container may call. */
    models: second === undefined ? [first] : [first, second],
    /** The model that an attempt of the run, which begins now, is to work with. */
    choose(runId: number): string {
      if (second === undefined) return first;
      const decided = decideModel(state, clock.now());
      keep(decided.state);
      if (decided.use === 'first' || !decided.state) return first;
      if (decided.use === 'try') tell(runId, `${first} was overloaded: this attempt tries it again`);
      else tell(runId, `${first} is overloaded since ${time(decided.state.since)}: this attempt works with ${second}`);
      return decided.use === 'try' ? first : second;
    },
    /** The ends of calls, in their order. */
    note({ runId, model, startedAt, overload }: CallEnd): void {
      if (second === undefined) return;
      const [before, now] = [state, clock.now()];
      if (model === second) isSecondOut = overload !== undefined;
      else if (!overload) isSecondOut = false;
      if (model === first) keep(afterFirst(state, { startedAt, overload, now }));
      if (model === second) keep(afterSecond(state, overload !== undefined, now));
      if (before?.fallen && !state) tell(runId, `${first} answers again: it is used from now on`);
    },
    /**
     * What a failed attempt means: it is tried again within so many ms, as another model may answer by then; what the second model refused altogether
     * (it does not exist, its window is too small) waits for the first, as for an overloaded one.
     */
    afterFailure(runId: number, errorClass: ErrorClass): { errorClass: ErrorClass; withinMs?: number | undefined } {
      if (!state || second === undefined) return { errorClass };
      if (errorClass === 'invalid_request' && store.usage.ofRun(runId).at(-1)?.model === second) {
        isSecondOut = true;
        keep(afterSecond(state, true, clock.now()));
        return { errorClass: 'overloaded' };
      }
      if (!/^(overloaded|rate_limit)$/.test(errorClass)) return { errorClass };
      return { errorClass, withinMs: changesWithin(state, clock.now()) };
    },
    /** Whether an overload of one model means no outage for people: the other may answer. */
    covers: () => second !== undefined && !isSecondOut,
    /** While the second works: its name, since when the first is overloaded, and when that is tried again. */
    inUse: () =>
      state?.fallen && second ? { model: second, since: state.since, tryAt: state.fallen.tryAt } : undefined,
  };
}
