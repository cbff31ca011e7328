// What every call of a container is checked by: its body, the run it speaks for.
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import type { Run } from '../core/types.js';
import type { Link } from '../gateway/server.js';
import type { Store } from './store.js';

type Caller = Pick<Link, 'groupId' | 'dryRun'>;

export function leasedRun(store: Store, link: Caller, runId: number): Run | undefined {
  const run = store.runs.get(runId);
  if (run?.groupId !== link.groupId || run.state !== 'leased') return undefined;
  return (run.dry ? run.id : undefined) === link.dryRun ? run : undefined;
}

/** The only runs a link may speak for are leased ones of its group, and for the container of a dry run that one alone. Throws `forbidden` for any other. */
export function ownRun(store: Store, link: Caller, runId: number): Run {
  const run = leasedRun(store, link, runId);
  if (!run) throw unknownThing('run');
  return run;
}

/** A run that may still act: one that somebody stopped may report how it ended, nothing else. Throws `forbidden`. */
export function workingRun(store: Store, link: Caller, runId: number): Run {
  const run = ownRun(store, link, runId);
  if (run.cancelRequested === 1) throw new PinchError('forbidden', 'this run was stopped');
  return run;
}

/** The same text for "not yours" and "not there": a group learns nothing about the others. */
export const unknownThing = (what: string) => new PinchError('forbidden', `there is no such ${what} for this group`);

/** Names the first few things that are wrong: there may be one for each element of a list. */
export const badRequest = ({ issues }: z.ZodError) =>
  new PinchError('bad_request', z.prettifyError({ issues: issues.slice(0, 5) }).slice(0, 2_000));

/** Throws `bad_request`, which names what is wrong. */
export function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw badRequest(parsed.error);
}
