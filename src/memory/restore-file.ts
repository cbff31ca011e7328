// One memory file back to what it was: the runner in the container is sent it and writes it, within the walls of the container. What the journal says
// afterwards is what the host sent, not what the container claims.
import { atMost, type Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { type Link, post, type Route } from '../gateway/server.js';
import { parse } from '../runs/calls.js';
import type { GroupContainer } from '../sandbox/pool.js';
import { memoryMark, memoryRestored } from '../wire.js';
import type { TakeFound } from './hand-over.js';
import type { RestoreItem, Version } from './rows.js';
import type { Store } from './store.js';
import { termsIn } from './terms.js';

const FILE_MS = 20_000;

export interface FileRestorerDeps {
  store: Store;
  clock: Clock;
  takeFound: TakeFound;
}

export function createFileRestorer({ store, clock, takeFound }: FileRestorerDeps) {
  /** What runners were sent and have not answered, by the id of the line. */
  const sent = new Map<number, { groupId: number; path: string; settle(problem: string | undefined): void }>();
  let lines = 0;

  function send(
    worker: GroupContainer,
    groupId: number,
    file: { path: string; text: string | null; now: string | null },
  ) {
    lines += 1;
    const id = lines;
    const answered = new Promise<{ problem: string | undefined }>((resolve) => {
      sent.set(id, { groupId, path: file.path, settle: (problem) => resolve({ problem }) });
    });
    const ended = worker.closed.then(({ reason }) => ({ problem: `the container ended: ${reason}` }));
    const answer = worker.send({ type: 'restore', id, ...file }) ? Promise.race([answered, ended]) : ended;
    return atMost(clock, FILE_MS, answer).finally(() => sent.delete(id));
  }

  const takeAnswer = async (link: Link, body: unknown): Promise<object> => {
    const { id, problem, found } = parse(memoryRestored, body);
    const wish = sent.get(id);
    if (wish?.groupId !== link.groupId) return {};
    if (found?.path === wish.path) await takeFound(link, found);
    wish.settle(problem);
    return {};
  };
  const routes: Route[] = [post('/memory/restored', takeAnswer)];
  return {
    routes,
    /** Throws PinchError when it is not as before then. */
    async restore(worker: GroupContainer, groupId: number, { path, version, over }: RestoreItem): Promise<void> {
      const found = version === null ? undefined : store.memory.get(version);
      const text = found?.hash ? store.memory.content(found.hash) : undefined;
      if (version !== null && found?.state !== 'deleted' && text === undefined)
        throw new PinchError(
          'not_found',
          `what ${path} was then is not in the journal: too large, no text, or long ago`,
        );
      const newest = store.memory.newest(groupId, path);
      // Killed after this and before the wish was ended, it is done already.
      const isDone = newest?.author === 'restore' && newest.hash === (found?.hash ?? null);
      if (over !== undefined && newest?.id !== over && !isDone)
        throw new PinchError('not_restored', `${path}: it was changed since this was shown (version ${newest?.id})`);
      const now = newest && newest.state !== 'deleted' ? memoryMark(newest.hash, newest.bytes) : null;
      const answer = await send(worker, groupId, { path, text: text ?? null, now });
      const problem = answer ? answer.problem : 'the container did not do it in time';
      if (problem !== undefined) throw new PinchError('not_restored', `${path}: ${problem}`);
      const terms = await termsIn(groupId, text ?? '');
      store.transaction(() => note(store, { groupId, path, now: clock.now() }, { found, text, terms }));
    },
  };
}

type Restored = { found: Version | undefined; text: string | undefined; terms: string };

/** The version that it is now. What was written by somebody tainted stays marked as that. */
function note(
  { memory }: Store,
  { groupId, path, now }: { groupId: number; path: string; now: number },
  { found, text, terms }: Restored,
): void {
  const newest = memory.newest(groupId, path);
  const state = text === undefined ? 'deleted' : 'kept';
  const { hash = null, bytes = 0, sources = [], secrets = [] } = text !== undefined && found ? found : {};
  if (newest?.state === state && newest.hash === hash) return;
  const restores = found ? (found.restores ?? found.id) : null;
  const about = { groupId, path, state, hash, bytes, sources, secrets, restores } as const;
  const id = memory.add({ ...about, author: 'restore', runId: null, at: now }, text ?? null);
  if (terms !== '') memory.putTerms(id, terms);
}
