// What is brought over from another assistant, as checked data, and how it reads. Knows neither that assistant nor files nor HTTP.
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { SetupError } from './progress.mjs';

/**
 * @typedef {z.infer<typeof planSchema>} Plan
 * @typedef {Plan['chats'][number]} PlannedChat
 * @typedef {Plan['tasks'][number]} PlannedTask
 */

const folder = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,39}$/, { error: 'is not a folder name of Pinch' });
/** Below a group's folder, with no way out of it. */
const inFolder = z
  .string()
  .refine((path) => path.split('/').every((part) => /^[^\0]+$/.test(part) && part !== '.' && part !== '..'), {
    error: 'is not a path below the folder',
  });
const line = z.string().regex(/^[^\n\r]*$/, { error: 'has more than one line' });

export const planSchema = z.strictObject({
  /** Names the old assistant in file names. */
  from: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/),
  /** Folders of files that become those of a group; `only` names what is taken, else all of it. */
  folders: z
    .array(z.strictObject({ from: z.string().refine(isAbsolute), to: folder, only: z.array(inFolder).optional() }))
    .default([]),
  /** Files that are put together from others. */
  texts: z.array(z.strictObject({ to: folder, file: inFolder, text: z.string() })).default([]),
  /** What old memory says of tools and paths that Pinch does not have: files with such words are named. */
  foreign: z.array(z.string().min(3)).default([]),
  chats: z
    .array(
      z.strictObject({
        chat: z.string().regex(/^[a-z]+:\S+$/),
        // The main group has admin rights: only pairing or the owner's own command gives them.
        folder: folder.refine((name) => name !== 'main' && name !== 'global', { error: 'is not for other chats' }),
        title: line,
        senders: z.enum(['all', 'listed']).default('all'),
        listed: z.array(z.string().min(1).max(200)).default([]),
      }),
    )
    .default([]),
  tasks: z
    .array(
      z.strictObject({
        /** The old one's name of it. */
        id: z.string().min(1),
        /** `<channel>:<address>`, or `main`: wherever the owner is. */
        chat: z.string().min(1),
        paused: z.boolean().default(false),
        title: line.min(1).max(80).optional(),
        prompt: z.string().min(1),
        cron: line.optional(),
        every: line.optional(),
        at: line.optional(),
        tz: line.optional(),
        context: z.enum(['chat', 'fresh']).optional(),
        timeout: line.optional(),
        jitter: line.optional(),
      }),
    )
    .default([]),
  /** What cannot be brought over, one line each, with what to do instead. */
  left: z.array(line).default([]),
  /** What is different from now on. */
  notes: z.array(line).default([]),
});

/** Throws SetupError that names each wrong field. @param {unknown} value @returns {Plan} */
export function checkedPlan(value) {
  const parsed = planSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `  - ${issue.path.join('.') || 'the plan'}: ${issue.message}`);
  throw new SetupError(`The plan cannot be used:\n${problems.join('\n')}`);
}

/** Long runs of letters and digits may be keys: a terminal, a log and a transcript are no places for them. */
const SECRET = /(?=[\w+/=:-]*\d)[\w+/=:-]{20,}/g;
const WIDTH = 100;

/** One line that is safe to print. @param {string} text */
export function shown(text) {
  const first =
    text
      .trim()
      .split('\n', 1)[0]
      ?.replace(/\p{Cc}/gu, ' ') ?? '';
  const masked = first.replace(SECRET, (run) => (/^[\d-]+$/.test(run) ? run : '‹hidden›'));
  return masked.length > WIDTH || text.trim().includes('\n') ? `${masked.slice(0, WIDTH).trimEnd()}…` : masked;
}

/** When a task is due, in words. @param {PlannedTask} task */
export function whenOf({ cron, every, at, tz, paused }) {
  const when = cron !== undefined ? `cron ${cron}` : every !== undefined ? `every ${every}` : `at ${at}`;
  return `${when}${tz && every === undefined ? ` (${tz})` : ''}${paused ? ', paused' : ''}`;
}

/**
 * A name Pinch takes for a folder; `taken` grows, so that two never share one.
 * @param {string} name
 * @param {Set<string>} taken
 */
export function folderName(name, taken) {
  const plain =
    name
      .toLowerCase()
      .replace(/[^a-z0-9_-]+/g, '-')
      .replace(/^[^a-z0-9]+|-+$/g, '')
      .slice(0, 36) || 'group';
  let free = plain;
  for (let count = 2; taken.has(free) || free === 'main' || free === 'global'; count += 1) free = `${plain}-${count}`;
  taken.add(free);
  return free;
}
