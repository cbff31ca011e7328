// Tools of MCP servers, which the host calls. Long lists do not fill the prompt: of what does not fit, the model finds by words what it needs.
import fs from 'node:fs';
import * as z from 'zod';
import type { McpBlock, McpTool } from '../../../../src/wire.js';
import type { RunContext, Tool } from '../context.js';
import { imageBlock, imagesOf } from '../media.js';
import { attributes } from '../prompt.js';
import { cleanOutput, cutMiddle, wellFormed } from '../text.js';
import { outFile } from './bash.js';
import { marked } from './web.js';
import { zodTool } from './zod-tool.js';

/** About 2,000 tokens. */
const LISTED_CHARS = 7_200;
const MAX_CHARS = 30_000;
const MAX_FOUND = 8;
const FILE_TYPES: Record<string, string> = {
  'audio/wav': 'wav',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'ogg',
  'image/png': 'png',
};
const anyInput = z.record(z.string(), z.unknown());

/** Whole servers, the small ones first: which tools there are must not depend on what else a server has. */
export function splitTools(tools: McpTool[]): { listed: McpTool[]; hidden: McpTool[] } {
  const sizes = new Map<string, number>();
  for (const tool of tools) sizes.set(tool.service, (sizes.get(tool.service) ?? 0) + JSON.stringify(tool).length);
  const fitting = new Set<string>();
  let used = 0;
  for (const [service, chars] of [...sizes].sort(([a, one], [b, other]) => one - other || (a < b ? -1 : 1))) {
    used += chars;
    if (used <= LISTED_CHARS) fitting.add(service);
  }
  const isListed = ({ service }: McpTool) => fitting.has(service);
  return { listed: tools.filter(isListed), hidden: tools.filter((tool) => !isListed(tool)) };
}

/** Those that stand in every prompt. */
export const mcpTools = (context: RunContext): Tool[] => [
  ...context.mcp.listed.map((tool) => toTool(context, tool)),
  ...(context.mcp.hidden.length > 0 ? [searchTool(context)] : []),
];

/** Those that have to be found first. */
export const hiddenMcpTools = (context: RunContext): Tool[] => context.mcp.hidden.map((tool) => toTool(context, tool));

function toTool(context: RunContext, { name, description, schema }: McpTool): Tool {
  return {
    ...{ name, description, input_schema: schema },
    parse: (input) => anyInput.parse(input),
    async run(input, call) {
      const { run, host, signal } = context;
      const { head, blocks } = await host.callMcp({ runId: run.id, name, input: anyInput.parse(input) }, signal);
      const shown = await show(context, blocks, { source: head.source, id: call?.toolUse.id ?? 'mcp' });
      if (!head.isError) return shown;
      const texts =
        typeof shown === 'string'
          ? shown
          : shown.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
      throw new Error(texts || 'the server says that it failed');
    },
  };
}

async function show(
  context: RunContext,
  blocks: McpBlock[],
  { source, id }: { source: string | undefined; id: string },
) {
  const images = imagesOf(context);
  const before = images.length;
  const texts: string[] = [];
  for (const [index, block] of blocks.entries()) {
    if (block.type === 'text') {
      texts.push(block.text);
      continue;
    }
    const bytes = Buffer.from(block.data, 'base64');
    const { block: picture, why } =
      block.type === 'image' ? await imageBlock(context, bytes, images) : { why: 'a file' };
    if (picture) images.push(picture);
    if (why) texts.push(`[${why}: ${save(context, `${id}-${index}`, block, bytes)}]`);
  }
  const all = cleanOutput(texts.filter(Boolean).join('\n'));
  const text = all.length > MAX_CHARS ? cutMiddle(all, MAX_CHARS, `all of it: ${saveText(context, id, all)}`) : all;
  const safe = source === undefined ? text : marked(`<untrusted${attributes({ source })}>`, text);
  const pictures = images.slice(before);
  return pictures.length === 0
    ? safe
    : [{ type: 'text' as const, text: wellFormed(safe) || '(pictures)' }, ...pictures];
}

function saveText(context: RunContext, id: string, text: string): string {
  const file = outFile(context, `${id}.txt`);
  fs.writeFileSync(file, text);
  return file;
}

function save(
  context: RunContext,
  id: string,
  { mimeType, name }: Exclude<McpBlock, { type: 'text' }>,
  bytes: Buffer,
): string {
  const end = /\.\w{1,8}$/.test(name) ? name.slice(-60) : `${name.slice(-40)}.${FILE_TYPES[mimeType] ?? 'bin'}`;
  const file = outFile(context, `${id}-${end}`);
  fs.writeFileSync(file, bytes);
  return `${file}, ${mimeType}, ${bytes.length} bytes`;
}

const searchInput = z.object({ query: z.string().min(1).max(500) });

function searchTool({ mcp, session }: RunContext): Tool {
  return zodTool({
    name: 'mcp_search',
    description: `Find tools of the MCP servers that are not listed here by words of what they do; "*" with the name of a server shows the names of all of its tools. What is found can be called from your next step on. Servers with more tools: ${[...new Set(mcp.hidden.map(({ service }) => service))].join(', ')}.`,
    inputSchema: searchInput,
    run: ({ query }) => {
      if (query.includes('*')) return names(mcp.hidden, query);
      const found = search(mcp.hidden, query);
      if (found.length === 0) return `Nothing was found. There are:\n${names(mcp.hidden, query)}`;
      session.append({ kind: 'tools', names: found.map(({ name }) => name) });
      const texts = found.map(
        ({ name, description, schema }) => `${name}: ${description}\ninput: ${JSON.stringify(schema)}`,
      );
      const source = 'what the servers say about their tools';
      return marked(`<untrusted${attributes({ source })}>`, cutMiddle(texts.join('\n\n'), MAX_CHARS, 'ask for less'));
    },
  });
}

function names(tools: McpTool[], query: string): string {
  const about = tools.filter(({ service }) => query.includes(service));
  return cutMiddle((about.length > 0 ? about : tools).map(({ name }) => name).join('\n'), 10_000, 'name a server');
}

/** By how many of the words they have; a name says more than a description. */
function search(tools: McpTool[], query: string): McpTool[] {
  const words = query
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);
  const score = ({ name, description }: McpTool) => {
    const [own, about] = [name.toLowerCase(), description.toLowerCase()];
    if (query.trim() === name) return 1_000;
    return words.reduce((sum, word) => sum + (own.includes(word) ? 3 : 0) + (about.includes(word) ? 1 : 0), 0);
  };
  const scored = tools.map((tool) => [score(tool), tool] as const).filter(([points]) => points > 0);
  return scored
    .sort(([a], [b]) => b - a)
    .slice(0, MAX_FOUND)
    .map(([, tool]) => tool);
}
