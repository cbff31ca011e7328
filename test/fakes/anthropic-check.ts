// The way of a request to its first refusal, in the API's order: route, key, size, headers, JSON, shape, model, rules.
import type { IncomingHttpHeaders } from 'node:http';
import { hasLoneSurrogate } from './anthropic-history.js';
import { BODY_LIMIT_BYTES, brokenRule, shapeProblem } from './anthropic-rules.js';
import type { FaultStep } from './anthropic-serve.js';
import { countBody, type MessagesBody, type ModelProfile, messagesBody } from './anthropic-shape.js';

export interface CheckInput {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  raw: Buffer;
}

export interface CheckContext {
  key: string;
  models: Record<string, ModelProfile>;
  secret: string;
}

const refuse = (fault: number, type: string, message: string): FaultStep => ({ fault, type, message });

/** An accepted body, or what to answer. */
export type Checked = { body: MessagesBody; count: boolean } | FaultStep;

/** Checks one request against everything the fake knows about the API. Never throws. */
export function checkRequest(context: CheckContext, { method, headers, path, raw }: CheckInput): Checked {
  const route = path.split('?')[0] ?? '';
  if (route !== '/v1/messages' && route !== '/v1/messages/count_tokens')
    return refuse(404, 'not_found_error', 'Not found');
  if (method !== 'POST') return refuse(405, 'invalid_request_error', 'Method Not Allowed');
  if (!authorized(context.key, headers)) return refuse(401, 'authentication_error', 'invalid x-api-key');
  if (raw.length > BODY_LIMIT_BYTES) return refuse(413, 'request_too_large', 'Request exceeds the maximum size');
  const version = headers['anthropic-version'];
  if (typeof version !== 'string') return refuse(400, 'invalid_request_error', 'anthropic-version: header is required');
  if (!/^application\/json\b/.test(headers['content-type'] ?? '')) {
    return refuse(400, 'invalid_request_error', 'content-type: must be application/json');
  }
  const source = raw.toString('utf8');
  const parsed = parseBody(source, route.endsWith('count_tokens'));
  if ('fault' in parsed) return parsed;
  const profile = context.models[parsed.body.model];
  if (!profile) return refuse(404, 'not_found_error', `model: ${parsed.body.model}`);
  const betas = new Set((headers['anthropic-beta'] ?? '').toString().split(/\s*,\s*/));
  const problem = brokenRule({ body: parsed.body, betas, version, profile, secret: context.secret });
  return problem === undefined ? parsed : refuse(400, 'invalid_request_error', problem);
}

function authorized(key: string, headers: IncomingHttpHeaders): boolean {
  const given = [headers['x-api-key'], headers.authorization?.replace(/^Bearer /i, '')].filter(
    (value) => value !== undefined,
  );
  return given.length > 0 && given.every((value) => value === key);
}

function parseBody(source: string, count: boolean): Checked {
  const json = safeJson(source);
  if (json === undefined || hasLoneSurrogate(source)) {
    return refuse(
      400,
      'invalid_request_error',
      'The request body is not valid JSON: invalid or lone surrogate, or bad syntax',
    );
  }
  const parsed = count ? countBody.safeParse(json) : messagesBody.safeParse(json);
  if (!parsed.success) return refuse(400, 'invalid_request_error', shapeProblem(parsed.error));
  return { body: { max_tokens: 1, ...parsed.data }, count };
}

function safeJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
