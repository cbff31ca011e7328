// Reads and checks the environment and `.env`. Every problem names the variable and the fix. Channels check the variables that are theirs
// with schemas of their own, in the same record.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { isIP } from 'node:net';
import { basename, dirname, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { PinchError } from './errors.js';

export type Env = Record<string, string | undefined>;

const matching = (pattern: RegExp, error: string) => z.string().regex(pattern, { error });
/** A variable that is on or off. */
export const flag = z
  .enum(['1', 'true', '0', 'false'], { error: 'use 1 or true, 0 or false' })
  .transform((value) => value === '1' || value === 'true');
/** `+5`, `1 000` and `$10` are numbers for people. */
const written = z.string().transform((text) => text.trim().replace(/^[+$]\s*|(?<=\d)[\s_'’](?=\d{3}(?!\d))/g, ''));
const whole = (min: number, max: number) => {
  const error = `use a whole number from ${min} to ${max}`;
  return written
    .pipe(matching(/^\d{1,9}$/, error))
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error });
};
const usd = written
  .pipe(matching(/^\d+(\.\d+)?$/, 'use an amount in US dollars such as 10 or 2.50'))
  .transform((value) => Math.round(Number(value) * 1_000_000));
/** US dollars for a million tokens: input/output, or input/output/cache read. */
const price = matching(
  /^\d+(\.\d+)?(\/\d+(\.\d+)?){1,2}$/,
  'use US dollars for a million tokens as input/output or input/output/cache read, such as 0.5/2 or 0.5/2/0.05',
).transform((value) => {
  const [input = 0, output = 0, cacheRead = input] = value.split('/').map(Number);
  // What is written to a cache costs more than what is only read, at Anthropic so much; where it does not, a little too much is counted.
  return { input, output, cacheRead, cacheWrite5m: input * 1.25, cacheWrite1h: input * 2 };
});
/** A number as people write it, `+49 (0) 170 123-45 67` or `0049 170 …`, as its digits; anything else as it is. */
export function plainNumber(text: string): string {
  const digits = text
    .trim()
    .replace(/^(\+|00)\s*(\d[\d\s]*)\(0\)/, '$1$2')
    .replace(/[\s\u200e\u202a-\u202c()./\u2010-\u2015-]/g, '');
  return /^(\+|00)?\d+(@[a-z.]+)?$/.test(digits) ? digits.replace(/^(\+|00)/, '') : text;
}

/** What a container may reach of the outside: nothing, what rules name, what the owner says when asked, every public host. */
export const egressMode = z.enum(['none', 'listed', 'ask', 'open'], { error: 'use none, listed, ask or open' });
export type EgressMode = z.infer<typeof egressMode>;
// Those of the built-in channels are checked to the end: an id that never matches would leave the owner a stranger.
const owner = z
  .string()
  .transform((value) =>
    value.replace(/^(whatsapp|telegram):(.*)$/, (_, channel, id) => `${channel}:${plainNumber(id)}`),
  )
  .pipe(
    matching(
      /^(telegram:\d+|whatsapp:\d+(@[a-z.]+)?|(?!telegram:|whatsapp:)[a-z]+:\S+)$/,
      'use <channel>:<id>, such as telegram:123456789 or whatsapp:491701234567',
    ),
  )
  .transform((value) => {
    const [, channel = '', address = ''] = /^(.+?):\+?(.+)$/.exec(value) ?? [];
    return { channel, address };
  });

const NO_LIMIT = Number.POSITIVE_INFINITY;
const pageHosts = matching(
  /^\s*[\w.-]+(:\d{1,5})?(\s*,\s*[\w.-]+(:\d{1,5})?)*\s*$/,
  'use host names with a comma between, such as pinch.tail1234.ts.net or home.example:8443',
).transform((value) =>
  value
    .toLowerCase()
    .split(',')
    .map((host) => host.trim()),
);

const modelId = matching(/^[\w.:/@-]{1,200}$/, 'use a model id such as claude-sonnet-5-5');

const schema = z.object({
  ASSISTANT_NAME: matching(/^[\p{L}\p{N}][\p{L}\p{N}_-]{0,39}$/u, 'use one word of letters, digits, - and _').default(
    'Pinch',
  ),
  ANTHROPIC_API_KEY: z.string().optional(),
  ANTHROPIC_AUTH_TOKEN: z.string().optional(),
  ANTHROPIC_BASE_URL: z.url({ protocol: /^https?$/, error: 'use a URL such as https://api.anthropic.com' }).optional(),
  PINCH_MODEL: modelId.default('claude-sonnet-5-5'),
  PINCH_MODEL_FALLBACK: modelId.optional(),
  PINCH_MODEL_FREE: flag.optional(),
  PINCH_MODEL_PRICE: price.optional(),
  PINCH_WEB_SEARCH: z
    .enum(['off', 'model'], { error: 'use off, or model for the search of the model provider' })
    .default('off'),
  PINCH_OWNER: owner.optional(),
  PINCH_PORT: whole(0, 65_535).default(7462),
  PINCH_PAGE_HOSTS: pageHosts.default([]),
  // Which there are, sandbox/runtimes.ts says.
  PINCH_RUNTIME: matching(/^[a-z]+$/, 'use docker (or process, for development)').default('docker'),
  PINCH_OCI_RUNTIME: matching(/^[\w.-]{1,64}$/, 'use an OCI runtime of the engine, such as runsc').optional(),
  PINCH_UNSAFE: flag.default(false),
  PINCH_MAX_CONTAINERS: whole(1, 100).default(5),
  PINCH_IDLE_MS: whole(0, 86_400_000).default(600_000),
  PINCH_BUDGET_USD_DAY: usd.default(10_000_000),
  PINCH_BUDGET_USD_GROUP_DAY: usd.default(5_000_000),
  PINCH_EGRESS: egressMode.default('ask'),
  PINCH_BUDGET_USD_MONTH: usd.default(100_000_000),
  PINCH_BUDGET_USD_RUN: usd.default(2_000_000),
  PINCH_KEEP_DAYS: whole(0, 100_000).default(90),
  PINCH_KEEP_MESSAGES_DAYS: whole(0, 100_000).default(0),
  PINCH_GROUP_DISK_MB: whole(0, 100_000_000).default(5_000),
  PINCH_GROUP_FILES: whole(0, 100_000_000).default(200_000),
  PINCH_MIN_FREE_MB: whole(0, 100_000_000).default(500),
  PINCH_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error'], { error: 'use debug, info, warn or error' })
    .default('info'),
  // POSIX writes a zone name with a colon before it.
  TZ: z
    .string()
    .transform((zone) => zone.replace(/^:/, ''))
    .refine(isTimeZone, { error: 'use a zone name such as Europe/Berlin' })
    .optional(),
});

export const settingNames: string[] = Object.keys(schema.shape);

export type Config = ReturnType<typeof loadConfig>;
export type Backend = ReturnType<typeof backendOf>;

/**
 * Home directory and checked settings. `.env` lies in the home; the process environment wins over it; empty values count as unset.
 * Throws PinchError `config_invalid` whose message lists each wrong variable with its fix.
 */
export function loadConfig(environment: Env, repository: string) {
  const home = truePath(resolve(environment.PINCH_HOME || repository));
  const env = readEnv(environment, home);
  const parsed = schema.safeParse(env);
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  const value = parsed.data;
  const unsafe = 'PINCH_RUNTIME: `process` runs agents without a sandbox; set PINCH_UNSAFE=1 as well to accept that';
  if (value.PINCH_RUNTIME === 'process' && !value.PINCH_UNSAFE) throw invalid([unsafe]);
  if (value.PINCH_MODEL_FALLBACK === value.PINCH_MODEL)
    throw invalid([`PINCH_MODEL_FALLBACK: use another model than PINCH_MODEL, which is ${value.PINCH_MODEL}`]);
  return {
    home,
    repository,
    groupsDir: join(home, 'groups'),
    dataDir: join(home, 'data'),
    env,
    assistantName: value.ASSISTANT_NAME,
    model: value.PINCH_MODEL,
    /** Works while `model` is overloaded. */
    modelFallback: value.PINCH_MODEL_FALLBACK,
    /** The model provider's own web search may be used. */
    modelSearch: value.PINCH_WEB_SEARCH === 'model',
    owner: value.PINCH_OWNER,
    port: value.PINCH_PORT,
    /** Further Host names under which the page may be reached. */
    pageHosts: value.PINCH_PAGE_HOSTS,
    runtime: value.PINCH_RUNTIME,
    ociRuntime: value.PINCH_OCI_RUNTIME,
    maxContainers: value.PINCH_MAX_CONTAINERS,
    idleMs: value.PINCH_IDLE_MS,
    egressMode: value.PINCH_EGRESS,
    /** Micro USD. The owner may have set others since (budgets/caps.ts). */
    budgets: {
      month: value.PINCH_BUDGET_USD_MONTH,
      day: value.PINCH_BUDGET_USD_DAY,
      group: value.PINCH_BUDGET_USD_GROUP_DAY,
      run: value.PINCH_BUDGET_USD_RUN,
    },
    /** How long what is over is kept; 0: for ever. */
    keepDays: value.PINCH_KEEP_DAYS,
    keepMessagesDays: value.PINCH_KEEP_MESSAGES_DAYS,
    /** What the folders of one group may hold. */
    groupQuota: { bytes: (value.PINCH_GROUP_DISK_MB || NO_LIMIT) * 1e6, files: value.PINCH_GROUP_FILES || NO_LIMIT },
    /** Of the disk, below which nothing is begun. */
    minFreeBytes: value.PINCH_MIN_FREE_MB * 1e6,
    logLevel: value.PINCH_LOG_LEVEL,
    timeZone: value.TZ ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    backend: backendOf(value),
  };
}

/** One home has one name, by which its containers and its service are known: without links, and on a disk that ignores case as it is written there. */
function truePath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    // It is not there yet, or closed to us, which whoever opens it will tell.
    return dirname(path) === path ? path : join(truePath(dirname(path)), basename(path));
  }
}

/** The variables of a `.env` as editors of all systems write it: with a mark before the first line, tabs, `export` and other ends of lines. */
export function parseEnvFile(text: string): Env {
  const plain = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  const trimmed = Object.entries(parseEnv(plain)).map(([name, value = '']) => [
    name.replace(/^\s*(export\s+)?/, '').trim(),
    value.replace(/^\t+|\s*\t\s*$/g, ''),
  ]);
  return Object.fromEntries(trimmed.filter(([name = '']) => /^[A-Za-z_]\w*$/.test(name)));
}

/** The process environment over the home's `.env`; empty strings dropped. */
export function readEnv(environment: Env, home: string): Env {
  const file = join(home, '.env');
  const fromFile = existsSync(file) ? parseEnvFile(readFileSync(file, 'utf8')) : {};
  const set = (values: Env) => Object.entries(values).filter(([, value]) => value !== undefined && value !== '');
  return Object.fromEntries([...set(fromFile), ...set(environment)]);
}

/** A variable of the settings: its value, or its default, and where that is from. */
export interface Setting {
  name: string;
  value: string;
  from: 'environment' | '.env' | 'default';
}

/** All of the settings, then `more` and whatever else `.env` has, where they are set. What may be a secret is only said to be set. */
export function listSettings(environment: Env, home: string, more: string[]): Setting[] {
  const inFile = readEnv({}, home);
  const env = readEnv(environment, home);
  const others = [...new Set([...more, ...Object.keys(inFile)])].filter(
    (name) => !settingNames.includes(name) && env[name],
  );
  const from = (name: string): Setting['from'] => (environment[name] ? 'environment' : env[name] ? '.env' : 'default');
  return [
    ...Object.entries(schema.shape).map(([name, type]) => ({
      name,
      value: shown(name, env[name], type),
      from: from(name),
    })),
    ...others.map((name) => ({ name, value: 'set', from: from(name) })),
  ];
}

/** A default is shown as it would be written. */
function shown(name: string, value: string | undefined, type: z.ZodType): string {
  if (value !== undefined) {
    if (/_(KEY|TOKEN)$/.test(name)) return 'set';
    return value.replace(/\/\/[^/@]*@/, '//***@').replace(/\?.*/s, '?***');
  }
  const { data } = type.safeParse(undefined);
  if (name.includes('_USD_')) return String(Number(data) / 1_000_000);
  return data === undefined ? '' : String(data);
}

/** `free`: models that the price list does not know cost nothing there. `price`: what the owner says that the model costs. */
function backendOf(value: z.infer<typeof schema>) {
  const { ANTHROPIC_API_KEY: apiKey, ANTHROPIC_AUTH_TOKEN: authToken, ANTHROPIC_BASE_URL: baseUrl } = value;
  if (!apiKey && !authToken && !baseUrl) return { kind: 'demo' as const };
  const url = baseUrl ?? 'https://api.anthropic.com';
  const free = value.PINCH_MODEL_FREE ?? isOwnMachine(new URL(url));
  return {
    kind: 'http' as const,
    baseUrl: url,
    apiKey,
    authToken,
    free,
    ...(value.PINCH_MODEL_PRICE && { price: value.PINCH_MODEL_PRICE }),
  };
}

/** Whether a server is surely the owner's: by a loopback or private address, or a name that exists on the own machine or network only. */
function isOwnMachine({ hostname }: URL): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  if (isIP(address)) return ['loopback', 'private', 'uniqueLocal'].includes(ipaddr.process(address).range());
  return !hostname.includes('.') || /\.(localhost|local|internal|home\.arpa)$/.test(hostname);
}

function isTimeZone(value: string): boolean {
  try {
    return Intl.DateTimeFormat('en', { timeZone: value }) !== undefined;
  } catch {
    return false;
  }
}

export function invalid(problems: string[]): PinchError {
  return new PinchError('config_invalid', `the settings cannot be used:\n  - ${problems.join('\n  - ')}`, {
    hint: 'correct them in .env or the environment and start again',
  });
}

/** Where a channel keeps files of its own. */
export const channelFolder = ({ dataDir }: Pick<Config, 'dataDir'>, channel: string): string =>
  join(dataDir, 'files', channel);

/** Set by the unit that `pinch service install` writes. */
export const isService = ({ env }: Pick<Config, 'env'>): boolean => env.PINCH_SERVICE === '1';
