// One model call through the gateway with the Anthropic SDK: streaming, retries, errors as classes. Knows nothing about history or chats.
import Anthropic, { AnthropicError, APIError } from '@anthropic-ai/sdk';
import { systemClock } from '../../../src/core/clock.js';
import { retryAfterS } from '../../../src/core/retry-after.js';
import { PROVIDER_SEARCH, RUN_HEADER } from '../../../src/wire.js';
import { type LoopContext, Stopped } from './context.js';
import { createFetch } from './fetch.js';
import { asStopReason, asStream, mendStream } from './mend.js';
import { classifyError } from './model-errors.js';
import { foundTools, type Message, type ToolResult, textOf } from './records.js';
import { promptFor } from './small-window.js';

/** When the back end asks for a longer wait, the run fails and the host tries again later. */
const MAX_WAIT_S = 30;
const RETRY_DELAYS_MS = [1_000, 4_000];

/** The SDK client; its only way out is the link at `port`, so its token is a placeholder. */
export function createClient(port: number, stallMs = 90_000): Anthropic {
  const fetch = createFetch(stallMs);
  return new Anthropic({
    baseURL: `http://127.0.0.1:${port}`,
    authToken: 'link',
    apiKey: null,
    maxRetries: 4,
    timeout: 3_600_000,
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      const { headers, status, body } = response;
      const waitS = retryAfterS(headers.get('retry-after'), headers.get('retry-after-ms'), systemClock.now());
      if (waitS !== undefined) headers.set('retry-after', `${waitS}`);
      if (Number(waitS) > MAX_WAIT_S) headers.set('x-should-retry', 'false');
      if (!response.ok || !body) return response;
      const isWhole = headers.get('content-type')?.includes('json');
      const stream = isWhole ? new Blob([asStream(await response.text())]).stream() : body;
      return new Response(stream.pipeThrough(mendStream()), { status, headers });
    },
  });
}

export type Reply = Awaited<ReturnType<typeof callOnce>>;

async function callOnce(context: LoopContext, messages: Message[], maxTokens: number) {
  const { client, run, signal, tools, session } = context;
  const { system, listed: fitting } = promptFor(context);
  const find = (name: string) => tools.hidden.get(name) ?? [];
  const listed = [...fitting, ...foundTools(session.records).flatMap(find)];
  const runner = client.beta.messages.toolRunner(
    {
      model: run.model,
      max_tokens: maxTokens,
      system: [{ type: 'text', text: system, cache_control: { type: 'ephemeral', ttl: '1h' } }],
      messages,
      tools: run.search === 'model' ? [...listed, PROVIDER_SEARCH] : listed,
      cache_control: { type: 'ephemeral' },
      stream: true,
      // Only one provider keeps threads.
      thread: false,
      // One reply only: it must be on disk before its tools run.
      max_iterations: 1,
    },
    { signal, headers: { [RUN_HEADER]: String(run.id) } },
  );
  const step = await runner[Symbol.asyncIterator]().next();
  if (step.done) throw new Error('the SDK ended without a reply');
  const stream = step.value;
  try {
    const { content, stop_reason, usage } = await stream.finalMessage();
    // Other back ends than Anthropic's leave some of these out, whatever the types say.
    const { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens } = usage;
    const counts = [input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens];
    const tokens = counts.reduce<number>((sum, count) => sum + (count || 0), 0);
    /** Runs the tool calls of the reply; never rejects because of a tool. */
    const runTools = async (): Promise<ToolResult[]> => {
      // One that it knows from elsewhere is called as well as one that it was told of.
      const called = new Set(content.flatMap((part) => (part.type === 'tool_use' ? [part.name] : [])));
      const unlisted = [...called].flatMap(find).filter((tool) => !listed.includes(tool));
      if (unlisted.length > 0) runner.setMessagesParams((params) => ({ ...params, tools: [...listed, ...unlisted] }));
      const parts = (await runner.generateToolResponse(signal))?.content ?? [];
      return typeof parts === 'string' ? [] : parts.filter((part) => part.type === 'tool_result');
    };
    return { content, stopReason: asStopReason(stop_reason), tokens, runTools };
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Stopped(textOf(stream.currentMessage?.content ?? []));
  }
}

/** Errors after the headers, which the SDK does not retry. Nothing of that reply was used, so another call is safe. */
function isRetryable(error: unknown): boolean {
  if (error instanceof APIError) return error.status === undefined && classifyError(error).errorClass === 'overloaded';
  return error instanceof AnthropicError;
}

/** One reply of the model. Throws `Stopped` when stopped, else the SDK's error after its retries and ours. */
export async function callModel(context: LoopContext, messages: Message[], maxTokens: number): Promise<Reply> {
  for (const delay of RETRY_DELAYS_MS) {
    try {
      return await callOnce(context, messages, maxTokens);
    } catch (error) {
      if (!isRetryable(error)) throw error;
      context.host.event(context.run.id, 'model_retry', { why: classifyError(error).message });
      await systemClock.sleep(delay, context.signal);
    }
  }
  return callOnce(context, messages, maxTokens);
}
