// Prepared statements as functions: each is prepared once and called with its parameters, `?1`, `?2`… in their order, or with
// one object for `@named` ones. Truth values become 1 and 0.
import type { Db } from './index.js';

export type Statements = ReturnType<typeof createStatements>;

export function createStatements(db: Db) {
  return {
    /** Returns the number of rows changed. */
    count<P extends unknown[]>(sql: string) {
      const statement = db.prepare<unknown[]>(sql);
      return (...params: P): number => statement.run(...bind(params)).changes;
    },
    /** Returns whether any row changed. */
    run<P extends unknown[]>(sql: string) {
      const statement = db.prepare<unknown[]>(sql);
      return (...params: P): boolean => statement.run(...bind(params)).changes > 0;
    },
    get<P extends unknown[], Row>(sql: string) {
      const statement = db.prepare<unknown[], Row>(sql);
      return (...params: P): Row | undefined => statement.get(...bind(params));
    },
    all<P extends unknown[], Row>(sql: string) {
      const statement = db.prepare<unknown[], Row>(sql);
      return (...params: P): Row[] => statement.all(...bind(params));
    },
  };
}

function bind(params: unknown[]): object[] {
  if (params.length === 0) return [];
  const [first] = params;
  const isNamed = params.length === 1 && typeof first === 'object' && first !== null;
  const named = isNamed ? Object.entries(first) : params.map((value, index) => [index + 1, value]);
  return [Object.fromEntries(named.map(([name, value]) => [name, typeof value === 'boolean' ? Number(value) : value]))];
}
