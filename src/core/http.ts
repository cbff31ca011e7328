// Small pieces every route shares: checked bodies and queries, and errors as `{error: {code, message, hint?}}`.
import type { Context, Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from 'zod';
import { PinchError } from './errors.js';

/** Adds a module's part of the JSON API. main.ts lists them. */
export type Api = (app: Hono) => void;

/** How many rows a list shows. */
export const listLimit = z.coerce.number().int().min(1).max(1_000).default(100);

/** The error a route throws; its own response is the answer. */
export function refuse(status: ContentfulStatusCode, code: string, message: string, hint?: string): HTTPException {
  return new HTTPException(status, { message, res: Response.json({ error: { code, message, hint } }) });
}

const STATUSES: Record<string, ContentfulStatusCode> = { not_found: 404, conflict: 409 };

/** What `work` returns; what it cannot do is refused. */
export function checked<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof PinchError)) throw error;
    throw refuse(STATUSES[error.code] ?? 400, error.code, error.message, error.hint);
  }
}

/** The JSON body, checked; no body at all is read as `{}`. Throws a refusal. */
export async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  if ((await c.req.text()) === '') return parse(schema, {});
  // Another content type could be sent by a plain HTML form of any page.
  if (!/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? '')) {
    throw refuse(415, 'unsupported_media_type', 'send the body as application/json');
  }
  const body: unknown = await c.req.json().catch(() => {
    throw refuse(400, 'bad_request', 'the body is not valid JSON');
  });
  return parse(schema, body);
}

/** A body or query parameters, checked. Throws a refusal. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // One line: a terminal shows it as it is.
  const issues = parsed.error.issues.slice(0, 3).map(({ path, message }) => [...path, message].join(': '));
  throw refuse(400, 'bad_request', issues.join('; '));
}
