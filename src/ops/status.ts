// What is going on, gathered in one place for `/status`, the API, the page and the command line.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { limitOf } from '../budgets/caps.js';
import type { ChannelState } from '../channels/channel.js';
import type { Clock } from '../core/clock.js';
import type { Backend, Config } from '../core/config.js';
import { dayName } from '../core/day.js';
import { oneLine, shownLine } from '../core/one-line.js';
import { qrForPage } from '../core/qr.js';
import type { Outage } from '../model/outage.js';
import type { Store } from '../tasks/store.js';
import type { ErrorClass } from '../wire.js';
import { endText } from './last-run.js';

export interface StatusDeps {
  config: Config;
  store: Store;
  clock: Clock;
  /** What `createStoredFacts` says. */
  stored: StoredFacts;
  backend: Backend;
  /** What calls of the model met last. */
  outage: ReturnType<Outage['state']>;
  startedAt: number;
  lastEnd: string | null;
  stopped: boolean;
  engine: { state: 'up' | 'down'; detail: string };
  channels: ({ name: string } & ChannelState)[];
  /** `state`: starting, running or ending. */
  containers: { group: string; id: string | null; runs: number; state: string }[];
  /** MCP servers that run. */
  servers: string[];
  /** The second model works, because the first has been overloaded since then; that is tried again at `tryAt`. */
  fallback: { model: string; since: number; tryAt: number } | undefined;
}

type Facts = ReturnType<typeof gatherFacts>;
/** The facts, and the same as Markdown lines as `/status` shows them. */
export type StatusSnapshot = Facts & { text: string };

export function statusSnapshot(deps: StatusDeps): StatusSnapshot {
  const facts = gatherFacts(deps);
  return { ...facts, text: statusText(facts, deps.clock.now()) };
}

type StoredDeps = Pick<StatusDeps, 'config' | 'store' | 'clock'>;
export type StoredFacts = ReturnType<typeof lookUp>;

/** What the rows say; looked up once per change and day, however many pages and programs ask. */
export function createStoredFacts(deps: StoredDeps): () => StoredFacts {
  const version = packageVersion(deps.config.repository);
  let known: { mark: string; facts: StoredFacts } | undefined;
  return () => {
    const today = dayName(deps.clock.now(), deps.config.timeZone);
    const mark = `${deps.store.version()} ${today}`;
    if (known?.mark !== mark) known = { mark, facts: lookUp(deps, version, today) };
    return known.facts;
  };
}

function lookUp({ config, store, clock }: StoredDeps, version: string, today: string) {
  return {
    version,
    runs: store.runs.counts(),
    groups: store.groups.all().map(({ id, folder, parkedClass, parkedUntil }) => ({
      ...{ id, folder, parkedClass, parkedUntil },
      chats: store.groups.chatCount(id),
      ownSkills: store.ownSkills.of(id).map(({ name }) => name),
      skillsLeftOut: store.ownSkills.leftOut(id),
    })),
    outboxQueued: store.outbox.queued(),
    costTodayMicroUsd: store.usage.spent(today, today, null),
    budgetDayMicroUsd: limitOf({ config, store, clock }, 'day', null),
    approvalsOpen: store.approvals.marks()?.open ?? 0,
    // Where the loop guard waits for the owner.
    heldChats: store.budgets.heldChats(),
  };
}

function gatherFacts({ config, store, stored, ...deps }: StatusDeps) {
  const now = deps.clock.now();
  const { runs, groups, ...rows } = stored;
  const outage = outageNow(deps, (runs.ready ?? 0) + (runs.leased ?? 0));
  const isParked = ({ parkedUntil }: (typeof groups)[number]) => (parkedUntil ?? 0) > now;
  const waiting = new Set(groups.some(isParked) ? store.runs.groupsWithDueRuns(now) : []);
  return {
    ...rows,
    runs,
    startedAt: deps.startedAt,
    // Why the process before this one ended, when nobody stopped it.
    lastEnd: deps.lastEnd,
    assistantName: config.assistantName,
    model: config.model,
    fallback: fallbackLine(config, deps.fallback, outage !== null),
    // `demo`: no account is configured, the scripted demo model answers.
    backend: deps.backend.kind,
    // Emergency stop: nothing is started until it is resumed.
    stopped: deps.stopped,
    engine: deps.engine,
    // Null also when nothing waits for the model: nobody knows then whether it answers.
    outage,
    channels: deps.channels.map((channel) => ({
      ...channel,
      ...(channel.link?.qr && { qrImage: qrForPage(channel.link.qr) }),
    })),
    containers: deps.containers,
    servers: deps.servers,
    groups: groups.map(({ id, parkedClass, parkedUntil, ...group }) => ({
      ...group,
      // What an earlier try was told, and what nothing waits for, is not the reason at present.
      parked: waiting.has(id) && (parkedUntil ?? 0) > now ? parkedClass : null,
    })),
  };
}

/** A server that the settings no longer name is none of our troubles. */
function outageNow({ backend, outage }: Pick<StatusDeps, 'backend' | 'outage'>, openRuns: number) {
  const isPresent = openRuns > 0 && backend.kind === 'http' && new URL(backend.baseUrl).host === outage?.server;
  return isPresent && outage ? outage : null;
}

/** Why a group waits. */
const PARKED: Partial<Record<ErrorClass, string>> = {
  auth: 'the model back end refuses the key',
  billing: 'the model back end asks for money',
  budget: 'a budget is used up',
};

function statusText(status: Facts, now: number): string {
  const lines = [
    `**${status.assistantName}** ${status.version}, up ${duration(now - status.startedAt)}, model ${status.backend === 'demo' ? 'demo (no account)' : status.model}`,
    ...(status.fallback ? [status.fallback] : []),
    ...(status.stopped ? ['**Emergency stop is on**: `npm run -s pinch -- resume` ends it.'] : []),
    ...(status.lastEnd ? [oneLine(endText(status.lastEnd), 2_100)] : []),
    ...(status.engine.state === 'down' ? [`No containers: ${oneLine(status.engine.detail, 300)}`] : []),
    ...(status.outage ? [`No answer from the model at ${status.outage.server}: ${status.outage.why}`] : []),
    ...status.channels.map(({ name, state, detail }) => `- ${name}: ${state}${detail && ` (${oneLine(detail, 300)})`}`),
    `- runs: ${status.runs.leased ?? 0} working, ${status.runs.ready ?? 0} waiting, ${status.runs.dead ?? 0} failed in all; \`recap\` tells what was done`,
    `- containers: ${status.containers.map(containerText).join(', ') || 'none'}`,
    ...(status.servers.length > 0 ? [`- MCP servers: ${status.servers.join(', ')}`] : []),
    ...status.groups
      .filter((group) => group.parked)
      .map((group) => `- group ${group.folder} waits: ${PARKED[group.parked ?? 'unknown'] ?? group.parked}`),
    ...status.heldChats.map(({ chatId, title }) => `- chat ${shownLine(title, 80)} waits: \`/continue ${chatId}\``),
    ...status.groups.filter((group) => group.ownSkills.length > 0).map(skillsLine),
    ...status.groups.filter((group) => group.skillsLeftOut.length > 0).map(leftOutLine),
    ...(status.approvalsOpen ? [`- approvals that wait for an answer: ${status.approvalsOpen}`] : []),
    `- messages to send: ${status.outboxQueued}`,
    `- cost today: $${(status.costTodayMicroUsd / 1e6).toFixed(2)} of $${(status.budgetDayMicroUsd / 1e6).toFixed(2)}`,
  ];
  return lines.join('\n');
}

/** Says it whole; null while the first model is used. */
function fallbackLine({ model, timeZone }: Config, fallback: StatusDeps['fallback'], isOut: boolean): string | null {
  if (!fallback) return null;
  const [since, tryAt] = [fallback.since, fallback.tryAt].map((at) =>
    new Date(at).toLocaleTimeString('sv-SE', { timeZone, timeStyle: 'short' }),
  );
  if (isOut) return `${model} has been overloaded since ${since}, and ${fallback.model} gives no answer either`;
  return `${model} has been overloaded since ${since}: ${fallback.model} works in its place; next try at ${tryAt}`;
}

/** One that stays in this state is one the engine cannot remove. */
const containerText = ({ group, state }: Facts['containers'][number]) =>
  state === 'ending' ? `${group} (being removed)` : group;

function skillsLine({ folder, ownSkills }: Facts['groups'][number]): string {
  return `- skills ${folder} wrote for itself (${ownSkills.length}): ${ownSkills.join(', ')}`;
}

function leftOutLine({ folder, skillsLeftOut }: Facts['groups'][number]): string {
  const each = skillsLeftOut
    .slice(0, 5)
    .map(({ name, reason }) => `${shownLine(name, 40)} (${shownLine(reason, 120)})`);
  const more = skillsLeftOut.length > each.length ? [`${skillsLeftOut.length - each.length} more`] : [];
  return `- skills of ${folder} that are left out: ${[...each, ...more].join(', ')}`;
}

function duration(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

function packageVersion(repository: string): string {
  const file = z.object({ version: z.string() });
  return file.parse(JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))).version;
}
