// The npm registry of this machine, and what an install from it must have left. Pure but for reading ~/.npmrc; npm itself never runs on the host.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Env } from '../core/config.js';
import { PinchError } from '../core/errors.js';

const DEFAULT = 'https://registry.npmjs.org/';

/** As npm's environment or the user's .npmrc names it. Throws PinchError `mcp_install` when that is no plain URL. */
export function registryOf(env: Env): URL {
  const text =
    env.npm_config_registry ?? env.NPM_CONFIG_REGISTRY ?? inNpmrc(join(env.HOME ?? homedir(), '.npmrc')) ?? DEFAULT;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash)
    throw failed(
      `the npm registry of this machine, ${text}, is no plain URL`,
      'correct npm_config_registry or ~/.npmrc',
    );
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function inNpmrc(file: string): string | undefined {
  try {
    return /^\s*registry\s*=\s*"?([^\s"]+)/m.exec(readFileSync(file, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/** The name and the version of `name@version`. */
export function packageOf(text: string): { name: string; version: string } {
  const at = text.lastIndexOf('@');
  return { name: text.slice(0, at), version: text.slice(at + 1) };
}

const lockfile = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      resolved: z.string().optional(),
      integrity: z.string().optional(),
      link: z.boolean().optional(),
      inBundle: z.boolean().optional(),
    }),
  ),
});

/** What is wrong with the package-lock.json of an install; undefined when everything came from the registry, with a checksum, as it was asked for. */
export function lockfileProblem(text: string | undefined, wanted: string[], registry: URL): string | undefined {
  const { data } = lockfile.safeParse(parseJson(text ?? ''));
  if (!data) return 'npm left no readable package-lock.json';
  for (const { name, version } of wanted.map(packageOf)) {
    const found = data.packages[`node_modules/${name}`]?.version;
    // What stands behind + is no part of what npm compares.
    if (found?.split('+')[0] !== version.split('+')[0])
      return `${name} is there as ${found ?? 'nothing'}, not ${version}`;
  }
  for (const [place, { resolved = '', integrity, link, inBundle }] of Object.entries(data.packages)) {
    // A package that another one brings along in its own file is covered by the checksum of that.
    if (place === '' || inBundle) continue;
    // npm writes the public one's address for any registry that says so.
    const isFrom = resolved.startsWith(registry.href) || resolved.startsWith(DEFAULT);
    if (link || !isFrom) return `${place} is not from ${registry.host} but from ${resolved || 'nowhere'}`;
    if (!integrity) return `${place} has no checksum`;
  }
  return undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What npm's own words mean for a person; `isUnreached`: this host saw that the registry was not. */
export function npmProblem(printed: string, registry: URL, isUnreached: boolean): PinchError {
  const line =
    /^npm (?:error|ERR!) (?!code|A complete log)(.+)$/m.exec(printed)?.[1] ?? printed.trim().split('\n').at(-1) ?? '';
  const said = line.slice(0, 300);
  if (/ENOSPC|no space left/i.test(printed))
    return failed('there is no space left for its packages', 'free some disk space');
  if (/\b(E404|ETARGET|notarget)\b|No matching version/i.test(printed))
    return failed(
      `the registry ${registry.host} has no such package or version: ${said}`,
      'correct its packages in services.json',
    );
  if (/SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET)|CERT_/i.test(printed))
    return failed(
      `the certificate of ${registry.host} is not trusted`,
      'name your own authority in NODE_EXTRA_CA_CERTS and start Pinch with `npm start`',
    );
  if (isUnreached || /ECONN|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|network|socket|tunnel/i.test(printed))
    return failed(
      `the registry ${registry.host} cannot be reached: ${said}`,
      'it is tried again when the server is used next',
    );
  return failed(`npm could not install its packages: ${said}`, 'PINCH_LOG_LEVEL=debug shows all that npm printed');
}

export const failed = (message: string, hint: string, cause?: unknown) =>
  new PinchError('mcp_install', message, { hint, cause });
