// One model call through the gateway with the Anthropic SDK: streaming, retries after headers, errors as classes.
// Knows nothing about history or chats.
import { Console } from 'node:console';
import http from 'node:http';
import { Readable } from 'node:stream';
import Anthropic, { AnthropicError, APIConnectionError, APIError } from '@anthropic-ai/sdk';
import { systemClock } from '../../../src/clock.js';
import { describeError } from '../../../src/errors.js';
import { type ErrorClass, RUN_HEADER } from '../../../src/wire.js';
import { Stopped, untilAborted } from './abort.js';
import type { RunContext, Tool } from './context.js';
import { type Message, type ToolResult, textOf } from './records.js';
import { wellFormed } from './text.js';

/** A back end that asks for a longer wait gets it from the host's queue, not from a container that sits and waits. */
const LONGEST_WAIT_S = 30;
const RETRY_DELAYS_MS = [1_000, 4_000];

/**
 * fetch over node:http. Before the headers there is no hidden time limit: a slow local model may need minutes to read the
 * prompt. After them silence for `stallMs`, without even a ping, is a fault.
 */
function createFetch(stallMs: number) {
  return (url: string | URL | Request, init: RequestInit = {}): Promise<Response> =>
    new Promise((resolve, reject) => {
      const { method = 'GET', signal, body } = init;
      const headers = Object.fromEntries(new Headers(init.headers));
      const options = { method, headers, ...(signal && { signal }) };
      const request = http.request(String(url), options, (response) => {
        response.setTimeout(stallMs, () => response.destroy(new Error(`no byte for ${stallMs} ms`)));
        const replied = new Headers();
        for (const [name, value] of Object.entries(response.headers)) replied.set(name, String(value));
        if (Number(replied.get('retry-after')) > LONGEST_WAIT_S) replied.set('x-should-retry', 'false');
        resolve(new Response(Readable.toWeb(response), { status: response.statusCode ?? 0, headers: replied }));
      });
      request.on('error', reject).end(typeof body === 'string' ? body : undefined);
    });
}

/** The SDK client; its only way out is the link at `port`, so its token is a placeholder. */
export function createClient(port: number, stallMs = 90_000): Anthropic {
  return new Anthropic({
    baseURL: `http://127.0.0.1:${port}`,
    authToken: 'link',
    apiKey: null,
    maxRetries: 4,
    timeout: 3_600_000,
    // Standard output is the link.
    logger: new Console(process.stderr, process.stderr),
    fetch: createFetch(stallMs),
  });
}

export interface ModelCall {
  system: string;
  tools: Tool[];
  messages: Message[];
  maxTokens: number;
}

export type Reply = Awaited<ReturnType<typeof callOnce>>;

/** The call was stopped while the reply streamed; `partialText` is what had arrived. */
export class StoppedReply extends Stopped {
  constructor(readonly partialText: string) {
    super();
  }
}

async function callOnce({ client, run, signal }: RunContext, { system, tools, messages, maxTokens }: ModelCall) {
  const runner = client.beta.messages.toolRunner(
    {
      model: run.model,
      max_tokens: maxTokens,
      system: [{ type: 'text', text: system, cache_control: { type: 'ephemeral', ttl: '1h' } }],
      messages,
      tools,
      cache_control: { type: 'ephemeral' },
      stream: true,
      // Threads are kept by one provider only. One reply per runner: it must be on disk before its tools run.
      thread: false,
      max_iterations: 1,
    },
    { signal, headers: { [RUN_HEADER]: String(run.id) } },
  );
  const step = await runner[Symbol.asyncIterator]().next();
  if (step.done) throw new Error('the SDK ended without a reply');
  const stream = step.value;
  try {
    const { content, stop_reason, usage } = await untilAborted(stream.finalMessage(), signal);
    const { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens } = usage;
    // Back ends other than Anthropic's leave some of them out, whatever the types say.
    const counts = [input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens];
    return {
      content,
      stopReason: stop_reason ?? 'end_turn',
      tokens: counts.reduce<number>((sum, count) => sum + (count || 0), 0),
      /** Runs the reply's tool calls, all together; never rejects because of a tool. */
      async runTools(): Promise<ToolResult[]> {
        const parts = (await runner.generateToolResponse(signal))?.content ?? [];
        return typeof parts === 'string' ? [] : parts.filter((part) => part.type === 'tool_result');
      },
    };
  } catch (error) {
    if (!signal.aborted) throw error;
    stream.abort();
    throw new StoppedReply(textOf(stream.currentMessage?.content ?? []));
  }
}

/** Faults after the headers, which the SDK does not retry: nothing of that reply was used, so asking again is safe. */
function mayAskAgain(error: unknown): boolean {
  if (!(error instanceof AnthropicError) || error instanceof APIConnectionError) return false;
  return (
    !(error instanceof APIError) || (error.status === undefined && classifyError(error).errorClass === 'overloaded')
  );
}

/** One reply of the model. Throws `StoppedReply` when stopped, else the SDK's error after its retries and ours. */
export async function callModel(context: RunContext, call: ModelCall): Promise<Reply> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await callOnce(context, call);
    } catch (error) {
      const delay = RETRY_DELAYS_MS[attempt];
      if (delay === undefined || !mayAskAgain(error)) throw error;
      context.host.event(context.run.id, 'model_retry', { why: describeError(error) });
      await systemClock.sleep(delay, context.signal);
    }
  }
}

function retryAfter(headers: Headers | undefined): { retryAfterMs?: number } {
  const ms = headers?.get('retry-after-ms') ?? Number(headers?.get('retry-after') ?? Number.NaN) * 1000;
  return Number(ms) >= 0 ? { retryAfterMs: Math.ceil(Number(ms)) } : {};
}

function apiFault({ status = 0, type }: APIError): [ErrorClass, string] {
  if (status === 429 || type === 'rate_limit_error') return ['rate_limit', 'the model back end is limiting our rate'];
  if (status === 401 || status === 403) return ['auth', 'the model back end refused the credential'];
  if (status === 402 || type === 'billing_error') return ['budget', 'the budget is used up'];
  if ([400, 404, 413, 422].includes(status) || type === 'invalid_request_error')
    return ['invalid_request', 'the model back end refused the request'];
  if (status >= 500 || type === 'overloaded_error' || type === 'api_error')
    return ['overloaded', 'the model back end is overloaded or broken'];
  return ['unknown', 'the model back end failed'];
}

/** Any thrown value as a class that decides what the host does next, and a line for people. Never throws. */
export function classifyError(error: unknown): { errorClass: ErrorClass; message: string; retryAfterMs?: number } {
  const why = wellFormed(describeError(error)).slice(0, 2_000);
  if (error instanceof APIConnectionError) return { errorClass: 'network', message: `no way to the model: ${why}` };
  if (error instanceof APIError) {
    const [errorClass, what] = apiFault(error);
    const reason = wellFormed(error.apiMessage ?? error.type ?? 'no reason given').slice(0, 2_000);
    return { errorClass, message: `${what} (${error.status ?? error.type}): ${reason}`, ...retryAfter(error.headers) };
  }
  if (error instanceof AnthropicError) return { errorClass: 'network', message: `the reply was cut off: ${why}` };
  return { errorClass: 'crash', message: `the agent runner failed: ${why}` };
}

/** True when the back end says that the conversation does not fit. */
export function isTooLong(error: unknown): boolean {
  if (!(error instanceof APIError)) return false;
  const text = error.apiMessage ?? error.message;
  return error.status === 413 || /prompt is too long|context (length|window|size)|too many tokens/i.test(text);
}
