// The places where what a container says goes out, and where it is told something: no secret of this host passes them. What is found is told in
// the timeline by its name.
import { Transform } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Mask } from './mask.js';
import type { Lookers, Secrets } from './secrets.js';
import { type GuardedStore, guardStore } from './store.js';

interface GuardedFiles {
  keep(key: string, pieces: AsyncIterable<Buffer>): Promise<Buffer>;
}

export interface GuardDeps<Store> {
  secrets: Secrets;
  store: Store;
  clock: Pick<Clock, 'now'>;
  log: Pick<Logger, 'warn'>;
}
type Link = { groupId: number; dryRun?: number };

const MAX_TOLD = 10_000;
const SLICE_BYTES = 64 * 1024;

/** What of them needs no store. */
export type Guards = Omit<ReturnType<typeof createGuards>, 'store'>;

export function createGuards<Store extends GuardedStore>({ secrets, store, clock, log }: GuardDeps<Store>) {
  const guarded = guardStore(secrets, store, tell);
  const told = new Set<string>();

  /** Once for each of these runs and each place. */
  function tell(runIds: number[], secret: string, where: string): void {
    const key = `${runIds} ${secret} ${where}`;
    if (told.has(key)) return;
    if (told.size > MAX_TOLD) told.clear();
    told.add(key);
    log.warn({ runIds, secret, where }, 'a secret was held back');
    for (const runId of runIds)
      if (store.events.hasRoom(runId)) guarded.events.add(runId, clock.now(), 'secret_removed', { secret, where });
  }
  const tellLink = ({ groupId, dryRun }: Link, secret: string, where: string) =>
    tell(store.runs.leasedOf(groupId, dryRun), secret, where);

  return {
    /** The store, whose outgoing messages and timeline hold no secrets; it learns those of new hooks, services and channels. */
    store: guarded,
    /** Files of containers: one with a secret in it is refused. */
    files: <Files extends GuardedFiles>(files: Files): Files => ({
      ...files,
      keep: (key: string, pieces: AsyncIterable<Buffer>) =>
        files.keep(
          key,
          withoutSecrets(secrets, pieces, (secret) => tell([Number.parseInt(key, 10)], secret, 'a file')),
        ),
    }),
    /** For one answer that a container is given. */
    given: (link: Link): Mask => secrets.mask((secret) => tellLink(link, secret, 'what the container was given')),
    ...requestGuards(secrets, tellLink),
  };
}

/** For what a container sends to other hosts; `tell` hears of each secret in it. */
export function requestGuards<Caller>(
  secrets: Pick<Lookers, 'namesIn' | 'mask'>,
  tell: (caller: Caller, secret: string, where: string) => void,
) {
  function refused(caller: Caller, host: string, secret: string | undefined) {
    if (secret === undefined) return undefined;
    tell(caller, secret, `a request to ${host}`);
    return { kind: 'refused' as const, status: 403, reason: `this request ${refusalOf(secret)}` };
  }
  return {
    /** Why a request of these texts is not sent. */
    leaks(caller: Caller, host: string, texts: (string | Buffer)[]) {
      return refused(caller, host, secrets.namesIn(texts)[0]);
    },
    /** The same of bytes that are long, in slices: nothing else would get its turn meanwhile. */
    async leaksIn(caller: Caller, host: string, bytes: Buffer) {
      let found: string | undefined;
      const mask = secrets.mask((secret) => {
        found ??= secret;
      });
      for (let from = 0; from < bytes.length; from += SLICE_BYTES) {
        mask.feed(bytes.subarray(from, from + SLICE_BYTES));
        await setImmediate();
      }
      mask.end();
      return refused(caller, host, found);
    },
    /** Carries a body on, up to a secret, and then never ends; `onFound` gets the reason, once, and breaks off where it goes. */
    body(caller: Caller, host: string, onFound: (reason: string) => void): Transform {
      let found = false;
      const mask = secrets.mask((secret) => {
        tell(caller, secret, `a request to ${host}`);
        if (!found) onFound(`this request ${refusalOf(secret)}`);
        found = true;
      });
      const passed = (bytes: Buffer): Buffer | undefined => (found ? undefined : bytes);
      return new Transform({
        transform: (chunk, _encoding, done) => done(null, passed(mask.feed(chunk))),
        flush(done) {
          const last = passed(mask.end());
          // It has no end then: whoever gets it would take the beginning for all there is.
          if (!found) done(null, last);
        },
      });
    },
  };
}

const refusalOf = (secret: string) =>
  `holds the secret ${secret}, which stays on the host; do not try other ways, tell the user`;

/** Reads all of it also when it is refused: whoever sends it would not get the answer otherwise. */
async function* withoutSecrets(secrets: Secrets, pieces: AsyncIterable<Buffer>, onFound: (secret: string) => void) {
  let found: string | undefined;
  const mask = secrets.mask((secret) => {
    found ??= secret;
    onFound(secret);
  });
  for await (const piece of pieces) {
    mask.feed(piece);
    if (!found) yield piece;
  }
  mask.end();
  if (found) throw new PinchError('forbidden', `this file ${refusalOf(found)}`);
}
