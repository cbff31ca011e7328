// The owner's services: `services.json` in the home of Pinch, secrets by the names of variables of `.env`. Read again whenever one of the two
// changed. Knows nothing about calls.
import fs from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isOwnNetwork } from '../core/address.js';
import type { Config, Env } from '../core/config.js';
import { describeError, PinchError } from '../core/errors.js';
import { isWritten, oauth2, variable } from '../oauth/config.js';
import { searchEngine } from '../wire.js';
import { DO } from './decide.js';
import { FORBIDDEN_HEADER } from './headers.js';
import { canonicalPath } from './path.js';
import { group, type McpServer, mcpServer, NAME, toolRules } from './servers.js';

const MAX_BYTES = 256 * 1024;
const headerName = z.string().regex(/^[A-Za-z0-9-]{1,60}$/, { error: 'use the name of a header' });
const method = z.string().regex(/^([A-Z]{1,20}|\*)$/, { error: 'use a method in capitals such as POST, or *' });

const baseUrl = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const fail = (message: string) => context.addIssue({ code: 'custom', message });
  if (!url || !/^https?:$/.test(url.protocol)) fail('use a whole URL such as https://api.example.com/v1');
  else if (url.username || url.password || url.search || url.hash)
    fail('a URL with a user name, a query or # is not possible; use auth');
  else if (url.protocol === 'http:' && !isOwnNetwork(url)) fail('use https; http is for a loopback or private address');
  else if (typeof canonicalPath(url.pathname) !== 'string') fail('its path has a part that no call may have');
  return url ?? z.NEVER;
});

const rulePath = z.string().transform((text, context) => {
  const path = canonicalPath(text);
  if (typeof path === 'string') return path;
  context.addIssue({ code: 'custom', message: path.refused });
  return z.NEVER;
});

const rule = z.strictObject({
  method: method.or(z.array(method).min(1)).transform((one) => [one].flat()),
  path: rulePath,
  query: z.record(z.string().regex(/^[\w.-]{1,100}$/), z.string()).optional(),
  do: z.enum(DO),
  always: z.boolean().optional(),
});

const auth = z.union(
  [
    z.strictObject({ bearer: variable }),
    z.strictObject({ basic: z.tuple([variable, variable]) }),
    z.strictObject({ header: z.tuple([headerName, variable]) }),
    z.strictObject({ oauth2 }),
  ],
  { error: ({ input }) => authError(input) },
);

function authError(input: unknown): string {
  const written = z.object({ oauth2: z.unknown() }).safeParse(input).data;
  const problem = written && oauth2.safeParse(written.oauth2).error;
  if (problem) return `oauth2: ${z.prettifyError(problem)}`;
  return 'use {"bearer": VAR}, {"basic": [VAR, VAR]}, {"header": [name, VAR]} or {"oauth2": …}';
}

const httpService = z
  .strictObject({
    kind: z.literal('http'),
    url: baseUrl,
    description: z.string().max(200).default(''),
    auth: auth.optional(),
    /** Folders of the groups that may use it. */
    groups: z.array(group).min(1),
    rules: z.array(rule).max(200).default([]),
    otherwise: z.enum(DO).optional(),
    /** What it answers is the owner's own data, which nobody else can write into. */
    trusted: z.boolean().default(false),
    /** An MCP server answers at `url`: agents have its tools. */
    mcp: z.boolean().default(false),
    /** With `mcp`. */
    tools: toolRules,
    /** The agent's tool `web_search` asks it, as this engine is asked. */
    search: searchEngine.optional(),
    /** `git` reaches its host through it. */
    git: z.boolean().default(false),
    /** Further headers that are passed on, both ways. */
    headers: z
      .array(
        headerName
          .toLowerCase()
          .refine((name) => !FORBIDDEN_HEADER.test(name), { error: 'this header is never passed on' }),
      )
      .default([]),
  })
  .refine(({ auth, mcp }) => mcp || !auth || !('oauth2' in auth) || isWritten(auth.oauth2), {
    error: 'oauth2 needs tokenUrl and clientId; only an MCP server ("mcp": true) names them itself',
    path: ['auth'],
  });

export interface Service extends z.infer<typeof httpService> {
  name: string;
}
/** An MCP server that answers over HTTP, in the form of the others. */
export const overHttp = ({ name, description, groups, tools, trusted, url }: Service): McpServer => ({
  ...{ kind: 'mcp', name, description, groups, tools, trusted, url },
  ...{ command: [url.href], packages: [], env: {}, egress: [], host: false },
});

export interface Problem {
  name: string;
  why: string;
}

export const servicesFile = ({ home }: Pick<Config, 'home'>): string => join(home, 'services.json');

const anyService = z.discriminatedUnion('kind', [httpService, mcpServer], { error: 'the kinds are: http, mcp' });

export interface Listed {
  services: Service[];
  /** MCP servers of kind `mcp`. */
  servers: McpServer[];
  problems: Problem[];
}

/** What is listed, and what of the list is no use: that alone is left out. Empty when there is no file. Never throws. */
export function readServices(config: Pick<Config, 'home' | 'groupsDir' | 'dataDir'>): Listed {
  const [services, servers, problems]: [Service[], McpServer[], Problem[]] = [[], [], []];
  try {
    for (const [name, value] of Object.entries(readFile(config))) {
      const read = readService(name, value);
      if ('why' in read) problems.push({ name, why: read.why });
      else if (read.kind === 'http') services.push({ name, ...read });
      else servers.push({ name, ...read });
    }
  } catch (error) {
    problems.push({ name: 'services.json', why: describeError(error) });
  }
  return { services, servers, problems };
}

/** One entry, or why it is none. */
export function readService(name: string, value: unknown): z.infer<typeof anyService> | { why: string } {
  if (!NAME.test(name)) return { why: 'use a name of lower-case letters, digits, - and _' };
  const { data, error } = anyService.safeParse(value);
  if (!data) return { why: z.prettifyError(error) };
  // `mcp__a__b__c` must be a tool of one server.
  const isServer = data.kind === 'mcp' || data.mcp;
  return isServer && name.includes('__') ? { why: 'an MCP server has no __ in its name' } : data;
}

/** Adds an entry, which counts at once. Throws PinchError: the file is no use, or has this name. */
export function addService(config: Pick<Config, 'home' | 'groupsDir' | 'dataDir'>, name: string, value: unknown): void {
  const list = readFile(config);
  if (Object.hasOwn(list, name))
    throw new PinchError('name_taken', `services.json has a service "${name}" already`, { hint: 'take another name' });
  const file = servicesFile(config);
  // The owner may have put a link there.
  const place = fs.existsSync(file) ? fs.realpathSync(file) : file;
  const text = `${JSON.stringify({ ...list, [name]: value }, null, 2)}\n`;
  // One that is too large would be no use as a whole.
  if (Buffer.byteLength(text) > MAX_BYTES)
    throw unusable(`it would be larger than ${MAX_BYTES} bytes`, 'take out what is not needed');
  const next = `${place}.new`;
  fs.rmSync(next, { force: true });
  const fd = fs.openSync(next, 'wx', 0o600);
  fs.writeFileSync(fd, text);
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  fs.renameSync(next, place);
}

function readFile(config: Pick<Config, 'home' | 'groupsDir' | 'dataDir'>): Record<string, unknown> {
  const file = servicesFile(config);
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) return {};
  const place = fs.realpathSync(file);
  const exposed = [config.groupsDir, config.dataDir].find(
    (folder) => fs.existsSync(folder) && place.startsWith(`${fs.realpathSync(folder)}/`),
  );
  if (exposed) throw unusable(`it lies in ${exposed}, which containers see`, 'keep it elsewhere');
  if (stat.mode & 0o022 || ![0, process.getuid?.()].includes(stat.uid))
    throw unusable('other users can change it', `chmod 600 '${file}'`);
  if (stat.size > MAX_BYTES) throw unusable(`it is larger than ${MAX_BYTES} bytes`, 'shorten it');
  const text = fs.readFileSync(file, 'utf8');
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  } catch (error) {
    const at = Number(/position (\d+)/.exec(describeError(error))?.[1]);
    const line = Number.isNaN(at) ? '' : `line ${text.slice(0, at).split('\n').length}: `;
    throw unusable(`${line}${describeError(error)}`, 'correct it; docs/services.md shows one');
  }
}

const unusable = (what: string, hint: string) => new PinchError('services_file', what, { hint });

/** Changes whenever the list or the variables may have. */
export function version({ home }: Pick<Config, 'home'>): string {
  const stats = ['services.json', '.env'].map((name) =>
    fs.statSync(join(home, name), { bigint: true, throwIfNoEntry: false }),
  );
  return stats.map((stat) => (stat ? `${stat.mtimeNs}.${stat.ino}.${stat.size}` : 'none')).join(' ');
}

/** A credential as it goes into a header, and what of it must not come back. */
export interface Credential {
  header?: [name: string, value: string];
  secrets: string[];
}

/** Names of the variables that a service needs. */
export const variablesOf = ({ auth: how }: Pick<Service, 'auth'>): string[] => {
  if (!how) return [];
  if ('bearer' in how) return [how.bearer];
  if ('oauth2' in how) return how.oauth2.clientSecret ? [how.oauth2.clientSecret] : [];
  return 'basic' in how ? how.basic : [how.header[1]];
};

/** The secrets of services, whatever their variables are called; of a user and a password also the pair, which is sent as one. */
export const secretsIn = (services: Service[], env: Env): { name: string; value: string }[] =>
  services.flatMap(({ auth: how }) => {
    const known = variablesOf({ auth: how }).flatMap((name) => ({ name, value: env[name] ?? '' }));
    const [user, password] = known;
    if (!how || !('basic' in how) || !user || !password) return known;
    return [password, { name: `${user.name} ${password.name}`, value: `${user.value}:${password.value}` }];
  });

/** The value of a variable. Throws PinchError `no_credential` which names one that is missing or no use. */
export function secretOf(name: string, env: Env): string {
  const value = env[name];
  if (value && !/[^\t -~\u0080-\u00ff]/.test(value)) return value;
  const why = value ? 'has characters that no header takes' : 'is not set';
  throw new PinchError('no_credential', `${name} ${why}`, { hint: `set ${name} in .env` });
}

/** The credential of a service whose secrets are variables. Throws PinchError `no_credential`. */
export function credentialOf(how: Exclude<Service['auth'], { oauth2: unknown }>, env: Env): Credential {
  if (!how) return { secrets: [] };
  if ('bearer' in how) return bearer([secretOf(how.bearer, env)]);
  if ('header' in how) {
    const value = secretOf(how.header[1], env);
    return { header: [how.header[0].toLowerCase(), value], secrets: [value] };
  }
  const [user, password] = [secretOf(how.basic[0], env), secretOf(how.basic[1], env)];
  const pair = `${user}:${password}`;
  return { header: ['authorization', `Basic ${Buffer.from(pair).toString('base64')}`], secrets: [pair, password] };
}

/** The first of the secrets is what is sent. */
export const bearer = (secrets: string[]): Credential => ({
  header: ['authorization', `Bearer ${secrets[0]}`],
  secrets,
});
