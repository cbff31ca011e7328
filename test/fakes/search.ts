// The search engines Brave, Tavily and SearXNG on 127.0.0.1, as strict as the real ones: what they do not know, they refuse in their own words.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';

export interface Found {
  title: string;
  url: string;
  snippet: string;
  date?: string;
}
type EngineName = 'brave' | 'tavily' | 'searxng';

export interface FakeSearch {
  url: string;
  /** What was searched for, of searches that were answered. */
  queries: string[];
  /** What every search finds. */
  found: Found[];
  /** When set, the next search is answered so. */
  fail: { status: number; body: string } | undefined;
  /** SearXNG: the formats in its settings. */
  formats: string[];
  close(): Promise<void>;
}

type Answer = { status: number; body: object | string };
interface Asked {
  method: string;
  path: string;
  params: URLSearchParams;
  request: IncomingMessage;
  body: string;
}

const isOneOf = (params: URLSearchParams, schema: z.ZodType) => schema.safeParse(Object.fromEntries(params)).success;
const braveParams = z.strictObject({
  q: z.string().min(1).max(400),
  count: z.coerce.number().int().min(1).max(20).optional(),
  text_decorations: z.enum(['true', 'false']).optional(),
  result_filter: z.literal('web').optional(),
});
const tavilyBody = z.strictObject({
  query: z.string().min(1).max(400),
  max_results: z.int().min(0).max(20).optional(),
});
const searxngParams = z.strictObject({ q: z.string().min(1), format: z.enum(['json', 'csv', 'rss']).optional() });

const braveError = (code: string, detail: string): Answer => ({
  status: 422,
  body: { type: 'ErrorResponse', error: { id: '1', status: 422, code, detail } },
});

function brave({ found, queries }: FakeSearch, key: string, { method, path, params, request }: Asked): Answer {
  if (path !== '/res/v1/web/search' || method !== 'GET') return { status: 404, body: 'Not Found' };
  if (request.headers['x-subscription-token'] !== key)
    return braveError('SUBSCRIPTION_TOKEN_INVALID', 'The provided subscription token is invalid.');
  if (!isOneOf(params, braveParams)) return braveError('VALIDATION', 'Unable to validate request parameter(s)');
  queries.push(params.get('q') ?? '');
  const html = (words: string) => words.replaceAll('&', '&amp;').replaceAll("'", '&#x27;').replaceAll('"', '&quot;');
  const results = found.map(({ title, url, snippet, date }) => ({
    ...{ type: 'search_result', title: html(title), url, description: `<strong>${html(snippet)}</strong>` },
    ...(date && { page_age: `${date}T08:00:00`, age: 'November 2, 2026' }),
  }));
  return {
    status: 200,
    body: { type: 'search', query: { original: params.get('q') }, web: { type: 'search', results } },
  };
}

function tavily({ found, queries }: FakeSearch, key: string, { method, path, request, body }: Asked): Answer {
  if (path !== '/search' || method !== 'POST') return { status: 404, body: { detail: 'Not Found' } };
  if (request.headers.authorization !== `Bearer ${key}`)
    return { status: 401, body: { detail: { error: 'Unauthorized: missing or invalid API key.' } } };
  const asked = tavilyBody.safeParse(JSON.parse(body)).data;
  if (!asked || request.headers['content-type'] !== 'application/json')
    return { status: 400, body: { detail: { error: 'Invalid request' } } };
  queries.push(asked.query);
  const results = found.map(({ title, url, snippet, date }) => ({
    ...{ title, url, content: snippet, score: 0.9, raw_content: null },
    ...(date && { published_date: date }),
  }));
  return { status: 200, body: { query: asked.query, answer: null, images: [], results, response_time: 1.2 } };
}

function searxng({ found, queries, formats }: FakeSearch, _key: string, { method, path, params }: Asked): Answer {
  if (path !== '/search' || method !== 'GET') return { status: 404, body: '<html>Page not found</html>' };
  if (!isOneOf(params, searxngParams)) return { status: 400, body: '<html>Invalid</html>' };
  if (!formats.includes(params.get('format') ?? 'html')) return { status: 403, body: '<html>Forbidden</html>' };
  queries.push(params.get('q') ?? '');
  const results = found.map(({ title, url, snippet, date }) => ({
    ...{ title, url, content: snippet, engine: 'x', publishedDate: date ? `${date}T00:00:00` : null },
  }));
  const unresponsive =
    found.length === 0
      ? [
          ['google', 'CAPTCHA'],
          ['qwant', 'timeout'],
        ]
      : [];
  return { status: 200, body: { query: params.get('q'), results, answers: [], unresponsive_engines: unresponsive } };
}

const engines = { brave, tavily, searxng };

/** Starts one of them; `key` is what its user has to send. `close` ends all connections. */
export async function startFakeSearch(engine: EngineName, key: string): Promise<FakeSearch> {
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const { pathname: path, searchParams: params } = new URL(request.url ?? '', 'http://x');
    const body = await text(request);
    const asked = { method: request.method ?? '', path, params, request, body };
    const answer = fake.fail ?? engines[engine](fake, key, asked);
    fake.fail = undefined;
    const isText = typeof answer.body === 'string';
    response.writeHead(answer.status, { 'content-type': isText ? 'text/html' : 'application/json' });
    response.end(isText ? answer.body : JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const fake: FakeSearch = {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    queries: [],
    found: [],
    fail: undefined,
    formats: ['html', 'json'],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return fake;
}
