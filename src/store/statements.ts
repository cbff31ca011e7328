// Prepared statements as functions: each is prepared once and called with its parameters, `?1`, `?2`… in their order, or with
// one object for `@named` ones.
import type Database from 'better-sqlite3';

export type Statements = ReturnType<typeof createStatements>;

export function createStatements(db: Database.Database) {
  function get<Params extends unknown[], Row>(sql: string): (...params: Params) => Row | undefined;
  function get<Params extends unknown[], Row, T>(
    sql: string,
    read: (row: Row) => T,
  ): (...params: Params) => T | undefined;
  function get<Params extends unknown[]>(sql: string, read?: (row: unknown) => unknown) {
    const statement = db.prepare<unknown[]>(sql);
    return (...params: Params) => {
      const row = statement.get(bind(params));
      return row === undefined || !read ? row : read(row);
    };
  }
  function all<Params extends unknown[], Row>(sql: string): (...params: Params) => Row[];
  function all<Params extends unknown[], Row, T>(sql: string, read: (row: Row) => T): (...params: Params) => T[];
  function all<Params extends unknown[]>(sql: string, read: (row: unknown) => unknown = (row) => row) {
    const statement = db.prepare<unknown[]>(sql);
    return (...params: Params) => statement.all(bind(params)).map((row) => read(row));
  }
  return {
    /** A query for one row, or a change that returns one. */
    get,
    /** A query for rows, or a change that returns them. */
    all,
    /** A change; returns how many rows it changed. */
    count<Params extends unknown[]>(sql: string): (...params: Params) => number {
      const statement = db.prepare<unknown[]>(sql);
      return (...params) => statement.run(bind(params)).changes;
    },
    /** A change; returns whether it changed anything. */
    run<Params extends unknown[]>(sql: string): (...params: Params) => boolean {
      const statement = db.prepare<unknown[]>(sql);
      return (...params) => statement.run(bind(params)).changes > 0;
    },
  };
}

/** better-sqlite3 takes `?1` as a parameter named 1, hence the empty place before the first. */
function bind(params: unknown[]): Record<string, unknown> {
  const [first] = params;
  const named = typeof first === 'object' && first !== null ? first : { ...['', ...params] };
  return Object.fromEntries(Object.entries(named).map(([name, value]) => [name, toColumn(value)]));
}

/** Booleans are 0 and 1, lists and objects JSON, what is not given NULL. */
function toColumn(value: unknown): unknown {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'object' && value !== null) return JSON.stringify(value);
  return value ?? null;
}
