// Approvals: what the owner was asked, what was shown, what was answered.
import { z } from 'zod';
import { json, type Statements } from '../core/statements.js';

const approvalState = z.enum(['open', 'allowed', 'denied', 'expired', 'done', 'failed']);

const approvalRow = z.object({
  id: z.number(),
  kind: z.string(),
  state: approvalState,
  /** Whose agent asked; null: nobody's. */
  groupId: z.number().nullable(),
  /** What is asked for is about this chat, or was asked in it. */
  chatId: z.number().nullable(),
  runId: z.number().nullable(),
  /** One plain line. */
  subject: z.string(),
  /** The same for the agent that asked, where it may not know all of it. */
  agentSubject: z.string().nullable(),
  /** All of it, Markdown, as the card shows it. */
  detail: z.string(),
  /** What "always" would mean; null where there is only once. */
  always: z.string().nullable(),
  /** What is carried out, as its kind reads it. */
  input: json(z.record(z.string(), z.unknown())),
  /** Of kind, group and input: another hash is another approval. */
  hash: z.string(),
  /** Where the card went: in a chat, it is answered there alone. */
  cardChatId: z.number().nullable(),
  decidedBy: z.string().nullable(),
  /** What came of it, in one line. */
  result: z.string().nullable(),
  createdAt: z.number(),
  expiresAt: z.number(),
  decidedAt: z.number().nullable(),
});
export type Approval = z.infer<typeof approvalRow>;
export type ApprovalState = Approval['state'];

type New = Omit<Approval, 'id' | 'state' | 'input' | 'cardChatId' | 'decidedBy' | 'result' | 'decidedAt'> & {
  input: object;
};
type Closed = Pick<Approval, 'id' | 'decidedBy' | 'result'> & { state: ApprovalState; now: number };

export function createApprovalRows({ rows, run, value, exists, named }: Statements) {
  const newest = rows(approvalRow).all<[limit: number]>('SELECT * FROM approvals ORDER BY id DESC LIMIT ?1');
  const newestIn = rows(approvalRow).all<[state: string, limit: number]>(
    'SELECT * FROM approvals WHERE state = ?1 ORDER BY id DESC LIMIT ?2',
  );
  return {
    get: rows(approvalRow).get<[id: number]>('SELECT * FROM approvals WHERE id = ?1'),
    add: named.value<[New], number>(
      `INSERT INTO approvals (kind, group_id, chat_id, run_id, subject, agent_subject, detail, always, input, hash, created_at, expires_at)
       VALUES (@kind, @groupId, @chatId, @runId, @subject, @agentSubject, @detail, @always, @input, @hash, @createdAt, @expiresAt) RETURNING id`,
    ),
    setCard: run<[id: number, chatId: number]>('UPDATE approvals SET card_chat_id = ?2 WHERE id = ?1'),
    /** The newest that asked for the same. */
    latest: rows(approvalRow).get<[hash: string]>('SELECT * FROM approvals WHERE hash = ?1 ORDER BY id DESC LIMIT 1'),
    /** Those of a group (0: of nobody) since then. */
    lately: rows(z.object({ kind: z.string(), state: approvalState })).all<[groupId: number, since: number]>(
      'SELECT kind, state FROM approvals WHERE coalesce(group_id, 0) = ?1 AND created_at >= ?2',
    ),
    /** Ends an open one, or one that was allowed; false when it was ended before. */
    close: named.run<[Closed]>(
      `UPDATE approvals SET state = @state, decided_by = coalesce(@decidedBy, decided_by), result = @result, decided_at = @now
       WHERE id = @id AND state IN ('open', 'allowed')`,
    ),
    /** A yes that is being carried out. */
    allowed: rows(approvalRow).all<[]>(`SELECT * FROM approvals WHERE state = 'allowed' ORDER BY id`),
    due: rows(approvalRow).all<[now: number]>(`SELECT * FROM approvals WHERE state = 'open' AND expires_at <= ?1`),
    /** Only times after now: one that stays due has a row that cannot be read. */
    nextExpiry: value<[now: number], number>(
      `SELECT expires_at FROM approvals INDEXED BY approvals_open WHERE state = 'open' AND expires_at > ?1 ORDER BY expires_at LIMIT 1`,
    ),
    isAskedFor: exists<[kind: string, chatId: number]>(
      'SELECT 1 FROM approvals WHERE chat_id = ?2 AND kind = ?1 LIMIT 1',
    ),
    /** Whoever saw all of them saw every change: an approval is new, or an open one or one that is being carried out goes on. */
    marks: rows(z.object({ open: z.number(), allowed: z.number(), newest: z.number().nullable() })).get<[]>(
      `SELECT (SELECT count(*) FROM approvals WHERE state = 'open') AS open,
       (SELECT count(*) FROM approvals WHERE state = 'allowed') AS allowed, (SELECT max(id) FROM approvals) AS newest`,
    ),
    /** Oldest first. */
    open: rows(approvalRow).all<[limit: number]>(`SELECT * FROM approvals WHERE state = 'open' ORDER BY id LIMIT ?1`),
    /** Of the newest, those that were decided last, and the last of them first. */
    decided: rows(approvalRow.omit({ detail: true, input: true })).all<[limit: number]>(
      `SELECT * FROM approvals WHERE id > (SELECT max(id) - 100 FROM approvals) AND state <> 'open'
       ORDER BY decided_at DESC, id DESC LIMIT ?1`,
    ),
    /** Newest first. */
    list: (state: string | null, limit: number): Approval[] => (state ? newestIn(state, limit) : newest(limit)),
  };
}
