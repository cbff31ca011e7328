// Reads an OpenClaw as a migration plan: memory and persona of its agents, the groups they serve, their cron jobs. Changes nothing there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { folderName, shown } from './migrate-plan.mjs';
import { agentsOf, readConfig } from './openclaw-config.mjs';
import { addressOf, readJobs, taskOf } from './openclaw-jobs.mjs';

/**
 * @typedef {import('./openclaw-config.mjs').Agent} Agent
 * @typedef {import('./openclaw-config.mjs').Config} Config
 * @typedef {{ chat: string, agent: string | undefined, listed: string[] | undefined }} GroupChat
 */

/** What the agent is told at every start, in this order: in Pinch that is CLAUDE.md alone. */
const PERSONA = ['IDENTITY.md', 'SOUL.md'];
const PRIVATE = ['USER.md', 'MEMORY.md'];
/** Read when they are needed. */
const FILES = ['AGENTS.md', 'TOOLS.md', 'HEARTBEAT.md', 'memory'];
/** Words of its files that mean nothing to an agent of Pinch. */
const FOREIGN = ['openclaw', 'HEARTBEAT_OK', 'BOOTSTRAP.md', 'memory_search', 'sessions_spawn', 'clawhub'];

/** @param {string} source @param {{ tz: string | undefined, zone: string, now: number }} options */
export function planOfOpenClaw(source, { tz, zone: here, now }) {
  const zone = tz ?? here;
  const config = readConfig(source);
  const taken = new Set(['']);
  const agents = agentsOf(source, config).map((agent) => ({
    ...agent,
    folder: agent.isDefault ? 'main' : folderName(agent.id, taken),
  }));
  const folderOfAgent = (/** @type {string | undefined} */ id) => agents.find((agent) => agent.id === id)?.folder;
  const { groups, left, notes } = chatsOf(config);
  const chats = groups.map(({ chat, agent, listed }) => {
    const own = folderOfAgent(agent) ?? 'main';
    // Whoever is in a group must not get the rights, nor the private memory, of the owner's main group.
    const folder = own === 'main' ? folderName(chat.replace(/@g\.us$/, '').replace(/:-?/, '-'), taken) : own;
    return { chat, folder, title: chat, ...(listed && { senders: 'listed', listed }) };
  });
  const folderOfChat = (/** @type {string} */ chat) => chats.find((one) => one.chat === chat)?.folder;
  const read = readJobs(source);
  const tasks = read.jobs.map((job) => taskOf(job, { zone, now, folderOfAgent, folderOfChat }));
  const home = agents[0]?.workspace;
  const shared = chats.filter(({ folder }) => !agents.some((agent) => agent.folder === folder));
  return {
    from: 'openclaw',
    folders: agents.flatMap(({ workspace, folder }) =>
      workspace ? [{ from: workspace, to: folder, only: FILES }] : [],
    ),
    texts: [
      ...agents.flatMap(({ workspace, folder }) => memory(workspace, folder, [...PERSONA, ...PRIVATE])),
      ...shared.flatMap(({ folder }) => memory(home, folder, PERSONA)),
    ],
    foreign: FOREIGN,
    chats,
    tasks: tasks.flatMap(({ task }) => task ?? []),
    left: [
      ...agents.flatMap(({ id, workspace }) =>
        workspace ? otherFiles(workspace) : [`the workspace of agent ${shown(id)} is not there`],
      ),
      ...left,
      ...read.left,
      ...tasks.flatMap(({ why }) => why ?? []),
    ],
    notes: [
      ...(tasks.length > 0 ? [`Times that name no zone are those of ${zone}; \`--tz\` gives another zone.`] : []),
      ...notes,
      ...tasks.flatMap((task) => task.notes),
      'HEARTBEAT.md is looked at only once `/heartbeat every 30m` is said in the chat.',
      'Keys and logins are not brought over. End OpenClaw before a channel is switched on here: one bot token serves one program.',
    ],
  };
}

/** @param {string | undefined} workspace @param {string} to @param {string[]} names */
function memory(workspace, to, names) {
  if (workspace === undefined) return [];
  const parts = names.flatMap((name) => {
    const file = join(workspace, name);
    const text = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
    return text === '' ? [] : [`<!-- ${name} -->\n\n${text}\n`];
  });
  return parts.length === 0 ? [] : [{ to, file: 'CLAUDE.md', text: parts.join('\n') }];
}

/** What else lies in a workspace. @param {string} workspace */
function otherFiles(workspace) {
  const known = [...PERSONA, ...PRIVATE, ...FILES, 'BOOTSTRAP.md', 'BOOT.md', 'memory.md'];
  const others = readdirSync(workspace).filter((name) => !known.includes(name) && !name.startsWith('.'));
  return others.length === 0
    ? []
    : [`${workspace}: ${others.join(', ')}; copy what the agent shall have into its folder below groups/`];
}

/** @param {Config} config */
function chatsOf({ channels = {}, bindings = [] }) {
  /** @type {GroupChat[]} */
  const groups = [];
  const left = [];
  const notes = [];
  for (const [channel, whole] of Object.entries(channels)) {
    if (channel === 'defaults' || channel === 'modelByChannel' || whole === undefined || whole.enabled === false)
      continue;
    if (channel !== 'telegram' && channel !== 'whatsapp') {
      left.push(
        `channel ${shown(channel)}: Pinch has none of that name; \`npm run skill -- list\` shows what can be added`,
      );
      continue;
    }
    for (const section of [whole, ...Object.values(whole.accounts ?? {})]) {
      const { groups: served = {}, groupAllowFrom, groupPolicy = whole.groupPolicy } = section;
      if (groupPolicy === 'disabled') continue;
      if (groupPolicy === 'open' || '*' in served)
        notes.push(`On ${channel} it served every group; here \`/register\` in a group does that.`);
      for (const [id, { enabled, allowFrom }] of Object.entries(served)) {
        const chat = addressOf(channel, id);
        if (id === '*' || enabled === false || groups.some((one) => one.chat === chat)) continue;
        if (chat === undefined) left.push(`${channel} ${shown(id)}: it is not the name of a chat`);
        else
          groups.push({
            chat,
            agent: agentFor(bindings, channel, id),
            listed: people(allowFrom ?? groupAllowFrom ?? whole.groupAllowFrom),
          });
      }
    }
    notes.push(`On ${channel} pair with Pinch to be its owner there; \`/register\` lets others in.`);
  }
  return { groups, left, notes };
}

/** @param {NonNullable<Config['bindings']>} bindings @param {string} channel @param {string} id */
function agentFor(bindings, channel, id) {
  const here = bindings.filter(({ match }) => match.channel === channel);
  const bound = here.find(({ match }) => match.peer?.id === id) ?? here.find(({ match }) => match.peer === undefined);
  return bound?.agentId;
}

/** Undefined when everybody may ask. @param {string[] | undefined} allowed */
function people(allowed) {
  if (allowed === undefined || allowed.length === 0 || allowed.includes('*')) return undefined;
  return allowed.map((one) => one.replace(/^(telegram|tg|whatsapp):/i, '').replace(/^\+/, ''));
}
