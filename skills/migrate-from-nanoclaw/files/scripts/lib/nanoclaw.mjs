// Reads an installation of NanoClaw as a migration plan: groups/, and from store/messages.db who is registered and what is scheduled.
// Changes nothing there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { readDatabase } from './migrate-database.mjs';
import { folderName, shown } from './migrate-plan.mjs';
import { SetupError } from './progress.mjs';

/**
 * @typedef {z.infer<typeof groupRow>} GroupRow
 * @typedef {z.infer<typeof taskRow>} TaskRow
 */

// Columns came with the years: what an older database does not have is null here.
const optional = z.string().nullish();
const groupRow = z.object({
  jid: z.string(),
  name: z.string(),
  folder: z.string(),
  trigger_pattern: optional,
  container_config: optional,
  requires_trigger: z.number().nullish(),
  is_main: z.number().nullish(),
});
const taskRow = z.object({
  id: z.string(),
  group_folder: z.string(),
  chat_jid: z.string(),
  prompt: z.string(),
  schedule_type: z.string(),
  schedule_value: z.string(),
  status: optional,
  context_mode: optional,
  script: optional,
});

/** Words of its memory files that mean nothing to an agent of Pinch. */
const FOREIGN = [
  'mcp__nanoclaw__',
  '/workspace/group',
  '/workspace/project',
  '/workspace/ipc',
  '/workspace/global',
  'registered_groups',
];

/** @param {string} source @param {{ tz: string | undefined, zone: string, now: number }} options */
export function planOfNanoClaw(source, { tz, zone: here, now }) {
  const database = join(source, 'store', 'messages.db');
  if (!existsSync(join(source, 'groups'))) throw new SetupError(`${source} is no NanoClaw: it has no folder groups/.`);
  const settings = readSettings(source);
  const zone = tz ?? settings.TZ ?? here;
  const isThere = existsSync(database);
  const { groups, tasks } = isThere ? readDatabase(database, registered) : { groups: [], tasks: [] };
  const left = isThere
    ? []
    : [`${database} is not there: a NanoClaw 2 keeps chats and tasks elsewhere; only its global memory is read`];
  const names = namesOf(groups);
  const nameOf = (/** @type {string} */ folder) => names.get(folder) ?? '';
  const owned = groups.filter(({ folder }) => nameOf(folder) === 'main');
  const chats = groups.filter((group) => !owned.includes(group)).map((group) => chatOf(group, nameOf(group.folder)));
  const planned = tasks
    .filter(({ status }) => status !== 'completed')
    .map((task) => taskOf(task, { zone, now, groups, isMain: nameOf(task.group_folder) === 'main' }));
  return {
    from: 'nanoclaw',
    folders: foldersOf(source, names),
    foreign: FOREIGN,
    chats: chats.flatMap(({ chat }) => chat ?? []),
    tasks: planned.flatMap(({ task }) => task ?? []),
    left: [
      ...left,
      ...chats.flatMap(({ why }) => why ?? []),
      ...planned.flatMap(({ why }) => why ?? []),
      ...otherFolders(source, names),
      ...groups.flatMap(mountsOf),
      ...allowlist(),
    ],
    notes: notesOf({ settings, zone, owned, groups, planned: planned.length }),
  };
}

/** Its name and zone, and nothing else of a file that is full of keys. @param {string} source */
function readSettings(source) {
  const file = join(source, '.env');
  const { TZ, ASSISTANT_NAME } = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
  return { TZ: TZ || undefined, name: ASSISTANT_NAME || 'Andy' };
}

/** @param {(table: string) => unknown[]} rows */
const registered = (rows) => ({
  groups: z.array(groupRow).parse(rows('registered_groups')),
  tasks: z.array(taskRow).parse(rows('scheduled_tasks')),
});

/** Its folder → ours. The main one is `main`; older versions know it by that name alone. @param {GroupRow[]} groups */
function namesOf(groups) {
  const marked = groups.some(({ is_main }) => is_main === 1);
  const taken = new Set(['']);
  return new Map(
    groups.map(({ folder, is_main }) => {
      const isMain = marked ? is_main === 1 : folder === 'main';
      return [folder, isMain ? 'main' : folderName(folder, taken)];
    }),
  );
}

/** @param {string} source @param {Map<string, string>} names */
function foldersOf(source, names) {
  const groups = join(source, 'groups');
  const shared = existsSync(join(groups, 'global'))
    ? [{ from: join(groups, 'global'), to: 'global' }]
    : existsSync(join(groups, 'CLAUDE.md'))
      ? [{ from: groups, to: 'global', only: ['CLAUDE.md'] }]
      : [];
  const own = [...names].filter(([folder]) => isPlain(folder) && existsSync(join(groups, folder)));
  return [...shared, ...own.map(([folder, to]) => ({ from: join(groups, folder), to }))];
}

/** A name from a database is no way out of groups/. @param {string} folder */
const isPlain = (folder) => /^[\w-][\w.-]*$/.test(folder);

/** @param {string} source @param {Map<string, string>} names */
function otherFolders(source, names) {
  return readdirSync(join(source, 'groups'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !names.has(entry.name) && entry.name !== 'global')
    .map(({ name }) => `${join(source, 'groups', name)}: no chat is registered to it`);
}

/** How Pinch names a chat; undefined for a platform it does not have. @param {string} jid */
function addressOf(jid) {
  const telegram = /^tg:(-?\d+)$/.exec(jid)?.[1];
  if (telegram !== undefined) return `telegram:${telegram}`;
  const phone = /^(\d+)(?::\d+)?@s\.whatsapp\.net$/.exec(jid)?.[1];
  if (phone !== undefined) return `whatsapp:${phone}`;
  return /^[\w-]+@(g\.us|lid)$/.test(jid) ? `whatsapp:${jid}` : undefined;
}

/** @param {GroupRow} group @param {string} folder */
function chatOf({ jid, name }, folder) {
  const chat = addressOf(jid);
  return chat === undefined
    ? { why: `${jid} “${shown(name)}”: Pinch has no such channel; its files are brought over to groups/${folder}` }
    : { chat: { chat, folder, title: shown(name) } };
}

/**
 * @param {TaskRow} task
 * @param {{ zone: string, now: number, groups: GroupRow[], isMain: boolean }} of
 */
function taskOf(task, { zone, now, groups, isMain }) {
  const why = (/** @type {string} */ text) => ({ why: `task “${shown(task.prompt)}”: ${text}` });
  const chat = isMain ? 'main' : addressOf(task.chat_jid);
  const group = groups.find(({ folder }) => folder === task.group_folder);
  if (!group) return why(`its group ${task.group_folder} is not registered`);
  if (chat === undefined) return why(`Pinch has no channel for ${task.chat_jid}`);
  if (!isMain && group.jid !== task.chat_jid)
    return why(`it works in ${task.group_folder} and answers in another chat`);
  if (task.script)
    return why('it has a script; Pinch asks a check to print something when there is work, so write it anew');
  const times = timesOf(task, { zone, now });
  if ('why' in times) return why(times.why);
  const context = task.context_mode === 'group' ? 'chat' : 'fresh';
  return { task: { id: task.id, chat, prompt: task.prompt, context, paused: task.status === 'paused', ...times } };
}

/** @param {TaskRow} task @param {{ zone: string, now: number }} of */
function timesOf({ schedule_type: type, schedule_value: value }, { zone, now }) {
  if (type === 'cron') return { cron: value.trim(), tz: zone };
  if (type === 'interval') {
    const seconds = Math.round(Number(value) / 1_000);
    return seconds >= 1 ? { every: `${seconds}s` } : { why: `it comes every ${shown(value)} ms` };
  }
  if (type !== 'once') return { why: `its times are of a kind that is not known here, ${shown(type)}` };
  // Without an offset it is local time, which both say in the same way; Pinch knows no fractions of seconds.
  const at = value.trim().replace(/\.\d+(?=Z|[+-]|$)/, '');
  const moment = Date.parse(at);
  return Number.isNaN(moment) || moment < now - ZONES_MS
    ? { why: `it was for ${shown(value)}, which is over` }
    : { at, tz: zone };
}

/** A local time can be so far from the same words in another zone. */
const ZONES_MS = 26 * 3_600_000;

/** @param {GroupRow} group */
function mountsOf({ folder, container_config: config }) {
  const paths = [...(config ?? '').matchAll(/"hostPath"\s*:\s*"([^"]*)"/g)].map(([, path]) => path);
  return paths.length === 0 ? [] : [`folders that ${folder} saw besides its own: ${paths.join(', ')}`];
}

function allowlist() {
  const file = join(homedir(), '.config', 'nanoclaw', 'sender-allowlist.json');
  if (!existsSync(file)) return [];
  return [`${file} limits who may ask: \`/register <folder> listed Anna @ben\` in the chat does that here`];
}

/** @param {{ settings: ReturnType<typeof readSettings>, zone: string, owned: GroupRow[], groups: GroupRow[], planned: number }} of */
function notesOf({ settings, zone, owned, groups, planned }) {
  const always = groups.filter(({ requires_trigger, jid }) => requires_trigger === 0 && /@g\.us$|^tg:-/.test(jid));
  return [
    ...(planned > 0 ? [`Times are those of ${zone}; \`--tz\` gives another zone.`] : []),
    `It was called by @${settings.name}: ASSISTANT_NAME=${settings.name} in .env keeps that.`,
    ...owned.map(
      ({ name }) => `“${shown(name)}” was its main chat: pair with Pinch, and your direct chat is the main group's.`,
    ),
    ...always.map(({ name }) => `“${shown(name)}” was answered always; in a group Pinch answers when it is addressed.`),
    'Keys and logins are not brought over. End NanoClaw before a channel is switched on here: one bot token serves one program.',
  ];
}
