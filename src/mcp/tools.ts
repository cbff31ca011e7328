// Tools of MCP servers: as a server describes them, as the model knows them, and what the owner's rules say about a call. Pure. What a server says
// about its own tools is its claim, and text for the model that nobody here wrote.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { printable } from '../core/one-line.js';
import type { TOOL_RULES } from '../services/servers.js';
import { type ApiSchema, cutSchema } from './schema.js';

/** A tool as its server offers it. */
export interface ServerTool {
  name: string;
  /** All that counts of it, in one form: another one is another tool. */
  definition: string;
  digest: string;
}
/** `isCut`: there were more than are looked at, or what are no tools. */
export interface Offer {
  tools: ServerTool[];
  isCut: boolean;
}

const definition = z.object({
  name: z.string().min(1).max(200),
  description: z.string().default(''),
  inputSchema: z.unknown().optional(),
  annotations: z
    .object({ readOnlyHint: z.boolean().optional().catch(undefined) })
    .catch({})
    .default({}),
});
export type Definition = z.infer<typeof definition>;

/** Undefined when it is none, or nested deeper than anybody writes. */
export function readTool(json: string): ServerTool | undefined {
  try {
    const read = definition.parse(JSON.parse(json));
    const text = JSON.stringify(ordered(read, MAX_DEPTH));
    return { name: read.name, definition: text, digest: createHash('sha256').update(text).digest('hex') };
  } catch {
    return undefined;
  }
}

export const definitionOf = ({ definition: text }: Pick<ServerTool, 'definition'>): Definition =>
  definition.parse(JSON.parse(text));

const MAX_DEPTH = 100;
/** Servers may list fields in another order each time. */
function ordered(value: unknown, depth: number): unknown {
  if (depth === 0) throw new RangeError('too deep');
  if (Array.isArray(value)) return value.map((one) => ordered(one, depth - 1));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, ordered(inner, depth - 1)]));
}

/** A tool as the model's API gets it. */
export interface ApiTool {
  name: string;
  service: string;
  description: string;
  schema: ApiSchema;
}
const MAX_DESCRIPTION_CHARS = 2_000;

export function apiTool(name: string, service: string, given: Definition): ApiTool {
  const { schema, note } = cutSchema(given.inputSchema);
  const words = printable(given.description).trim();
  const shown = words.length > MAX_DESCRIPTION_CHARS ? `${words.slice(0, MAX_DESCRIPTION_CHARS)}…` : words;
  return { name, service, description: printable([shown, note].filter(Boolean).join('\n')), schema };
}

interface Named {
  service: string;
  tool: string;
}
const MAX_NAME_CHARS = 128;
const HASH_CHARS = 8;

/**
 * The names by which a model calls tools: `mcp__<service>__<tool>` in the letters that its API takes. Where two would be the same, the one that
 * is written so keeps the name, and the others end with a hash of their own: no tool gets a name because of the order of a list.
 */
export function nameTools<Tool extends Named>(tools: Tool[]): Map<string, Tool> {
  const claims = new Map<string, Tool[]>();
  for (const tool of tools) {
    const plain = plainName(tool);
    claims.set(plain, [...(claims.get(plain) ?? []), tool]);
  }
  const named = new Map<string, Tool>();
  for (const [plain, all] of claims) {
    const [first, ...others] = all.sort((a, b) => rank(a, plain) - rank(b, plain) || (idOf(a) < idOf(b) ? -1 : 1));
    if (first) named.set(plain, first);
    for (const tool of others) named.set(hashed(plain, tool), tool);
  }
  return new Map([...named].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const idOf = ({ service, tool }: Named): string => `${service}\n${tool}`;
const rank = (tool: Named, plain: string): number => (`mcp__${tool.service}__${tool.tool}` === plain ? 0 : 1);
const hashed = (plain: string, tool: Named): string =>
  `${plain.slice(0, MAX_NAME_CHARS - HASH_CHARS - 1)}_${createHash('sha256').update(idOf(tool)).digest('hex').slice(0, HASH_CHARS)}`;

function plainName(tool: Named): string {
  const plain = `mcp__${tool.service}__${tool.tool}`.replace(/[^a-zA-Z0-9_-]/g, '_');
  return plain.length <= MAX_NAME_CHARS ? plain : hashed(plain, tool);
}

export type ToolRule = (typeof TOOL_RULES)[number];
export interface Verdict {
  do: 'allow' | 'ask' | 'deny';
  why: string;
}

export const ruleOf = (rules: Record<string, ToolRule>, tool: string): ToolRule =>
  (Object.hasOwn(rules, tool) ? rules[tool] : rules['*']) ?? 'ask';

/** What the owner's rules say about a call of the tool. After something untrusted was read, what may write asks. */
export function decideTool(
  rules: Record<string, ToolRule>,
  { name, annotations }: Definition,
  tainted: boolean,
): Verdict {
  const rule = ruleOf(rules, name);
  if (rule === 'always') return { do: 'allow', why: 'rule' };
  if (rule === 'allow' && tainted && annotations.readOnlyHint !== true) return { do: 'ask', why: 'tainted' };
  return { do: rule, why: Object.hasOwn(rules, name) || rules['*'] ? 'rule' : 'no rule' };
}
