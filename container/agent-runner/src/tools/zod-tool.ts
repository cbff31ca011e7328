// As the SDK's betaZodTool, for tools that are made anew for every run: what the model reads of a schema is made once. It takes longer than all
// else that stands between a message and the model, so a schema belongs outside of the function that makes its tool.
import type Anthropic from '@anthropic-ai/sdk';
import type { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import * as z from 'zod';
import type { Tool } from '../context.js';

const made = new WeakMap<z.ZodType, Anthropic.Beta.BetaTool.InputSchema>();

export function zodTool<Schema extends z.ZodObject>(options: Parameters<typeof betaZodTool<Schema>>[0]): Tool {
  const { inputSchema, name, description, run } = options;
  const known = made.get(inputSchema) ?? { ...z.toJSONSchema(inputSchema, { reused: 'ref' }), type: 'object' };
  made.set(inputSchema, known);
  return { type: 'custom', name, description, input_schema: known, run, parse: (input) => inputSchema.parse(input) };
}
