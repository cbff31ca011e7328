// The tools of this server: what each takes, what it promises, and how its answer looks.
import { z } from 'zod';
import { label, move, remove } from './change.mjs';
import { draft } from './drafts.mjs';
import { describe } from './failures.mjs';
import { attachment, read } from './read.mjs';
import { folders, search } from './search.mjs';
import { oneLine } from './text.mjs';

/**
 * @typedef {{ settings: import('./settings.mjs').Settings, session: import('./connection.mjs').Session,
 *   sender: import('./send.mjs').Sender, redact: (text: string) => string }} ToolDeps
 * @typedef {{ type: 'text', text: string }} TextContent
 * @typedef {{ content: (TextContent | { type: 'resource', resource: { uri: string, mimeType: string, blob: string } })[], isError?: boolean }} Answer
 */

const MAX_TEXT_CHARS = 100_000;

/** Not as a pattern: not every model's API reads one with character classes of Unicode. */
const line = (/** @type {number} */ max) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => !/[\p{Cc}\u2028\u2029]/u.test(text), { error: 'must be one line without control characters' });
const day = z.string().refine((text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)), {
  error: 'must be a day such as 2026-11-30',
});
const id = line(600).describe('id of a mail, as search gives it');
const ids = z.array(id).min(1).max(100).describe('ids of mails, as search gives them');
const folder = line(500).describe('name of a folder, as the tool folders lists it');
const key = line(200).describe(
  'a name of your own for this mail; the same key never makes a second one, so repeat it when you try again',
);
const people = z.array(line(400)).min(1).max(50);
const labels = z.array(line(200)).max(20).default([]);

export const searchQuery = z.strictObject({
  folder: folder.default('INBOX'),
  from: line(200).optional().describe('part of the sender'),
  to: line(200).optional().describe('part of a recipient'),
  subject: line(200).optional().describe('part of the subject'),
  text: line(200).optional().describe('stands anywhere in the mail; slow in big folders'),
  since: day.optional().describe('received on this day or later, such as 2026-11-30'),
  before: day.optional().describe('received before this day'),
  unseen: z.boolean().optional(),
  flagged: z.boolean().optional(),
  limit: z.int().min(1).max(100).default(20),
  cursor: line(600).optional(),
});

export const draftText = z.strictObject({
  key,
  to: people.optional(),
  cc: people.optional(),
  bcc: people.optional(),
  subject: line(500).optional(),
  text: z.string().max(MAX_TEXT_CHARS).describe('plain text'),
  inReplyTo: id.optional().describe('id of the mail this one answers'),
});

/** A mail that goes out says to whom, so that whoever is asked reads it. */
const sentText = draftText.extend({ to: people, subject: line(500) });

const READS = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true };
const CHANGES = { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true };
const DESTROYS = { ...CHANGES, destructiveHint: true };

/**
 * @param {import('@modelcontextprotocol/server').McpServer} server
 * @param {ToolDeps} deps
 */
export function registerTools(server, deps) {
  registerReading(server, deps);
  registerWriting(server, deps);
}

/** @param {import('@modelcontextprotocol/server').McpServer} server @param {ToolDeps} deps */
function registerReading(server, { session, redact }) {
  server.registerTool(
    'folders',
    {
      description: 'Lists the folders of the mailbox, what each is for, and how many mails it has.',
      inputSchema: z.strictObject({}),
      annotations: READS,
    },
    () => answer(redact, async () => json(await folders(session))),
  );
  server.registerTool(
    'search',
    {
      description:
        'Finds mails in one folder, the newest first: id, sender, subject, date, labels. All conditions must hold. A cursor in the answer means there is more: give it with the same conditions.',
      inputSchema: searchQuery,
      annotations: READS,
    },
    (query) => answer(redact, async () => json(await search(session, query))),
  );
  server.registerTool(
    'read',
    {
      description:
        'One mail as text, with its sender, recipients and a list of its attachments. Does not mark it as seen. When cutAt is in the answer, go on with that offset.',
      inputSchema: z.strictObject({
        id,
        offset: z.int().min(0).max(100_000_000).default(0).describe('character of the text to begin at'),
        maxChars: z.int().min(1).max(MAX_TEXT_CHARS).default(20_000),
      }),
      annotations: READS,
    },
    (what) =>
      answer(redact, async () => {
        const { head, text } = await read(session, what);
        return [...json(head), { type: 'text', text: text || '(this mail has no text)' }];
      }),
  );
  server.registerTool(
    'attachment',
    {
      description: 'One attachment of a mail, up to 5 MB.',
      inputSchema: z.strictObject({
        id,
        part: z
          .string()
          .regex(/^\d{1,4}(\.\d{1,4}){0,20}$/)
          .describe('as read lists it, such as 2'),
      }),
      annotations: READS,
    },
    (what) =>
      answer(redact, async () => {
        const { content, type, ...head } = await attachment(session, what);
        const uri = `inbox:///${encodeURIComponent(what.id)}/${what.part}`;
        return [
          ...json({ ...head, type }),
          { type: 'resource', resource: { uri, mimeType: type, blob: content.toString('base64') } },
        ];
      }),
  );
}

/** @param {import('@modelcontextprotocol/server').McpServer} server @param {ToolDeps} deps */
function registerWriting(server, { settings, session, sender, redact }) {
  server.registerTool(
    'label',
    {
      description: 'Sets or takes away seen, flagged, answered, or labels of your own on mails.',
      inputSchema: z.strictObject({ ids, add: labels, remove: labels }),
      annotations: CHANGES,
    },
    (what) => answer(redact, async () => json(await label(session, what))),
  );
  server.registerTool(
    'draft',
    {
      description:
        'Writes a mail into the folder for drafts, where the owner changes and sends it. Nothing is sent. With inReplyTo, recipient and subject come from that mail unless given.',
      inputSchema: draftText,
      annotations: CHANGES,
    },
    (what) => answer(redact, async () => json(await draft(session, settings, what))),
  );
  server.registerTool(
    'send',
    {
      description:
        'Sends a mail in the name of the owner, at once and for good. To let the owner look first, use draft.',
      inputSchema: sentText,
      annotations: { ...DESTROYS, idempotentHint: true },
    },
    (what) => answer(redact, async () => json(await sender.send(what))),
  );
  server.registerTool(
    'move',
    {
      description: 'Moves mails into another folder; they get new ids there.',
      inputSchema: z.strictObject({ ids, folder }),
      annotations: { ...DESTROYS, idempotentHint: false },
    },
    (what) => answer(redact, async () => json(await move(session, what))),
  );
  server.registerTool(
    'delete',
    {
      description: 'Moves mails into the trash. Mails that lie in the trash already are deleted for good.',
      inputSchema: z.strictObject({ ids }),
      annotations: { ...DESTROYS, idempotentHint: false },
    },
    (what) => answer(redact, async () => json(await remove(session, what))),
  );
}

/** @param {object} value @returns {TextContent[]} */
const json = (value) => [{ type: 'text', text: JSON.stringify(value) }];

/**
 * What a call found, or what went wrong in words; never the password.
 * @param {(text: string) => string} redact
 * @param {() => Promise<Answer['content']>} work
 * @returns {Promise<Answer>}
 */
async function answer(redact, work) {
  const clean = (/** @type {Answer['content'][number]} */ one) =>
    one.type === 'text' ? { ...one, text: redact(one.text) } : one;
  try {
    return { content: (await work()).map(clean) };
  } catch (error) {
    return { content: [{ type: 'text', text: oneLine(redact(describe(error)), 1_000) }], isError: true };
  }
}
