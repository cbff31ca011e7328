// What `pinch doctor` asks the model back end: whether it answers, and how large a window it gives.
import { PinchError } from '../core/errors.js';
import { askWindow, type HttpBackend } from '../model/window.js';
import { LEAST_WINDOW_TOKENS } from '../wire.js';
import { type CheckDeps, type Finding, failure, ok, skipped, warning } from './finding.js';

const MODEL_MS = 20_000;
/** What a conversation with pages and files needs. */
const GOOD_WINDOW_TOKENS = 32_000;

/** The model, and the one that works while it is overloaded. */
export async function checkModel({ config, mayCall }: CheckDeps): Promise<Finding[]> {
  const { backend, model, modelFallback } = config;
  if (backend.kind === 'demo') return [ok('the demo model answers: no account is configured')];
  const findings: Finding[] = [];
  for (const name of modelFallback ? [model, modelFallback] : [model]) {
    const found = await checkAnswer(backend, name, mayCall);
    findings.push(found);
    if (found.state === 'ok' && !name.startsWith('claude-')) findings.push(await checkWindow(backend, name));
  }
  return findings;
}

/** After a call, so that a server that loads models when they are needed has it in memory. */
async function checkWindow(backend: HttpBackend, model: string): Promise<Finding> {
  const window = await askWindow(backend, model, false);
  if (!window) return skipped(`the server does not say how large the window of ${model} is (docs/backends.md)`);
  const text = `${model} has a window of ${window.tokens} tokens there`;
  if (window.tokens >= GOOD_WINDOW_TOKENS) return ok(text);
  if (window.tokens >= LEAST_WINDOW_TOKENS) return warning(`${text}: enough for short conversations`, window.fix);
  return failure(`${text}; ${LEAST_WINDOW_TOKENS} are needed`, window.fix);
}

/** One answer of one token: says whether key, address and model fit together. */
async function checkAnswer(backend: HttpBackend, model: string, mayCall: CheckDeps['mayCall']): Promise<Finding> {
  const { host } = new URL(backend.baseUrl);
  if (!(await mayCall(`Ask ${model} at ${host} for one word? It costs less than a cent.`)))
    return skipped(`${model} at ${host}: not asked (--yes)`);
  const response = await callModel(backend, model).catch((error: unknown) => {
    const hint = 'check the network and ANTHROPIC_BASE_URL';
    throw new PinchError('model_unreachable', `${host} does not answer`, { hint, cause: error });
  });
  if (response.ok) return ok(`${model} at ${host} answers`);
  const text = `${host} says ${response.status}: ${await response.text()}`;
  if (response.status === 401 || response.status === 403) return failure(text, 'correct ANTHROPIC_API_KEY in .env');
  if (response.status === 404)
    return failure(text, 'correct PINCH_MODEL, PINCH_MODEL_FALLBACK or ANTHROPIC_BASE_URL in .env');
  if (response.status === 429 || response.status >= 500) return warning(text, 'try again later');
  return failure(text, 'do what it says');
}

function callModel(backend: HttpBackend, model: string): Promise<Response> {
  const url = new URL(backend.baseUrl);
  url.pathname = `${url.pathname.replace(/\/(v1\/?)?$/, '')}/v1/messages`;
  const { apiKey, authToken } = backend;
  return fetch(url, {
    method: 'POST',
    signal: AbortSignal.timeout(MODEL_MS),
    headers: {
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      ...(apiKey ? { 'x-api-key': apiKey } : authToken && { authorization: `Bearer ${authToken}` }),
    },
    body: JSON.stringify({ model, max_tokens: 1, messages: [{ role: 'user', content: 'Hi' }] }),
  });
}
