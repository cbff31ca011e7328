// What Pinch is in the middle of, so that the next start knows what the process before it was doing when it ended. The names are in a file that is
// written and not synced: it survives the end of the process, which is what it is for, and costs some microseconds. What ended Pinch twice is set
// aside: its module gives it up, everything else goes on at once.
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from './clock.js';
import type { Db } from './db.js';

/** What an end of the process says about a piece of work, and when that is enough: two ends that the process brought about itself. */
const ITSELF = 3;
/** Killed, or out of memory: three of those, and only where the work holds the process up, so that a kill seldom hits the same one. */
const UNKNOWN = 2;
const ENOUGH = 6;
const MAX_BYTES = 64 * 1024;
const FORGET_MS = 30 * 24 * 3_600_000;

export type Begun = Pick<ReturnType<typeof createBegun>, 'during' | 'isSuspect' | 'isSetAside' | 'forget'>;

interface BegunDeps {
  dataDir: string;
  store: Pick<Db, 'statements' | 'transaction'>;
  clock: Pick<Clock, 'now'>;
  /** It was going on when Pinch ended, for the second time: it is set aside from now on. */
  onSetAside(name: string): void;
}

export function createBegun({ dataDir, store, clock, onSetAside }: BegunDeps) {
  const { rows, run } = store.statements;
  const all = rows(z.object({ name: z.string(), ends: z.number() })).all<[]>('SELECT name, ends FROM suspects');
  const add = run<[name: string, ends: number, now: number]>(
    `INSERT INTO suspects (name, ends, seen_at) VALUES (?1, ?2, ?3)
     ON CONFLICT (name) DO UPDATE SET ends = ends + excluded.ends, seen_at = excluded.seen_at`,
  );
  const remove = run<[name: string]>('DELETE FROM suspects WHERE name = ?1');
  const removeOld = run<[before: number]>('DELETE FROM suspects WHERE seen_at < ?1');
  const suspects = new Map<string, number>();
  const journal = createJournal(join(dataDir, 'begun'));

  function blame(name: string, ends: number): void {
    add(name, ends, clock.now());
    const before = suspects.get(name) ?? 0;
    suspects.set(name, before + ends);
    if (before < ENOUGH && before + ends >= ENOUGH) onSetAside(name);
  }
  function forget(name: string): void {
    if (suspects.delete(name)) remove(name);
  }
  function end(name: string): void {
    journal.ended(name);
    forget(name);
  }

  return {
    /** Reads what the process before this one left. `byItself`: it ended by an error of its own, nobody killed it. */
    start(byItself: boolean): void {
      removeOld(clock.now() - FORGET_MS);
      for (const { name, ends } of all()) suspects.set(name, ends);
      const left = journal.open();
      store.transaction(() => {
        for (const { name, holdsUp } of left) if (byItself || holdsUp) blame(name, byItself ? ITSELF : UNKNOWN);
      });
      journal.empty();
    },
    /** Does `work`, which is known by `name` to the next start should the process end meanwhile, or by the error that it throws. */
    during<T>(name: string, work: () => T): T {
      journal.began(name);
      const result = work();
      if (!(result instanceof Promise)) end(name);
      else {
        journal.goesOn(name);
        const ended = () => end(name);
        void result.then(ended, ended);
      }
      return result;
    },
    /** It was going on when Pinch ended, and has not come to an end since: do one such thing at a time. */
    isSuspect: (name: string): boolean => suspects.has(name),
    isSetAside: (name: string): boolean => (suspects.get(name) ?? 0) >= ENOUGH,
    /** It was given up. */
    forget,
    close: journal.close,
  };
}

/** The file: a line for each beginning and each end. */
function createJournal(file: string) {
  const going = new Set<string>();
  let fd: number | undefined;
  let bytes = 0;
  function write(...lines: string[]): void {
    if (fd === undefined) return;
    if (bytes > MAX_BYTES) {
      ftruncateSync(fd);
      bytes = 0;
      lines.unshift(...[...going].map((name) => `+${name}${LATER}`));
    }
    bytes += writeSync(fd, `${lines.join('\n')}\n`);
  }
  return {
    /** What the process before this one began and did not end. */
    open(): ReturnType<typeof unfinished> {
      const left = existsSync(file) ? unfinished(readFileSync(file, 'utf8')) : [];
      fd = openSync(file, 'a', 0o600);
      return left;
    },
    empty: () => fd !== undefined && ftruncateSync(fd),
    began(name: string): void {
      write(`+${name}`);
      going.add(name);
    },
    /** The process does other things meanwhile. */
    goesOn: (name: string) => write(`+${name}${LATER}`),
    ended(name: string): void {
      going.delete(name);
      write(`-${name}`);
    },
    close(): void {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

/** Behind the name of what goes on while the process does other things. */
const LATER = ' …';

function unfinished(text: string): { name: string; holdsUp: boolean }[] {
  const left = new Map<string, { name: string; holdsUp: boolean }>();
  for (const line of text.split('\n')) {
    const name = line.slice(1).replace(LATER, '');
    if (line.startsWith('+')) left.set(name, { name, holdsUp: !line.endsWith(LATER) });
    if (line.startsWith('-')) left.delete(name);
  }
  return [...left.values()].filter(({ name }) => name !== '');
}
