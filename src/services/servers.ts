// MCP servers as services.json names them (kind `mcp`): what they are made of, what they may reach, and which of their tools may be used.
import { z } from 'zod';
import type { Env } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { variable } from '../oauth/config.js';
import { DO } from './decide.js';

export const NAME = /^[a-z0-9][a-z0-9_-]{0,39}$/;

/** The folder of a group that may use it. */
export const group = z.string().regex(NAME, { error: 'use the folder of a group' });

/** What may be done with a tool. `always`: allowed, also after something was read that nobody trusted. */
export const TOOL_RULES = [...DO, 'always'] as const;
/** By the server's own name of the tool, or `*` for those that are not named; without either a tool asks. */
export const toolRules = z.record(z.string().min(1).max(200), z.enum(TOOL_RULES)).default({});

const npmPackage = z
  .string()
  .regex(/^(@[a-z0-9._~-]+\/)?[a-z0-9._~-]+@\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/, {
    error: 'use name@version with a whole version such as 1.2.3',
  });
const host = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;
const port = z.int().min(1).max(65_535);

/** A place it may connect to. `address`: in the place of what the name resolves to; the way to a private one. */
const place = z.union(
  [
    z
      .string()
      .regex(/^[A-Za-z0-9.-]+:\d{1,5}$/)
      .transform((text) => {
        const [name = '', digits] = text.split(':');
        return { host: name, ports: [Number(digits)] };
      })
      .pipe(z.object({ host: z.string().regex(host), ports: z.array(port) })),
    z.strictObject({
      host: z.string().regex(host),
      ports: z.array(port).min(1).max(10),
      address: z.union([z.ipv4(), z.ipv6()]).optional(),
    }),
  ],
  { error: 'use "host:port", or {"host", "ports", "address"}' },
);

export const mcpServer = z.strictObject({
  kind: z.literal('mcp'),
  description: z.string().max(200).default(''),
  groups: z.array(group).min(1),
  /** From the npm registry. */
  packages: z.array(npmPackage).max(20).default([]),
  /** A folder below this repository with further files of the server. */
  program: z
    .string()
    .regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, { error: 'use a folder below the repository' })
    .optional(),
  /** A program of its packages, or one that is there, with its arguments. */
  command: z.array(z.string().min(1).max(1_000)).min(1).max(50),
  env: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/),
      z.union([variable, z.strictObject({ value: z.string().max(4_000) })], {
        error: 'use the name of a variable in .env, or {"value": "…"} for what is no secret',
      }),
    )
    .default({}),
  egress: z.array(place).max(20).default([]),
  tools: toolRules,
  /** What it answers is the owner's own data, which nobody else can write into. */
  trusted: z.boolean().default(false),
  /** Runs on the machine itself, with the rights of Pinch, and not in a container. */
  host: z.boolean().default(false),
});

export interface McpServer extends z.infer<typeof mcpServer> {
  name: string;
  /** It is no program but answers there: the service of kind `http` with this name. */
  url?: URL;
}

/** Names of the variables of `.env` that it is given. */
export const serverVariables = ({ env }: Pick<McpServer, 'env'>): string[] => [
  ...new Set(Object.values(env).flatMap((from) => (typeof from === 'string' ? [from] : []))),
];

/** What servers are given, whatever the variables are called. */
export const serverSecrets = (servers: McpServer[], env: Env): { name: string; value: string }[] =>
  servers.flatMap(serverVariables).map((name) => ({ name, value: env[name] ?? '' }));

/** The environment of its process. Throws PinchError `no_credential` which names a variable that is missing. */
export function envOf({ env: wanted }: McpServer, env: Env): Record<string, string> {
  const entries = Object.entries(wanted).map(([name, from]) => {
    const value = typeof from === 'string' ? env[from] : from.value;
    if (value === undefined)
      throw new PinchError('no_credential', `${String(from)} is not set`, { hint: `set ${String(from)} in .env` });
    return [name, value];
  });
  return Object.fromEntries(entries);
}
