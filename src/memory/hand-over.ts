// What a runner hands over: each changed file of the group's memory becomes a version, with who wrote it, what that run may have read, and whose
// secrets are in it. The host reads no file of a container: all of it comes through the link.
import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import type { Run } from '../core/types.js';
import { type Link, post, type Route } from '../gateway/server.js';
import { parse, unknownThing } from '../runs/calls.js';
import type { Secrets } from '../secrets/secrets.js';
import { MAX_MEMORY_FILES, type MemoryChange, memoryKnown, memoryMark, memoryReport } from '../wire.js';
import { KEPT_VERSIONS, MOST_VERSIONS, type NewVersion } from './rows.js';
import type { Store } from './store.js';
import { termsIn } from './terms.js';

export interface HandOverDeps {
  store: Store;
  clock: Clock;
  secrets: Pick<Secrets, 'mask'>;
}

/** Of one group, all versions together. */
const MAX_JOURNAL_BYTES = 200 * 1024 * 1024;
/** One run makes so many versions of a file; then its last one is replaced: no run can push out what was there before it. */
const VERSIONS_PER_RUN = 5;
/** Takes what a container has of a file and the journal had not; nobody of it knows who wrote that. */
export type TakeFound = (link: Link, change: MemoryChange) => Promise<void>;

export function memoryCalls(deps: HandOverDeps): { routes: Route[]; takeFound: TakeFound } {
  const known = (link: Link) => {
    const there = deps.store.memory.allNewest(link.groupId).filter(({ state }) => state !== 'deleted');
    return memoryKnown.parse({
      files: there.map(({ path, hash, bytes }) => ({ path, mark: memoryMark(hash, bytes) })),
    });
  };
  // One after the other, so that their slices do not add up.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<object>): Promise<object> => {
    const taken = last.then(work);
    last = taken.catch(() => undefined);
    return taken;
  };
  const take = (link: Link, body: unknown) => inTurn(() => takeFiles(deps, link, body));
  return {
    routes: [post('/memory/known', known, { rate: 'memory' }), post('/memory', take, { rate: 'memory' })],
    takeFound: async (link, change) => void (await inTurn(() => keepFound(deps, link, change))),
  };
}

interface Looked {
  change: MemoryChange;
  hash: string | null;
  bytes: number;
  secrets: string[];
  terms: string;
}

async function takeFiles(deps: HandOverDeps, link: Link, body: unknown): Promise<object> {
  const { store } = deps;
  const { runId, outside, files } = parse(memoryReport, body);
  const run = ownRunLately(store, link, runId);
  const isMain = store.groups.get(link.groupId)?.isMain;
  if (!isMain && files.some(({ path }) => path.startsWith('global/'))) throw unknownThing('file');
  const looked: Looked[] = [];
  for (const change of files) looked.push(await lookAt(deps, link.groupId, change));
  // What an attempt finds that began again, the one before it wrote.
  const author = outside && run.attempt === 1 ? 'outside' : 'run';
  store.transaction(() => {
    const sources = sourcesFor(store, link, outside);
    const about = { groupId: link.groupId, author, runId: author === 'run' ? runId : null, sources } as const;
    const taken = looked.filter((one) => record(deps, one, about));
    if (taken.length > 0) tellRun(deps, run, taken, author);
  });
  return {};
}

async function keepFound(deps: HandOverDeps, link: Link, change: MemoryChange): Promise<object> {
  const { store } = deps;
  const found = await lookAt(deps, link.groupId, change);
  store.transaction(() => {
    const sources = sourcesFor(store, link, true);
    record(deps, found, { groupId: link.groupId, author: 'outside', runId: null, sources });
  });
  return {};
}

/** Work is handed over while an attempt ends: the run may be over since, or wait for the next one. Throws `forbidden` for any other. */
function ownRunLately(store: Store, { groupId, startedAt }: Link, runId: number): Run {
  const run = store.runs.get(runId);
  const isOpen = run?.state === 'leased' || run?.state === 'ready';
  if (run?.groupId !== groupId || (!isOpen && (run.finishedAt ?? 0) < startedAt)) throw unknownThing('run');
  return run;
}

async function lookAt({ secrets }: HandOverDeps, groupId: number, change: MemoryChange): Promise<Looked> {
  if (change.state !== 'kept')
    return { change, hash: null, bytes: change.state === 'deleted' ? 0 : change.bytes, secrets: [], terms: '' };
  const names = new Set<string>();
  const mask = secrets.mask((name) => names.add(name));
  const terms = await termsIn(groupId, change.text, (slice) => mask.feed(Buffer.from(slice)));
  mask.end();
  const hash = createHash('sha256').update(change.text).digest('hex');
  const bytes = Buffer.byteLength(change.text);
  return { change, hash, bytes, secrets: [...names], terms };
}

/** What the container may have read since it was started. Of changes from before the run, since the last version: who made them may be gone. */
function sourcesFor({ memory, taints }: Store, { groupId, startedAt }: Link, outside: boolean): string[] {
  if (!taints.isOn(groupId)) return [];
  const since = outside ? Math.min(startedAt, memory.latestAt(groupId) ?? startedAt) : startedAt;
  return [...new Set(taints.allReaching(groupId, since).map(({ source }) => source))];
}

type About = Pick<NewVersion, 'groupId' | 'author' | 'runId' | 'sources'>;

/** False when it is what the journal has already. Throws `no_room`. */
function record({ store, clock }: HandOverDeps, looked: Looked, about: About): boolean {
  const { memory } = store;
  const { change, hash, bytes, secrets, terms } = looked;
  const { groupId, runId } = about;
  const { path, state } = change;
  const newest = memory.newest(groupId, path);
  const isSame = newest?.state === state && newest.hash === hash && newest.bytes === bytes;
  if (isSame || (!newest && state === 'deleted')) return false;
  if (!newest && memory.files(groupId) >= MAX_MEMORY_FILES)
    throw new PinchError('no_room', `the journal keeps ${MAX_MEMORY_FILES} files of a group; delete or join some`);
  const isFull = memory.bytes(groupId) + bytes > MAX_JOURNAL_BYTES;
  memory.prune(groupId, path, isFull ? KEPT_VERSIONS - 1 : MOST_VERSIONS - 1);
  if (isFull && memory.bytes(groupId) + bytes > MAX_JOURNAL_BYTES)
    throw new PinchError('no_room', 'the journal of this group is full');
  if (newest && runId !== null && memory.inARow(groupId, path, runId) >= VERSIONS_PER_RUN) memory.drop(newest.id);
  const version = { ...about, path, state, hash, bytes, secrets, restores: null, at: clock.now() };
  const id = memory.add(version, change.state === 'kept' ? change.text : null);
  if (terms !== '') memory.putTerms(id, terms);
  return true;
}

function tellRun({ store, clock }: HandOverDeps, run: Run, taken: Looked[], author: NewVersion['author']): void {
  if (author !== 'run' || !store.events.hasRoom(run.id)) return;
  const names = taken.map(({ change: { path, state } }) => (state === 'kept' ? path : `${path} (${state})`));
  store.events.add(run.id, clock.now(), 'memory_changed', { files: names.join(', ').slice(0, 1_000) });
}
