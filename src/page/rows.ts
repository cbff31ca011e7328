// Browsers that are signed in on the page, by the hash of their tokens.
import type { Statements } from '../core/statements.js';

export function createPageSessions({ run, count, value }: Statements) {
  return {
    add: run<[hash: string, now: number, expiresAt: number]>(
      'INSERT INTO page_sessions (hash, created_at, expires_at) VALUES (?1, ?2, ?3)',
    ),
    /** Forgets those that are over, and the longest unused ones beyond `most`. */
    trim: count<[now: number, most: number]>(
      `DELETE FROM page_sessions WHERE expires_at <= ?1
       OR id NOT IN (SELECT id FROM page_sessions ORDER BY expires_at DESC, id DESC LIMIT ?2)`,
    ),
    expiresAt: value<[hash: string], number>('SELECT expires_at FROM page_sessions WHERE hash = ?1'),
    extend: run<[hash: string, expiresAt: number]>('UPDATE page_sessions SET expires_at = ?2 WHERE hash = ?1'),
    end: count<[hash: string]>('DELETE FROM page_sessions WHERE hash = ?1'),
    endAll: count<[]>('DELETE FROM page_sessions'),
  };
}
