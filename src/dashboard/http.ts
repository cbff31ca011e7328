// Small pieces every route shares: checked bodies and queries, and errors as `{error: {code, message, hint?}}`.
import type { Context } from 'hono';
import { z } from 'zod';
import { PinchError } from '../errors.js';

export const MAX_BODY_BYTES = 1024 * 1024;

const statusOf = {
  bad_request: 400,
  unauthorized: 401,
  wrong_host: 403,
  foreign_origin: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  unsupported_media_type: 415,
  too_many_streams: 429,
  internal: 500,
} as const;
export type ApiErrorCode = keyof typeof statusOf;

/** The error a route throws; `errorResponse` turns it into JSON with the status that belongs to `code`. */
export function refuse(code: ApiErrorCode, message: string, hint?: string): PinchError {
  return new PinchError(code, message, hint === undefined ? {} : { hint });
}

export function errorResponse(c: Context, error: PinchError): Response {
  const { code, message, hint } = error;
  return c.json({ error: { code, message, ...(hint === undefined ? {} : { hint }) } }, statusFor(code));
}

/** True for the errors of `refuse`: they are answers, everything else is a fault of ours. */
export function isRefusal(error: unknown): error is PinchError {
  return error instanceof PinchError && Object.hasOwn(statusOf, error.code);
}

function statusFor(code: string) {
  for (const [known, status] of Object.entries(statusOf)) if (known === code) return status;
  return statusOf.internal;
}

/** The JSON body, checked; no body at all is read as `{}`. Throws a refusal. */
export async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const text = await c.req.text();
  if (text === '') return parse(schema, {});
  // Another content type could be sent by a plain HTML form of any page.
  if (!/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? '')) {
    throw refuse('unsupported_media_type', 'send the body as application/json');
  }
  return parse(schema, parseJson(text));
}

/** The query parameters, checked. Throws a refusal. */
export function readQuery<T>(c: Context, schema: z.ZodType<T>): T {
  return parse(schema, c.req.query());
}

export const limitParameter = z.coerce.number().int().min(1).max(1_000).default(100);

/** A row id in a path. Throws `not_found` for anything that cannot be one. */
export function readId(c: Context): number {
  const text = c.req.param('id') ?? '';
  if (!/^\d{1,15}$/.test(text)) throw refuse('not_found', `there is nothing with the id "${text}"`);
  return Number(text);
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw refuse('bad_request', z.prettifyError(parsed.error));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refuse('bad_request', 'the body is not valid JSON');
  }
}
