// What comes from outside and cannot be taken in: it ended Pinch twice, or was refused again and again. It is set aside, so that what is behind it
// goes on; what it says is kept for the owner.
import { z } from 'zod';
import type { Begun } from './begun.js';
import type { Db } from './db.js';
import type { LoopDeps } from './deps.js';
import { describeError } from './errors.js';
import { oneLine } from './one-line.js';

/** Tries of what throws: channels wait longer from one to the next. */
const MAX_TRIES = 4;
/** How many are counted at the same time. */
const MAX_COUNTED = 1_000;
/** What is kept: of each so many bytes, and the newest so many. */
const MAX_BODY_BYTES = 64 * 1024;
const KEPT = 100;
/** The store's own troubles, which pass: a full disk, a lock. Everything that comes has to wait for it. */
const OF_STORE = /^SQLITE_(?!CONSTRAINT|ERROR|MISMATCH|TOOBIG|RANGE)/;

/** What the sender's platform says makes no sense: to try again would change nothing. */
export class Unreadable extends Error {}

interface Incoming {
  /** The same whenever it comes again. */
  name: string;
  /** What it says, for the owner. */
  raw: unknown;
}

/** Does `work` with what came; undefined when that is set aside. Throws what `work` throws: then it has to come again. */
export type TakeIn = <T>(what: Incoming, work: () => T) => T | undefined;

interface SetAsideDeps extends LoopDeps {
  store: Pick<Db, 'statements' | 'transaction'>;
  begun: Begun;
}

export type SetAside = ReturnType<typeof createSetAside>;

export function createSetAside({ begun, log, notifyOwner, ...deps }: SetAsideDeps) {
  const rows = createRows(deps);
  const tries = createTries();
  let isInside = false;

  function keep({ name, raw }: Incoming, why: string): void {
    const reading = `keep ${name}`;
    // To read it may be what ends Pinch.
    const body = begun.isSuspect(reading)
      ? null
      : begun.during(reading, () => bytesOf(raw).subarray(0, MAX_BODY_BYTES));
    if (!rows.add(name, why, body)) return;
    log.error({ name, why }, 'what came was set aside');
  }
  const takeIn: TakeIn = (what, work) => {
    if (isInside) return work();
    const { name } = what;
    if (begun.isSetAside(name)) return void keep(what, ENDED_US);
    isInside = true;
    try {
      const result = begun.guarded(name, work);
      tries.forget(name);
      return result;
    } catch (error) {
      if (tries.mayGoOn(name, error)) throw error;
      tries.forget(name);
      const why = oneLine(describeError(error), 300);
      begun.setAside(name);
      keep(what, why);
      notifyOwner(`set-aside:${name}`, refusedText(name, why));
      return undefined;
    } finally {
      isInside = false;
    }
  };
  return {
    takeIn,
    /** Newest first. */
    list: rows.newest,
  };
}

function createRows({ store, clock }: Pick<SetAsideDeps, 'store' | 'clock'>) {
  const { rows, run } = store.statements;
  const bytes = z.instanceof(Buffer).transform((body) => body.toString('utf8'));
  const row = z.object({ name: z.string(), why: z.string(), at: z.number(), body: bytes.nullable() });
  const add = run<[name: string, why: string, body: Buffer | null, at: number]>(
    'INSERT INTO set_aside (name, why, body, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING',
  );
  const prune = run<[]>(`DELETE FROM set_aside WHERE id <= (SELECT max(id) FROM set_aside) - ${KEPT}`);
  return {
    newest: rows(row).all<[]>(`SELECT name, why, at, body FROM set_aside ORDER BY id DESC LIMIT ${KEPT}`),
    /** False when it is there. */
    add: (name: string, why: string, body: Buffer | null): boolean =>
      store.transaction(() => {
        const isNew = add(name, why, body, clock.now());
        if (isNew) prune();
        return isNew;
      }),
  };
}

/** Counts what is refused, by name. */
function createTries() {
  const tries = new Map<string, number>();
  return {
    /** Whether it is worth while to try again. */
    mayGoOn(name: string, error: unknown): boolean {
      if (error instanceof Unreadable) return false;
      if (OF_STORE.test(z.object({ code: z.string() }).safeParse(error).data?.code ?? '')) return true;
      const tried = (tries.get(name) ?? 0) + 1;
      tries.delete(name);
      tries.set(name, tried);
      const [oldest = name] = tries.keys();
      if (tries.size > MAX_COUNTED) tries.delete(oldest);
      return tried < MAX_TRIES;
    },
    forget: (name: string): boolean => tries.delete(name),
  };
}

const ENDED_US = 'Pinch ended twice while it was taken in';
const LOOK = 'What it says is kept: `pinch set-aside` shows it.';

const shown = (name: string): string => `"${oneLine(name, 200)}"`;
const refusedText = (name: string, why: string): string =>
  `I could not take in ${shown(name)}: ${why}. I left it out and go on with what came after it. ${LOOK}`;
/** What is told by the module that gives it up. */
const TOLD_ELSEWHERE = /^(outbox|task|slot|approval|run|run-messages|keep) /;

/** What ended Pinch twice. */
export function tellSetAside({ notifyOwner }: Pick<LoopDeps, 'notifyOwner'>, name: string): void {
  if (TOLD_ELSEWHERE.test(name)) return;
  const left = `I ended twice in the middle of ${shown(name)}, so I leave it out and go on with everything else. The log has what went wrong.`;
  notifyOwner(`set-aside:${name}`, /^(message|hook) /.test(name) ? `${left} ${LOOK}` : left);
}

function bytesOf(raw: unknown): Buffer {
  if (typeof raw === 'string' || raw instanceof Uint8Array) return Buffer.from(raw);
  const readable = (_: string, value: unknown) => (value instanceof Uint8Array ? `[${value.length} bytes]` : value);
  return Buffer.from(JSON.stringify(raw, readable) ?? '');
}
