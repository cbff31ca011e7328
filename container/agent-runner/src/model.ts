// One model call through the gateway with the Anthropic SDK: streaming, retries after headers, errors as classes.
// Knows nothing about history or chats.
import { Console } from 'node:console';
import Anthropic, { AnthropicError, APIConnectionError, APIError } from '@anthropic-ai/sdk';
import { Agent } from 'undici';
import { systemClock } from '../../../src/clock.js';
import { describeError } from '../../../src/errors.js';
import type { ErrorClass } from '../../../src/wire.js';
import { RUN_HEADER } from '../../../src/wire.js';
import { Stopped, untilAborted } from './abort.js';
import type { Block, Message, ToolResult } from './records.js';
import { textOf } from './records.js';
import { wellFormed } from './text.js';
import type { Tool } from './tools/context.js';

/** A stream that sends nothing for so long, not even a ping, is dead. */
const STALL_MS = 90_000;
/** A back end that asks for a longer wait gets it from the host's queue, not from a container that sits and waits. */
const LONGEST_WAIT_S = 30;
const RETRY_DELAYS_MS = [1_000, 4_000];

export interface ModelOptions {
  port: number;
  stallMs?: number;
}

async function withoutLongWaits(...args: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...args);
  const seconds = Number(response.headers.get('retry-after'));
  if (response.ok || !(seconds > LONGEST_WAIT_S)) return response;
  const headers = new Headers(response.headers);
  headers.set('x-should-retry', 'false');
  return new Response(response.body, { status: response.status, headers });
}

/** The SDK client; its only way out is the link, so its token is a placeholder. */
export function createClient({ port, stallMs = STALL_MS }: ModelOptions): Anthropic {
  return new Anthropic({
    baseURL: `http://127.0.0.1:${port}`,
    authToken: 'link',
    apiKey: null,
    maxRetries: 4,
    timeout: 3_600_000,
    // Standard output is the link.
    logger: new Console(process.stderr, process.stderr),
    fetch: withoutLongWaits,
    // Headers may take as long as a slow local model needs to read the prompt; after them, silence is a fault.
    fetchOptions: { dispatcher: new Agent({ bodyTimeout: stallMs, headersTimeout: 0 }) },
  });
}

export interface ModelCall {
  runId: number;
  model: string;
  maxTokens: number;
  system: string;
  messages: Message[];
  tools: Tool[];
  signal: AbortSignal;
  onRetry(why: string): void;
}

export interface Reply {
  content: Block[];
  stopReason: string;
  usage: { input: number; output: number; cacheRead: number; cacheWrite: number };
  /** Runs the reply's tool calls, once, all together; never rejects because of a tool. */
  runTools(): Promise<ToolResult[]>;
}

/** The call was stopped while the reply streamed; `partialText` is what had arrived. */
export class StoppedReply extends Stopped {
  readonly partialText: string;
  constructor(partialText: string) {
    super();
    this.partialText = partialText;
  }
}

/** Faults after the headers, which the SDK does not retry: nothing of that reply was used, so asking again is safe. */
function mayAskAgain(error: unknown): boolean {
  if (!(error instanceof AnthropicError) || error instanceof APIConnectionError) return false;
  return (
    !(error instanceof APIError) || (error.status === undefined && classifyError(error).errorClass === 'overloaded')
  );
}

function request(client: Anthropic, call: ModelCall) {
  const { model, maxTokens, messages, tools, signal } = call;
  return client.beta.messages.toolRunner(
    {
      model,
      max_tokens: maxTokens,
      system: [{ type: 'text', text: call.system, cache_control: { type: 'ephemeral', ttl: '1h' } }],
      messages,
      tools,
      cache_control: { type: 'ephemeral' },
      stream: true,
      // Threads would be kept by one provider only, and replies here must not run tools before they are on disk.
      thread: false,
      max_iterations: 1,
    },
    { signal, headers: { [RUN_HEADER]: String(call.runId) } },
  );
}

async function callOnce(client: Anthropic, call: ModelCall): Promise<Reply> {
  const runner = request(client, call);
  const step = await runner[Symbol.asyncIterator]().next();
  if (step.done) throw new Error('the SDK ended without a reply');
  const stream = step.value;
  try {
    const message = await untilAborted(stream.finalMessage(), call.signal);
    const { usage } = message;
    return {
      content: message.content,
      stopReason: message.stop_reason ?? 'end_turn',
      usage: {
        // Back ends other than Anthropic's leave the cache fields out.
        input: usage.input_tokens,
        output: usage.output_tokens,
        cacheRead: usage.cache_read_input_tokens ?? 0,
        cacheWrite: usage.cache_creation_input_tokens ?? 0,
      },
      runTools: async () => {
        const answer = await runner.generateToolResponse(call.signal);
        const parts = typeof answer?.content === 'object' ? answer.content : [];
        return parts.filter((part) => part.type === 'tool_result');
      },
    };
  } catch (error) {
    if (!call.signal.aborted) throw error;
    stream.abort();
    throw new StoppedReply(textOf(stream.currentMessage?.content ?? []));
  }
}

/** One reply of the model. Throws `StoppedReply` when stopped, else the SDK's error after its retries and ours. */
export async function callModel(client: Anthropic, call: ModelCall): Promise<Reply> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await callOnce(client, call);
    } catch (error) {
      const delay = RETRY_DELAYS_MS[attempt];
      if (delay === undefined || !mayAskAgain(error)) throw error;
      call.onRetry(describeError(error));
      await systemClock.sleep(delay, call.signal);
    }
  }
}

export interface Failure {
  errorClass: ErrorClass;
  /** For people, one line. */
  message: string;
  retryAfterMs?: number;
}

function retryAfterMs(headers: Headers | undefined): number | undefined {
  const ms = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  const seconds = Number(headers?.get('retry-after') ?? Number.NaN);
  const wait = Number.isFinite(ms) ? ms : seconds * 1000;
  return wait >= 0 && Number.isFinite(wait) ? Math.ceil(wait) : undefined;
}

function statusClass(error: APIError): [ErrorClass, string] {
  const { status, type } = error;
  if (status === 429 || type === 'rate_limit_error') return ['rate_limit', 'the model back end is limiting our rate'];
  if (status === 401 || status === 403) return ['auth', 'the model back end refused the credential'];
  if (status === 402 || type === 'billing_error') return ['budget', 'the budget is used up'];
  if (status === 400 || status === 404 || status === 413 || status === 422 || type === 'invalid_request_error') {
    return ['invalid_request', 'the model back end refused the request'];
  }
  if ((status ?? 0) >= 500 || type === 'overloaded_error' || type === 'api_error') {
    return ['overloaded', 'the model back end is overloaded or broken'];
  }
  return ['unknown', 'the model back end failed'];
}

/** Any thrown value of a model call as a class that decides what the host does next. Never throws. */
export function classifyError(error: unknown): Failure {
  if (error instanceof APIConnectionError) {
    return { errorClass: 'network', message: `no connection to the model back end: ${describeError(error)}` };
  }
  if (error instanceof APIError) {
    const [errorClass, what] = statusClass(error);
    const wait = retryAfterMs(error.headers);
    const status = error.status === undefined ? '' : ` (${error.status})`;
    const message = wellFormed(`${what}${status}: ${error.apiMessage ?? error.type ?? 'no reason given'}`).slice(
      0,
      2_000,
    );
    return { errorClass, message, ...(wait !== undefined && { retryAfterMs: wait }) };
  }
  if (error instanceof AnthropicError) {
    return { errorClass: 'network', message: `the model's reply was cut off: ${describeError(error)}` };
  }
  return {
    errorClass: 'crash',
    message: `the agent runner failed: ${wellFormed(describeError(error)).slice(0, 2_000)}`,
  };
}

/** True when the back end says that the conversation does not fit. */
export function isTooLong(error: unknown): boolean {
  if (!(error instanceof APIError)) return false;
  if (error.status === 413) return true;
  const text = error.apiMessage ?? error.message;
  return error.status === 400 && /prompt is too long|context (length|window|size)|too many tokens/i.test(text);
}
