// What Pinch is in the middle of, so that the next start knows what the process before it was doing when it ended. The names are in a file that is
// written and not synced: it survives the end of the process, which is what it is for, and costs some microseconds. What ended Pinch twice is set
// aside: its module gives it up, everything else goes on at once.
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from './clock.js';
import type { Db } from './db.js';

/** What an end of the process says about a piece of work, and when that is enough: two ends in the middle of it, or right after its beginning. */
const SURE = 3;
/** It had been going on beside other work for a while when somebody killed the process: that says little. */
const UNSURE = 1;
const ENOUGH = 6;
/** So long after its beginning it was no sudden end any more, ms. */
const A_WHILE_MS = 300;
const MAX_BYTES = 64 * 1024;
const FORGET_MS = 30 * 24 * 3_600_000;

export type Begun = Omit<ReturnType<typeof createBegun>, 'start' | 'close'>;

/** How the process before this one ended: by an error of its own, killed (or out of memory), or as it was told to. */
export type LastEnd = 'itself' | 'killed' | 'stopped';

interface BegunDeps {
  dataDir: string;
  store: Pick<Db, 'statements' | 'transaction'>;
  clock: Pick<Clock, 'now' | 'sleep'>;
  /** It was going on when Pinch ended, for the second time: it is set aside from now on. */
  onSetAside(name: string): void;
}

export function createBegun(deps: BegunDeps) {
  const suspects = createSuspects(deps);
  const journal = createJournal(join(deps.dataDir, 'begun'));
  /** What was going on when Pinch ended is tried one at a time: should Pinch end once more, it is known which it was. */
  let trying: Promise<unknown> = Promise.resolve();

  async function goOn<T>(name: string, result: Promise<T>, isOver: (result: T) => boolean): Promise<T> {
    const ended = new AbortController();
    journal.goesOn(name);
    void deps.clock.sleep(A_WHILE_MS, ended.signal).then(() => ended.signal.aborted || journal.lasts(name));
    try {
      const value = await result;
      if (isOver(value)) suspects.forget(name);
      return value;
    } finally {
      ended.abort();
      journal.ended(name);
    }
  }

  return {
    /** Reads what the process before this one left. */
    start(last: LastEnd): void {
      suspects.load(last === 'stopped' ? [] : guilty(journal.left()), last);
      journal.open();
    },
    /** Does `work`, which is known by `name` to the next start should the process end meanwhile, or by the error that it throws. */
    during<T>(name: string, work: () => T): T {
      journal.began(name);
      const result = work();
      journal.ended(name);
      suspects.forget(name);
      return result;
    },
    /** The same, where somebody catches what it throws. */
    guarded<T>(name: string, work: () => T): T {
      journal.began(name);
      try {
        const result = work();
        suspects.forget(name);
        return result;
      } finally {
        journal.ended(name);
      }
    },
    /**
     * The same of what goes on beside other work. Where Pinch ended in the middle of it, it is acquitted by an end of which `isOver` says that it
     * was one: to be put off is none.
     */
    attempt<T>(name: string, work: () => Promise<T>, isOver: (result: T) => boolean = () => true): Promise<T> {
      const begin = () => {
        journal.began(name);
        return goOn(name, work(), isOver);
      };
      if (!suspects.has(name)) return begin();
      const tried = trying.then(begin);
      trying = tried.catch(() => undefined);
      return tried;
    },
    isSetAside: suspects.isSetAside,
    /** Pinch was in the middle of it when it ended, and it has not come to an end since. */
    isSuspect: suspects.has,
    /** Whoever calls tells it. */
    setAside: suspects.setAside,
    /** It was given up. */
    forget: suspects.forget,
    close: journal.close,
  };
}

/** The rows: what Pinch was in the middle of when it ended, and what that says of it. */
function createSuspects({ store, clock, onSetAside }: BegunDeps) {
  const { rows, run } = store.statements;
  const all = rows(z.object({ name: z.string(), ends: z.number() })).all<[]>('SELECT name, ends FROM suspects');
  const add = run<[name: string, ends: number, now: number]>(
    `INSERT INTO suspects (name, ends, seen_at) VALUES (?1, ?2, ?3)
     ON CONFLICT (name) DO UPDATE SET ends = ends + excluded.ends, seen_at = excluded.seen_at`,
  );
  const remove = run<[name: string]>('DELETE FROM suspects WHERE name = ?1');
  const removeOld = run<[before: number]>('DELETE FROM suspects WHERE seen_at < ?1');
  const known = new Map<string, number>();
  function blame(name: string, ends: number): void {
    add(name, ends, clock.now());
    known.set(name, (known.get(name) ?? 0) + ends);
  }
  const isSetAside = (name: string): boolean => (known.get(name) ?? 0) >= ENOUGH;
  return {
    load(left: Going[], last: LastEnd): void {
      removeOld(clock.now() - FORGET_MS);
      for (const { name, ends } of all()) known.set(name, ends);
      store.transaction(() => {
        for (const { name, state } of left) {
          const wasSetAside = isSetAside(name);
          blame(name, last === 'killed' && state === 'lasts' ? UNSURE : SURE);
          if (!wasSetAside && isSetAside(name)) onSetAside(name);
        }
      });
    },
    has: (name: string): boolean => known.has(name),
    isSetAside,
    setAside: (name: string): void => blame(name, ENOUGH),
    forget(name: string): void {
      if (known.delete(name)) remove(name);
    },
  };
}

/** For what is put together without a daemon around it. */
export const unwatched: Begun = {
  during: (_, work) => work(),
  guarded: (_, work) => work(),
  attempt: (_, work) => work(),
  isSetAside: () => false,
  isSuspect: () => false,
  setAside: () => undefined,
  forget: () => undefined,
};

/** `holdsUp`: the process did nothing else; `goesOn`: beside other work; `lasts`: and did so for a while. */
type State = 'holdsUp' | 'goesOn' | 'lasts';
type Going = { name: string; state: State };

/** What held the process up is what ended it, the innermost of it; else it may have been any of what went on. */
function guilty(left: Going[]): Going[] {
  const held = left.filter(({ state }) => state === 'holdsUp').slice(-1);
  return held.length > 0 ? held : left;
}

/** How a line begins that says so. */
const MARKS: Record<State, string> = { holdsUp: '+', goesOn: '…', lasts: '~' };

/** The file: a line for each beginning, each change and each end. */
function createJournal(file: string) {
  const going = new Map<string, State>();
  let fd: number | undefined;
  let bytes = 0;
  function write(line: string): void {
    if (fd === undefined) return;
    let text = `${line}\n`;
    if (bytes > MAX_BYTES) {
      ftruncateSync(fd);
      bytes = 0;
      text = [...going].map(([name, state]) => `${MARKS[state]}${name}\n`).join('') + text;
    }
    bytes += writeSync(fd, text);
  }
  function becomes(name: string, state: State): void {
    write(MARKS[state] + name);
    going.set(name, state);
  }
  return {
    /** What the process before this one began and did not end. */
    left: (): Going[] => (existsSync(file) ? unfinished(readFileSync(file, 'utf8')) : []),
    /** Begins anew. */
    open(): void {
      fd = openSync(file, 'a', 0o600);
      ftruncateSync(fd);
    },
    began: (name: string) => becomes(name, 'holdsUp'),
    goesOn: (name: string) => becomes(name, 'goesOn'),
    lasts: (name: string) => becomes(name, 'lasts'),
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

const STATES: readonly State[] = ['holdsUp', 'goesOn', 'lasts'];

function unfinished(text: string): Going[] {
  const left = new Map<string, State>();
  for (const line of text.split('\n')) {
    const name = line.slice(1);
    const state = STATES.find((one) => line.startsWith(MARKS[one]));
    if (state && name !== '') left.set(name, state);
    if (line.startsWith('-')) left.delete(name);
  }
  return [...left].map(([name, state]) => ({ name, state }));
}
