// What a migration needs of openclaw.json: agents and where they live, which chats they serve. The rest, keys among it, is not looked at.
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { SetupError } from './progress.mjs';

/**
 * @typedef {z.infer<typeof configSchema>} Config
 * @typedef {{ id: string, isDefault: boolean, workspace: string | undefined }} Agent `workspace` is a folder that is there
 */

// A field of another shape is read as if it were not there: one odd entry must not hide all others.
const ids = z
  .array(z.union([z.string(), z.number()]).transform(String))
  .optional()
  .catch(undefined);
const flag = z.boolean().optional().catch(undefined);
const text = z.string().optional().catch(undefined);
const section = z.object({
  enabled: flag,
  allowFrom: ids,
  groupAllowFrom: ids,
  groupPolicy: text,
  groups: z
    .record(z.string(), z.object({ enabled: flag, allowFrom: ids }))
    .optional()
    .catch(undefined),
});
const agent = z.object({ id: text, default: flag, workspace: text });
const configSchema = z.object({
  /** Of old versions. */
  agent: z.object({ workspace: text }).optional().catch(undefined),
  agents: z
    .object({
      defaults: z.object({ workspace: text }).optional().catch(undefined),
      list: z.array(agent).optional().catch(undefined),
      entries: z.record(z.string(), agent).optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
  bindings: z
    .array(
      z.object({
        agentId: text,
        match: z.object({ channel: text, peer: z.object({ id: text }).optional().catch(undefined) }),
      }),
    )
    .optional()
    .catch(undefined),
  channels: z
    .record(
      z.string(),
      section
        .extend({ accounts: z.record(z.string(), section).optional().catch(undefined) })
        .optional()
        .catch(undefined),
    )
    .optional()
    .catch(undefined),
});

/** Throws SetupError when there is none. @param {string} source @returns {Config} */
export function readConfig(source) {
  const file = ['openclaw.json', 'moltbot.json', 'clawdbot.json'].map((name) => join(source, name)).find(existsSync);
  if (file === undefined) throw new SetupError(`${source} is no OpenClaw: it has no openclaw.json.`);
  const parsed = configSchema.safeParse(fromJson5(file, readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new SetupError(`${file} is not a configuration of a kind that is known here.`);
}

/**
 * JSON with comments, single quotes, plain keys and commas at the end. Its own words on an error: the parser's would print a piece of the file.
 * @param {string} file
 * @param {string} written
 * @returns {unknown}
 */
function fromJson5(file, written) {
  const strings = written.replace(/"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*'|\/\/.*|\/\*[\s\S]*?\*\//g, (part) => {
    if (part.startsWith('/')) return ' ';
    return part.startsWith("'")
      ? `"${part.slice(1, -1).replace(/\\'|"/g, (one) => (one === '"' ? '\\"' : "'"))}"`
      : part;
  });
  const plain = strings.replace(/"(?:\\[\s\S]|[^"\\])*"|[A-Za-z_$][\w$]*(?=\s*:)|,(?=\s*[}\]])/g, (part) => {
    if (part === ',') return '';
    return part.startsWith('"') ? part : `"${part}"`;
  });
  try {
    return JSON.parse(plain);
  } catch {
    throw new SetupError(`${file} cannot be read: write it as plain JSON, then run this again.`);
  }
}

/** All agents, the default one first. @param {string} source @param {Config} config @returns {Agent[]} */
export function agentsOf(source, { agent: old, agents }) {
  const entries = Object.entries(agents?.entries ?? {}).map(([id, entry]) => ({ ...entry, id }));
  const listed = [...(agents?.list ?? []), ...entries].map((entry) => ({ ...entry, id: entry.id ?? 'main' }));
  const all = listed.length > 0 ? listed : [{ id: 'main', default: true, workspace: undefined }];
  const first = all.find((entry) => entry.default) ?? all.find(({ id }) => id === 'main') ?? all[0];
  const root = agents?.defaults?.workspace ?? old?.workspace;
  const found = all.map(({ id, workspace }) => {
    const isDefault = id === first?.id;
    const usual = isDefault ? [root, 'workspace'] : [root && `${root}/${id}`, `workspace-${id}`];
    return { id, isDefault, workspace: existing(source, workspace === undefined ? usual : [workspace]) };
  });
  return found.sort((a, b) => Number(b.isDefault) - Number(a.isDefault));
}

/**
 * The first that is there; also when the whole installation was copied from another machine.
 * @param {string} source
 * @param {(string | undefined)[]} paths
 */
function existing(source, paths) {
  return paths
    .flatMap((path) => {
      if (path === undefined) return [];
      const here = resolve(source, path.replace(/^~(?=\/|$)/, homedir()));
      return [here, join(source, basename(path))];
    })
    .find(existsSync);
}
