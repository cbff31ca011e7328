// How large a window the owner's model server gives a model, as each kind of server says it, and which setting of it changes that. Some cut off what is
// too long without a word, so it has to be known before.
import { z } from 'zod';
import { type Clock, timeLimit } from '../core/clock.js';
import type { Backend } from '../core/config.js';
import { parseJson } from '../gateway/body.js';
import type { ModelWindow } from '../wire.js';

export type HttpBackend = Extract<Backend, { kind: 'http' }>;

const ASKED_MS = 2_000;
/** A model that is not in memory yet has to be loaded for the run anyway. */
const LOADED_MS = 60_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
const WANTED = 32_768;

type Ask = (path: string, body?: object, ms?: number) => Promise<unknown>;
/** The tokens, `unknown` when it is that kind of server and does not say, undefined when it is another kind. */
type Found = number | 'unknown' | undefined;
interface ModelServer {
  fix(model: string): string;
  find(ask: Ask, model: string, mayLoad: boolean): Promise<Found>;
}

/** What is odd in one model of a list says nothing about the others. */
const tokens = z.int().positive().optional().catch(undefined);
const name = z.string().catch('');
const list = <T extends z.ZodType>(model: T) => z.array(model);

const running = z.object({
  models: list(z.object({ name, model: name, context_length: tokens })),
});
const shown = z.object({ parameters: z.string().optional() });

/** https://docs.ollama.com/api: what is in memory has its window there; what is not has one only if the model's file names it. */
const ollama: ModelServer = {
  fix: () => `start Ollama with OLLAMA_CONTEXT_LENGTH=${WANTED} (in its app: Settings, Context length) and restart it`,
  async find(ask, model, mayLoad) {
    const isIt = ({ name, model: id }: z.infer<typeof running>['models'][number]) =>
      [model, `${model}:latest`].some((one) => one === name || one === id);
    const ofRunning = async () => running.safeParse(await ask('/api/ps')).data?.models;
    let models = await ofRunning();
    if (!models) return undefined;
    if (!models.some(isIt) && mayLoad) {
      await ask('/api/generate', { model }, LOADED_MS);
      models = (await ofRunning()) ?? [];
    }
    const loaded = models.find(isIt)?.context_length;
    if (loaded) return loaded;
    const { parameters = '' } = shown.safeParse(await ask('/api/show', { model })).data ?? {};
    return Number(/^num_ctx\s+(\d+)/m.exec(parameters)?.[1] ?? 0) || 'unknown';
  },
};

const studioModels = z.object({ data: list(z.object({ id: name, loaded_context_length: tokens })) });
/** https://lmstudio.ai/docs/developer/rest: the native API; the model's own most says nothing of what it was loaded with. */
const lmStudio: ModelServer = {
  fix: (model) => `load it with more: \`lms load ${model} --context-length ${WANTED}\` (in the app: Context Length)`,
  async find(ask, model) {
    const models = studioModels.safeParse(await ask('/api/v0/models')).data?.data;
    return models && (models.find(({ id }) => id === model)?.loaded_context_length ?? 'unknown');
  },
};

const props = z.object({ default_generation_settings: z.object({ n_ctx: tokens }) });
/** The README of llama-server: `n_ctx` there is what one conversation has. */
const llamaCpp: ModelServer = {
  fix: () => `start llama-server with --ctx-size ${WANTED}, times the number of --parallel`,
  async find(ask, model) {
    const answer = props.safeParse(await ask(`/props?model=${encodeURIComponent(model)}`)).data;
    return answer?.default_generation_settings.n_ctx;
  },
};

const openModels = z.object({
  data: list(z.object({ id: name, max_model_len: tokens, context_length: tokens })),
});
/** vLLM's list has `max_model_len`; routers have `context_length`. */
const vllm: ModelServer = {
  fix: () => `start it with a larger window (vLLM: --max-model-len ${WANTED})`,
  async find(ask, model) {
    const found = openModels.safeParse(await ask('/v1/models')).data?.data.find(({ id }) => id === model);
    return found?.max_model_len ?? found?.context_length;
  },
};

/** The first that knows the server says it. */
const SERVERS = [ollama, lmStudio, llamaCpp, vllm];

/**
 * The window of a model, as its server says; undefined when it does not. `mayLoad`: a model that is not in memory is loaded for that, as the next call would.
 * Never rejects.
 */
export async function askWindow(
  backend: HttpBackend,
  model: string,
  mayLoad: boolean,
): Promise<ModelWindow | undefined> {
  const ask = askerOf(backend);
  for (const server of SERVERS) {
    const found = await server.find(ask, model, mayLoad);
    if (found === 'unknown') return undefined;
    if (found !== undefined) return { tokens: found, fix: server.fix(model) };
  }
  return undefined;
}

/** An answer as JSON; undefined for any other, and where the server does not answer in time. */
function askerOf({ baseUrl, apiKey, authToken }: HttpBackend): Ask {
  const base = new URL(baseUrl);
  const credential = apiKey ? { 'x-api-key': apiKey } : authToken && { authorization: `Bearer ${authToken}` };
  return async (path, body, ms = ASKED_MS) => {
    const url = new URL(`${base.pathname.replace(/\/(v1\/?)?$/, '')}${path}`, base);
    const sent = body && { method: 'POST', body: JSON.stringify(body) };
    const headers = { ...credential, 'content-type': 'application/json' };
    try {
      const response = await fetch(url, { ...sent, headers, redirect: 'error', signal: timeLimit(ms) });
      return response.ok ? parseJson(await bounded(response)) : undefined;
    } catch {
      // Not there, or not of that kind: the next kind is asked.
      return undefined;
    }
  };
}

async function bounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.byteLength;
    if (size > MAX_ANSWER_BYTES) throw new Error('a list of models that is longer than any');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** So long an answer is used: the owner may set another window meanwhile. */
const KEPT_MS = 5 * 60_000;
const UNKNOWN_KEPT_MS = 60_000;

/** For runs: the windows of models on a server of the owner's own. Others refuse what is too long. */
export function createWindows({ backend, clock }: { backend(): Backend; clock: Pick<Clock, 'now'> }) {
  const known = new Map<string, { until: number; window: Promise<ModelWindow | undefined> }>();
  return async (model: string): Promise<ModelWindow | undefined> => {
    const server = backend();
    if (server.kind === 'demo' || !server.free || model.startsWith('claude-')) return undefined;
    const key = `${server.baseUrl} ${model}`;
    const before = known.get(key);
    if (before && clock.now() < before.until) return before.window;
    const answer = { until: clock.now() + KEPT_MS, window: askWindow(server, model, true) };
    known.set(key, answer);
    if ((await answer.window) === undefined) answer.until = clock.now() + UNKNOWN_KEPT_MS;
    return answer.window;
  };
}
