// What is said to a running MCP server: hello, which tools are there, call one. Nothing of what it answers is believed or looked into further than
// needed; what it offers besides tools is not used, and it is offered nothing.
import { setImmediate } from 'node:timers/promises';
import type { Client } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { describeError, PinchError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import { type Offer, readTool, type ServerTool } from './tools.js';
import type { ServerTransport } from './transport.js';

const CONNECT_MS = 15_000;
const REQUEST_MS = 60_000;
/** With news of its progress a call may take longer than that. */
const CALL_MS = 5 * 60_000;
const PING_MS = 5_000;
const MAX_PAGES = 64;
const MAX_TOOLS = 500;
const MAX_TOOL_CHARS = 64 * 1024;
const MAX_LIST_CHARS = 1024 * 1024;
/** Looked at in one go. */
export const SLICE_CHARS = 16 * 1024;

const page = z.object({ tools: z.array(z.unknown()), nextCursor: z.string().optional() });
const result = z.object({
  content: z.array(z.looseObject({ type: z.string() })).default([]),
  structuredContent: z.unknown().optional(),
  isError: z.boolean().default(false),
});
export type CallResult = z.infer<typeof result>;

export interface Progress {
  progress: number;
  total?: number | undefined;
  message?: string | undefined;
}
export interface ToolCall {
  tool: string;
  args: Record<string, unknown>;
  signal: AbortSignal;
  onProgress(progress: Progress): void;
}

export interface Session {
  name: string;
  client: Client;
  transport: ServerTransport;
}

/** Says hello. Throws an Error that says why it did not work; nothing of the server is left then. */
export async function openSession(name: string, transport: ServerTransport): Promise<Session> {
  // Takes a quarter of a second, and most who run Pinch have no such server.
  const { Client } = await import('@modelcontextprotocol/client');
  // Its schemas are not looked at: a pattern in one of them could keep this process busy for ever.
  const refuse = () => ({ valid: false as const, data: undefined, errorMessage: 'not looked at' });
  const options = { capabilities: {}, jsonSchemaValidator: { getValidator: () => refuse } };
  const client = new Client({ name: 'pinch', version: '1' }, options);
  try {
    await client.connect(transport, { timeout: CONNECT_MS });
  } catch (error) {
    await transport.end(isTimeout(error) ? `no answer within ${CONNECT_MS / 1_000} s` : describeError(error));
    throw new Error(transport.whyClosed());
  }
  return { name, client, transport };
}

/** All that it offers, up to a bound. */
export async function listTools({ client, transport }: Session): Promise<Offer> {
  const tools = new Map<string, ServerTool>();
  let [chars, pausedAt, isCut, cursor] = [0, 0, false, undefined as string | undefined];
  for (let pages = 1; ; pages += 1) {
    const request = { method: 'tools/list', params: cursor === undefined ? {} : { cursor } };
    const got = await client.request(request, page, { timeout: REQUEST_MS }).catch((error: unknown) => {
      throw new Error(transport.whyClosed() ?? `it does not say which tools it has: ${said(error)}`);
    });
    for (const one of got.tools) {
      const text = typeof one === 'string' ? one : JSON.stringify(one);
      chars += text.length;
      if (tools.size >= MAX_TOOLS || chars > MAX_LIST_CHARS) return { tools: [...tools.values()], isCut: true };
      const tool = text.length <= MAX_TOOL_CHARS ? readTool(text) : undefined;
      if (tool && !tools.has(tool.name)) tools.set(tool.name, tool);
      else isCut = true;
      if (chars - pausedAt > SLICE_CHARS) {
        pausedAt = chars;
        await setImmediate();
      }
    }
    cursor = got.nextCursor;
    if (cursor === undefined) return { tools: [...tools.values()], isCut };
    if (pages >= MAX_PAGES) return { tools: [...tools.values()], isCut: true };
  }
}

/** Throws PinchError `mcp_failed`: what the server says, or that nobody knows whether it was done. */
export async function callTool(session: Session, { tool, args, signal, onProgress }: ToolCall): Promise<CallResult> {
  const { name, client, transport } = session;
  const request = { method: 'tools/call', params: { name: tool, arguments: args } };
  const limits = { timeout: REQUEST_MS, resetTimeoutOnProgress: true, maxTotalTimeout: CALL_MS };
  try {
    return await client.request(request, result, { ...limits, signal, onprogress: onProgress });
  } catch (error) {
    if (signal.aborted) throw failed(`the call of ${tool} was stopped`, 'whether it had an effect is not known');
    if (isTimeout(error)) {
      await endIfHung(session);
      throw failed(
        `${name} did not answer in time`,
        'whether it had an effect is not known: look before you repeat it',
      );
    }
    if (transport.whyClosed() !== undefined)
      throw failed(`${name} ended meanwhile`, 'whether it had an effect is not known: look before you repeat it');
    // Nothing was sent.
    if (error instanceof PinchError && error.code === 'too_many') throw error;
    // What it says about the call are its words, like any answer.
    if (isRefusal(error)) return { content: [{ type: 'text', text: said(error) }], isError: true };
    throw failed(`what ${name} answered cannot be read`);
  }
}

const failed = (message: string, hint?: string) => new PinchError('mcp_failed', message, { hint });
/** The server's words, or the client's about them. */
const said = (error: unknown): string => oneLine(describeError(error), 1_000);
const isTimeout = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'REQUEST_TIMEOUT';

const isRefusal = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'number';

/** A server that works on something long still answers. */
async function endIfHung({ client, transport }: Session): Promise<void> {
  await client.ping({ timeout: PING_MS }).catch(() => transport.end('it answered nothing any more'));
}
