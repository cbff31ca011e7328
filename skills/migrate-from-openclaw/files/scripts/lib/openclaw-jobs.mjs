// The cron jobs of an OpenClaw as tasks of Pinch. Of new versions they are rows of a database, of older ones a file.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readDatabase } from './migrate-database.mjs';
import { shown } from './migrate-plan.mjs';
import { SetupError } from './progress.mjs';

/**
 * @typedef {z.infer<typeof jobSchema>} Job
 * @typedef {{ zone: string, now: number, folderOfAgent: (id: string | undefined) => string | undefined, folderOfChat: (chat: string) => string | undefined }} Surroundings
 */

const text = z.string().optional().catch(undefined);
const number = z.number().optional().catch(undefined);
const jobSchema = z.object({
  id: text,
  jobId: text,
  name: text,
  agentId: text,
  enabled: z.boolean().optional().catch(undefined),
  schedule: z.object({
    kind: z.string(),
    at: z.union([z.string(), z.number()]).optional().catch(undefined),
    atMs: number,
    everyMs: number,
    expr: text,
    tz: text,
    staggerMs: number,
  }),
  payload: z.object({ kind: text, message: text, text, model: text, timeoutSeconds: number }),
  delivery: z
    .object({ mode: text, channel: text, to: z.coerce.string().optional().catch(undefined) })
    .optional()
    .catch(undefined),
});
const list = z.array(z.unknown());
const jobFile = z.union([list, z.object({ jobs: list }).transform(({ jobs }) => jobs)]);
const jobRow = z.object({ job_id: z.string(), job_json: z.string(), enabled: z.number().nullish() });

/** @param {string} source @returns {{ jobs: Job[], left: string[] }} */
export function readJobs(source) {
  const database = join(source, 'state', 'openclaw.sqlite');
  const rows = existsSync(database) ? readDatabase(database, (table) => z.array(jobRow).parse(table('cron_jobs'))) : [];
  const stored = rows.map(({ job_id: id, job_json: json, enabled }) => ({
    ...parsed(database, json, z.record(z.string(), z.unknown())),
    id,
    ...(typeof enabled === 'number' && { enabled: enabled === 1 }),
  }));
  const file = join(source, 'cron', 'jobs.json');
  const written = stored.length === 0 && existsSync(file) ? parsed(file, readFileSync(file, 'utf8'), jobFile) : stored;
  const read = written.map((one) => jobSchema.safeParse(one));
  const odd = read.filter(({ success }) => !success).length;
  return {
    jobs: read.flatMap(({ data }) => data ?? []),
    left:
      odd === 0 ? [] : [`${odd} cron jobs of a kind that is not known here: \`openclaw cron list --all\` shows them`],
  };
}

/**
 * Without the parser's own words, which would print a piece of the file.
 * @template T
 * @param {string} file
 * @param {string} json
 * @param {z.ZodType<T>} schema
 */
function parsed(file, json, schema) {
  try {
    return schema.parse(JSON.parse(json));
  } catch {
    throw new SetupError(`${file} holds cron jobs that cannot be read.`);
  }
}

/** A task, or why there is none; `notes` on what is different. @param {Job} job @param {Surroundings} around */
export function taskOf(job, around) {
  const { payload, delivery, name, enabled, schedule } = job;
  const prompt = payload.message ?? payload.text;
  const called = `“${shown(name ?? prompt ?? 'a cron job')}”`;
  const why = (/** @type {string} */ reason) => ({ notes: [], why: `task ${called}: ${reason}` });
  if (prompt === undefined) return why(`it runs a ${shown(payload.kind ?? 'thing')} and asks no agent`);
  if (delivery?.mode === 'webhook') return why('it posts its result to a web address');
  const place = placeOf(job, around);
  if (typeof place === 'object') return why(place.why);
  const times = timesOf(schedule, around);
  if ('why' in times) return why(times.why);
  const { timeoutSeconds: seconds } = payload;
  return {
    notes: [
      ...(delivery?.mode === 'none' ? [`${called} told nobody its result; here its chat gets it.`] : []),
      ...(payload.model ? [`${called} had a model of its own; here it gets that of its group.`] : []),
    ],
    task: {
      id: job.id ?? job.jobId ?? `${name} ${prompt}`,
      chat: place,
      prompt,
      ...(name?.trim() && { title: name.replace(/\s+/g, ' ').trim().slice(0, 80) }),
      context: payload.kind === 'systemEvent' ? 'chat' : 'fresh',
      paused: enabled === false,
      ...(seconds !== undefined && seconds >= 10 && seconds <= 21_600 && { timeout: `${Math.round(seconds)}s` }),
      ...(schedule.staggerMs !== undefined && schedule.staggerMs >= 1_000 && { jitter: secondsOf(schedule.staggerMs) }),
      ...times,
    },
  };
}

/** Where its result goes, or why that cannot be. @param {Job} job @param {Surroundings} around */
function placeOf({ delivery, agentId }, { folderOfAgent, folderOfChat }) {
  const folder = folderOfAgent(agentId) ?? 'main';
  const { channel, to } = delivery ?? {};
  if (to === undefined || channel === 'last' || (channel === undefined && !to.includes(':')))
    return folder === 'main' ? 'main' : { why: `its agent ${agentId} has no chat that it names` };
  const chat = addressOf(channel ?? to.split(':')[0], to);
  if (chat === undefined) return { why: `it answers on ${shown(channel ?? to)}, a channel Pinch does not have` };
  const there = folderOfChat(chat);
  return folder === 'main' || there === folder
    ? chat
    : { why: `its agent ${agentId} answers in a chat of another one` };
}

/** How Pinch names a chat; undefined for a platform it does not have. @param {string | undefined} channel @param {string} id */
export function addressOf(channel, id) {
  const bare = id.replace(/^(telegram|tg|whatsapp):/i, '').replace(/^group:/i, '');
  // A topic of a forum is not a chat of its own here.
  const telegram = /^(-?\d+)(?::topic:\d+|:\d+)?$/.exec(bare)?.[1];
  if (channel === 'telegram' || channel === 'tg') return telegram && `telegram:${telegram}`;
  if (channel !== 'whatsapp') return undefined;
  if (/^[\w-]+@(g\.us|lid)$/.test(bare)) return `whatsapp:${bare}`;
  const phone = /^\+?(\d+)(?:@s\.whatsapp\.net)?$/.exec(bare)?.[1];
  return phone && `whatsapp:${phone}`;
}

/** @param {Job['schedule']} schedule @param {Surroundings} around */
function timesOf({ kind, at, atMs, everyMs, expr, tz }, { zone, now }) {
  if (kind === 'cron' && expr) return { cron: expr.trim(), tz: tz ?? zone };
  if (kind === 'every' && everyMs !== undefined && everyMs >= 1_000) return { every: secondsOf(everyMs) };
  if (kind !== 'at') return { why: `its times are of a kind that is not known here, ${shown(kind)}` };
  const value = atMs ?? at;
  // What names no zone is UTC there, and local time here.
  const moment = new Date(
    typeof value === 'string' && !/(Z|[+-]\d\d:?\d\d)$/.test(value) ? `${value}Z` : (value ?? ''),
  );
  if (Number.isNaN(moment.getTime()) || moment.getTime() <= now) return { why: 'its time is over' };
  return { at: moment.toISOString().replace(/\.\d+Z$/, 'Z') };
}

/** @param {number} ms */
const secondsOf = (ms) => `${Math.round(ms / 1_000)}s`;
