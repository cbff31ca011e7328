// Prepared statements as functions: each is prepared once and called with its parameters, e.g.
// `rows(groupRow).get<[id: number]>('SELECT * FROM groups WHERE id = ?1')`. Rows are checked against their schema. Single columns are not:
// the tables are STRICT.
import type Database from 'better-sqlite3';
import { z } from 'zod';

export type Statements = ReturnType<typeof createStatements>;

/** A row that its schema refuses: its table and number, where it has one. */
export interface BadRow {
  table: string | undefined;
  id: number | undefined;
  sql: string;
  problem: string;
}

/** `onBadRow` is called once for each row that its schema refuses, with how the query begins. */
export function createStatements(db: Database.Database, onBadRow: (row: BadRow) => void) {
  const reported = new Set<string>();
  function report(row: unknown, sql: string, error: z.ZodError): void {
    const id = z.object({ id: z.number() }).safeParse(row).data?.id;
    const name = `${id} ${sql}`;
    const [, table] = /\b(?:FROM|INTO|UPDATE)\s+(\w+)/.exec(sql) ?? [];
    if (!reported.has(name)) onBadRow({ table, id, sql: sql.slice(0, 80), problem: z.prettifyError(error) });
    reported.add(name);
  }
  return {
    /** Called with the values of `?1`, `?2`…, in this order. */
    ...createQueries(db, bindPositional, report),
    /** Called with one object, whose fields are the `@name`s. */
    named: createQueries(db, bindNamed, report),
  };
}

type Bind<Allowed extends unknown[]> = (params: Allowed) => Record<string, unknown>;

function createQueries<Allowed extends unknown[]>(
  db: Database.Database,
  bind: Bind<Allowed>,
  report: (row: unknown, sql: string, error: z.ZodError) => void,
) {
  return {
    rows<Row>(schema: z.ZodType<Row>) {
      const read = (row: object, sql: string): Row | undefined => {
        const { data, error } = schema.safeParse(row);
        if (error) report(row, sql, error);
        return data;
      };
      return {
        /** A query for one row, or a change that returns one. A row that the schema refuses is reported, and as if it were not there. */
        get<Params extends Allowed>(sql: string) {
          const statement = db.prepare<unknown[], unknown[]>(sql).raw();
          const toObject = objectOf(statement);
          return (...params: Params): Row | undefined => {
            const values = statement.get(bind(params));
            return values && read(toObject(values), sql);
          };
        },
        /** A query for rows, or a change that returns them. A row that the schema refuses is reported and left out: it must not hide the others. */
        all<Params extends Allowed>(sql: string) {
          const statement = db.prepare<unknown[], unknown[]>(sql).raw();
          const toObject = objectOf(statement);
          return (...params: Params): Row[] =>
            statement.all(bind(params)).flatMap((values) => read(toObject(values), sql) ?? []);
        },
      };
    },
    /** The first column of one row. */
    value<Params extends Allowed, Value>(sql: string) {
      const statement = db.prepare<unknown[], Value>(sql).pluck();
      return (...params: Params): Value | undefined => statement.get(bind(params));
    },
    /** A sum or a count; 0 of nothing. */
    total<Params extends Allowed>(sql: string) {
      const statement = db.prepare<unknown[], number | null>(sql).pluck();
      return (...params: Params): number => statement.get(bind(params)) ?? 0;
    },
    /** Whether there is such a row. */
    exists<Params extends Allowed>(sql: string) {
      const statement = db.prepare(sql);
      return (...params: Params): boolean => statement.get(bind(params)) !== undefined;
    },
    /** The first column of every row. */
    values<Params extends Allowed, Value>(sql: string) {
      const statement = db.prepare<unknown[], Value>(sql).pluck();
      return (...params: Params): Value[] => statement.all(bind(params));
    },
    /** A change; returns how many rows it changed. */
    count<Params extends Allowed>(sql: string) {
      const statement = db.prepare(sql);
      return (...params: Params): number => statement.run(bind(params)).changes;
    },
    /** A change; returns whether it changed anything. */
    run<Params extends Allowed>(sql: string) {
      const statement = db.prepare(sql);
      return (...params: Params): boolean => statement.run(bind(params)).changes > 0;
    },
  };
}

/** The values of a row become an object: what the column `group_id` holds is in `groupId`. */
function objectOf(statement: Database.Statement<unknown[], unknown[]>): (values: unknown[]) => object {
  const names = statement.columns().map(({ name }) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()));
  return (values) => Object.fromEntries(names.map((name, index) => [name, values[index]]));
}

/** To SQLite `?1` is a parameter named 1. */
function bindPositional(params: unknown[]): Record<string, unknown> {
  return Object.fromEntries(params.map((value, index) => [index + 1, toColumn(value)]));
}

function bindNamed([fields]: [object]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, toColumn(value)]));
}

/** Booleans are 0 and 1, bytes a BLOB, lists and objects JSON, what is not given NULL. */
function toColumn(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'object' && value !== null) return JSON.stringify(value);
  return value ?? null;
}

/** A column that holds 0 or 1. */
export const flag = z.number().transform((value) => value === 1);

/** A column that holds JSON of this shape. */
export function json<Schema extends z.ZodType>(schema: Schema) {
  const value = z.string().transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'it is no JSON' });
      return z.NEVER;
    }
  });
  return value.pipe(schema);
}
