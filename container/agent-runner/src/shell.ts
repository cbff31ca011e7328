// A session's shell keeps its directory and background jobs from call to call and run to run, as long as the container lives.
import { exitText, type Job } from './processes.js';
import type { Session } from './session.js';
import type { KeptPage } from './web/document.js';

export type Shell = ReturnType<typeof createShell>;

export function createShell(cwd: string) {
  let last: Promise<unknown> = Promise.resolve();
  return {
    cwd,
    /** What was fetched for it lately, by URL: another session that reads a page has to ask for it, so that the host knows. */
    pages: new Map<string, KeptPage>(),
    jobs: new Map<string, { job: Job; command: string }>(),
    /** Runs one tool call after the other, in the order they were made. */
    inOrder<T>(work: () => Promise<T>): Promise<T> {
      const next = last.then(work);
      last = next.catch(() => undefined);
      return next;
    },
  };
}

/** What to tell the model about background jobs that ended, or were lost with their container, since it was last told. */
export function endedJobs({ session, shell }: { session: Session; shell: Shell }): string[] {
  const states = new Map(session.records.flatMap((r) => (r.kind === 'job' ? [[r.id, r.state]] : [])));
  return [...states].flatMap(([id, state]) => {
    const found = shell.jobs.get(id);
    const exit = found?.job.exit();
    if (state === 'ended' || (found && exit === undefined)) return [];
    session.append({ kind: 'job', id, state: 'ended' });
    if (!found || exit === undefined) return [`[background job ${id} is gone: its container was stopped]`];
    return [`[background job ${id} (${found.command}) ended: [${exitText(exit)}]]`];
  });
}
