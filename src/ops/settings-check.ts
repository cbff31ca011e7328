// What in `.env` is probably not meant so: no error, Pinch starts, but somebody should look. Never shows a value, which may be a key.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import * as channels from '../channels/index.js';
import { type Config, parseEnvFile, settingNames } from '../core/config.js';
import { nearest } from '../core/nearest.js';
import { readServices, variablesOf } from '../services/list.js';
import { serverVariables } from '../services/servers.js';

type Checked = Pick<Config, 'home' | 'groupsDir' | 'dataDir' | 'env' | 'repository' | 'budgets'>;

/** Read by libraries, by set-up or by Pinch itself without being checked. */
const others = [
  ...['DOCKER_HOST', 'DOCKER_CERT_PATH', 'DOCKER_TLS_VERIFY', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME', 'HOME', 'PATH'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS', 'NPM_CONFIG_REGISTRY'],
  ...['PINCH_SERVICE', 'NO_COLOR'],
];
/** Names that nobody else would choose. */
const ours = /^(PINCH|ANTHROPIC|TELEGRAM|WHATSAPP)_/i;
const MAX_SHOWN = 40;

/** One sentence each: lines that set nothing, names that nothing reads, limits that another one makes useless. */
export function settingNotices(config: Checked): string[] {
  const file = join(config.home, '.env');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return [...lineNotices(text), ...nameNotices(config, text), ...capNotices(config)].map((notice) => notice.trim());
}

/** Names of the variables that channels read. */
export const channelSettings = (): string[] =>
  Object.values(channels).flatMap(({ env }) => (env instanceof z.ZodObject ? Object.keys(env.shape) : []));

/** Lines that set nothing or something else than they seem to. Pure. */
export function lineNotices(text: string): string[] {
  const seen = new Set<string>();
  return linesOf(text).flatMap(({ line, at }) => {
    const where = `.env, line ${at}`;
    const [, name = '', value] = /^\s*(?:export\s+)?([^=]*?)\s*=(.*)$/s.exec(line) ?? [];
    if (value === undefined) return [`${where} sets nothing: it has no =; a remark begins with #`];
    if (name === '') return [`${where} sets nothing: there is no name before the =`];
    const shown = JSON.stringify(name.slice(0, MAX_SHOWN));
    if (/\s/.test(name)) return [`${where} sets nothing: the name ${shown} has a blank in it`];
    if (!/^[A-Za-z_]\w*$/.test(name))
      return [`${where} sets nothing: ${shown} is no name, which has letters, digits and _`];
    const isTwice = seen.has(name);
    seen.add(name);
    if (isTwice) return [`${where} sets ${name} again; the last line counts`];
    const [quote] = /^["'`“”„‘’«]/.exec(value.trim()) ?? [];
    if (quote && !isClosed(value.trim()))
      return [`${where}: the quotes around the value of ${name} are not a pair of " or '`];
    if (!quote && /\S#/.test(value))
      return [`${where}: the value of ${name} ends before its #, where a remark begins; put it in quotes`];
    const isKey = /_(KEY|TOKEN)$/.test(name) && !value.includes('-----BEGIN');
    if (isKey && /[^\x21-\x7e]/.test(value.replace(/\s+#.*$/s, '').replace(/^[ \t\r]+|[ \t\r]+$|["'`]/g, '')))
      return [`${where}: the value of ${name} has a blank or a letter in it that no key has; was it copied as it is?`];
    return [];
  });
}

const isClosed = (value: string): boolean => /^(["'`])[\s\S]*\1\s*(#.*)?$/.test(value) && value.length > 1;

/** Lines that are not empty and no remark; a value in quotes may go over several. */
function linesOf(text: string): { line: string; at: number }[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|[\r\n]/);
  const found: { line: string; at: number }[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const first = at;
    const [, quote] = /^[^#=]*=\s*(["'`])/.exec(lines[at] ?? '') ?? [];
    const opened = (lines[at] ?? '').split(quote ?? '\n').length === 2;
    const end = quote && opened ? lines.findIndex((line, later) => later > first && line.includes(quote)) : -1;
    if (end > 0) at = end;
    const line = lines.slice(first, at + 1).join('\n');
    if (!/^\s*(#|$)/.test(line)) found.push({ line, at: first + 1 });
  }
  return found;
}

function nameNotices(config: Checked, text: string): string[] {
  const known = [...settingNames, ...channelSettings(), ...others];
  const names = Object.keys(parseEnvFile(text)).filter((name) => !known.includes(name));
  if (names.includes('PINCH_HOME') || names.length > 0)
    known.push(...ofServices(config), ...ofSkills(config.repository));
  return names
    .filter((name) => !known.includes(name) && !others.includes(name.toUpperCase()))
    .flatMap((name) => {
      if (name === 'PINCH_HOME') return ['.env: PINCH_HOME says where .env is, so it counts only in the environment'];
      const meant = nearest(name, known);
      if (meant) return [`.env: nothing reads ${name}; did you mean ${meant}?`];
      return ours.test(name) ? [`.env: nothing reads ${name}`] : [];
    });
}

/** What services.json names. */
function ofServices(config: Checked): string[] {
  const { services, servers } = readServices(config);
  return [...services.flatMap(variablesOf), ...servers.flatMap(serverVariables)];
}

const skill = z.object({ env: z.array(z.object({ name: z.string() })).default([]) });

/** What the skills of this checkout read once they are applied. */
function ofSkills(repository: string): string[] {
  const folder = join(repository, 'skills');
  const files = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name, 'skill.json')) : [];
  return files
    .filter((file) => existsSync(file))
    .flatMap((file) => {
      const { data } = skill.safeParse(JSON.parse(readFileSync(file, 'utf8')));
      return (data?.env ?? []).map(({ name }) => name);
    });
}

const caps = [
  { key: 'run', name: 'PINCH_BUDGET_USD_RUN' },
  { key: 'group', name: 'PINCH_BUDGET_USD_GROUP_DAY' },
  { key: 'day', name: 'PINCH_BUDGET_USD_DAY' },
  { key: 'month', name: 'PINCH_BUDGET_USD_MONTH' },
] as const;

/** A limit that the owner set and that a wider one is reached before. */
function capNotices({ budgets, env }: Checked): string[] {
  const usd = (microUsd: number) => `$${microUsd / 1_000_000}`;
  return caps.flatMap(({ key, name }, at) => {
    const wider = caps.slice(at + 1).find((other) => budgets[other.key] < budgets[key]);
    if (!env[name] || !wider) return [];
    return [
      `${name} (${usd(budgets[key])}) is above ${wider.name} (${usd(budgets[wider.key])}), which ends everything before`,
    ];
  });
}
