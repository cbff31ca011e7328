// Prepared statements as functions: each is prepared once and called with its parameters, `?1`, `?2`… in their order, or with
// one object for `@named` ones.
import type Database from 'better-sqlite3';
import { z } from 'zod';

export interface BadRow {
  id: number | undefined;
  /** How the query begins. */
  sql: string;
  problem: string;
}

export type Statements = ReturnType<typeof createStatements>;

/** `onBadRow` is told once of each row that its table's schema refuses. */
export function createStatements(db: Database.Database, onBadRow: (row: BadRow) => void) {
  const told = new Set<string>();
  /** Undefined for a row that cannot be used: it must not hide those beside it. */
  function checked<Row>(row: unknown, schema: z.ZodType<Row>, sql: string): Row | undefined {
    const parsed = schema.safeParse(camelCase(row));
    if (parsed.success) return parsed.data;
    const id = z.object({ id: z.number() }).safeParse(row).data?.id;
    const name = `${id} ${sql}`;
    if (!told.has(name)) onBadRow({ id, sql: sql.slice(0, 80), problem: z.prettifyError(parsed.error) });
    told.add(name);
    return undefined;
  }

  /** A query for one row, or a change that returns one. With a schema (types.ts) the row is checked and read by it. */
  function get<Params extends unknown[], Row>(sql: string, schema?: z.ZodType<Row>) {
    const statement = db.prepare<unknown[], Row>(sql);
    return (...params: Params): Row | undefined => {
      const row = statement.get(bind(params));
      return row === undefined || !schema ? row : schema.parse(camelCase(row));
    };
  }
  return {
    get,
    /** A query for rows, or a change that returns them. A row that its schema refuses is set aside: left out, and told to the log. */
    all<Params extends unknown[], Row>(sql: string, schema?: z.ZodType<Row>) {
      const statement = db.prepare<unknown[], Row>(sql);
      return (...params: Params): Row[] => {
        const rows = statement.all(bind(params));
        return schema ? rows.flatMap((row) => checked(row, schema, sql) ?? []) : rows;
      };
    },
    /** The first column of one row. */
    value<Params extends unknown[], Value>(sql: string) {
      const statement = db.prepare<unknown[], Value>(sql).pluck();
      return (...params: Params): Value | undefined => statement.get(bind(params));
    },
    /** The first column of every row. */
    values<Params extends unknown[], Value>(sql: string) {
      const statement = db.prepare<unknown[], Value>(sql).pluck();
      return (...params: Params): Value[] => statement.all(bind(params));
    },
    /** A change; returns how many rows it changed. */
    count<Params extends unknown[]>(sql: string) {
      const statement = db.prepare<unknown[]>(sql);
      return (...params: Params): number => statement.run(bind(params)).changes;
    },
    /** A change; returns whether it changed anything. */
    run<Params extends unknown[]>(sql: string) {
      const statement = db.prepare<unknown[]>(sql);
      return (...params: Params): boolean => statement.run(bind(params)).changes > 0;
    },
  };
}

/** Columns are called `group_id`, what is read from them `groupId`. */
function camelCase(row: unknown): object {
  return Object.fromEntries(Object.entries(Object(row)).map(([name, value]) => [fieldName(name), value]));
}

const fieldNames = new Map<string, string>();

function fieldName(column: string): string {
  const known = fieldNames.get(column);
  if (known !== undefined) return known;
  const name = column.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  fieldNames.set(column, name);
  return name;
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
