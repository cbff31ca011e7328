// The caps that the owner set, and what the loop guard knows: runs in a row that spent and showed nothing, chats that wait for the owner.
import { z } from 'zod';
import type { Statements } from '../core/statements.js';

/** Caps that can be set; a task has one more among its options. */
export const capName = z.enum(['month', 'day', 'group', 'run']);
export type CapName = z.infer<typeof capName>;

/** Which cap: `group` is one group's for a day. With a `day`, a local date (of the month: `2026-11`), it holds for that one only; '' is for good. */
export interface CapKey {
  name: CapName;
  groupId: number | null;
  day: string;
}

const streak = z.object({ runs: z.number(), costMicroUsd: z.number(), since: z.number() });
export type Streak = z.infer<typeof streak>;

const heldChat = z.object({ chatId: z.number(), title: z.string(), heldAt: z.number() });

export function createBudgets({ rows, run, named }: Statements) {
  const isCap = 'name = @name AND coalesce(group_id, 0) = coalesce(@groupId, 0)';
  return {
    /** What the owner set for this day or for good; undefined when nothing. */
    cap: named.value<[key: CapKey], number>(
      `SELECT micro_usd FROM budget_caps WHERE ${isCap} AND day IN ('', @day) ORDER BY day DESC LIMIT 1`,
    ),
    setCap: named.run<[cap: CapKey & { microUsd: number }]>(
      `INSERT INTO budget_caps (name, group_id, day, micro_usd) VALUES (@name, @groupId, @day, @microUsd)
       ON CONFLICT (name, coalesce(group_id, 0), day) DO UPDATE SET micro_usd = excluded.micro_usd`,
    ),
    /** As the settings say again, also for the day that is named. */
    dropCap: named.run<[key: CapKey]>(`DELETE FROM budget_caps WHERE ${isCap} AND day IN ('', @day)`),
    /** Caps of single days and months that are over. */
    dropCapsBefore: run<[day: string]>(`DELETE FROM budget_caps WHERE day <> '' AND day < substr(?1, 1, length(day))`),

    /** One more run in a row; a streak that began before `notBefore` begins anew. Returns what it is then. */
    addToStreak: named
      .rows(streak)
      .get<[run: { subject: string; costMicroUsd: number; now: number; notBefore: number }]>(
        `INSERT INTO silent_streaks (subject, runs, cost_micro_usd, since) VALUES (@subject, 1, @costMicroUsd, @now)
       ON CONFLICT (subject) DO UPDATE SET runs = iif(since < @notBefore, 1, runs + 1),
         cost_micro_usd = excluded.cost_micro_usd + iif(since < @notBefore, 0, cost_micro_usd),
         since = iif(since < @notBefore, excluded.since, since) RETURNING *`,
      ),
    endStreak: run<[subject: string]>('DELETE FROM silent_streaks WHERE subject = ?1'),
    /** Message runs of the chat are not claimed until it is released. */
    hold: run<[chatId: number, now: number]>('INSERT OR IGNORE INTO held_chats (chat_id, held_at) VALUES (?1, ?2)'),
    /** False when it was not held. */
    release: run<[chatId: number]>('DELETE FROM held_chats WHERE chat_id = ?1'),
    heldChats: rows(heldChat).all<[]>(
      'SELECT h.chat_id, c.title, h.held_at FROM held_chats h JOIN chats c ON c.id = h.chat_id ORDER BY h.held_at',
    ),
  };
}
