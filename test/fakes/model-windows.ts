// What servers of models on one's own machine say of a window, as their documentation shows it: Ollama (docs.ollama.com/api), LM Studio
// (lmstudio.ai/docs/developer/rest), llama.cpp (its server's README), vLLM (its OpenAI-compatible list of models). Each also answers a message.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export type ServerKind = 'ollama' | 'lm-studio' | 'llama.cpp' | 'vllm' | 'other';

export interface FakeModelServer {
  url: string;
  /** Method and path of each request. */
  seen: string[];
  close(): void;
}

interface Setup {
  kind: ServerKind;
  model: string;
  /** What the server gives the model once it is in memory; undefined: it does not say. */
  window?: number | undefined;
  isLoaded?: boolean;
  /** Ollama: `num_ctx` of the model's own file. */
  numCtx?: number;
}

const message = { type: 'message', role: 'assistant', content: [{ type: 'text', text: 'Hi' }], usage: {} };

export async function startModelServer({
  kind,
  model,
  window,
  isLoaded = true,
  numCtx,
}: Setup): Promise<FakeModelServer> {
  const seen: string[] = [];
  let loaded = isLoaded;
  const context = (name: string) => (window === undefined ? {} : { [name]: window });
  const answers: Record<ServerKind, Record<string, () => unknown>> = {
    ollama: {
      'GET /api/ps': () => ({ models: loaded ? [{ name: model, model, size: 1, ...context('context_length') }] : [] }),
      'POST /api/generate': () => {
        loaded = true;
        return { model, response: '', done: true, done_reason: 'load' };
      },
      'POST /api/show': () => ({
        parameters: `temperature                    1${numCtx ? `\nnum_ctx                        ${numCtx}` : ''}`,
        model_info: { 'general.architecture': 'qwen3', 'qwen3.context_length': 262_144 },
      }),
      'GET /v1/models': () => ({ object: 'list', data: [{ id: model, object: 'model', owned_by: 'library' }] }),
    },
    'lm-studio': {
      'GET /api/v0/models': () => ({
        object: 'list',
        data: [
          { id: 'another', type: 'llm', state: 'not-loaded', max_context_length: 32_768 },
          { id: model, type: 'llm', state: 'loaded', max_context_length: 131_072, ...context('loaded_context_length') },
        ],
      }),
      'GET /v1/models': () => ({ object: 'list', data: [{ id: model, object: 'model' }] }),
    },
    'llama.cpp': {
      'GET /props': () => ({ default_generation_settings: { id: 0, ...context('n_ctx'), params: {} }, total_slots: 1 }),
      'GET /v1/models': () => ({ object: 'list', data: [{ id: model, meta: { n_ctx_train: 131_072 } }] }),
    },
    vllm: { 'GET /v1/models': () => ({ object: 'list', data: [{ id: model, ...context('max_model_len') }] }) },
    other: {},
  };
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    const call = `${request.method} ${request.url?.split('?')[0]}`;
    seen.push(call);
    if (call === 'POST /v1/messages') {
      loaded = true;
      return void response.end(JSON.stringify({ ...message, model }));
    }
    const answer = answers[kind][call];
    if (answer) return void response.end(JSON.stringify(answer()));
    // LM Studio answers 200 to what it does not know.
    if (kind === 'lm-studio')
      return void response.end(JSON.stringify({ error: `Unexpected endpoint or method. (${call})` }));
    response.writeHead(404).end('404 page not found');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, seen, close };
}
