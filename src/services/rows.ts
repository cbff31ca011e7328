// Bodies of requests that wait for the owner.
import type { Statements } from '../core/statements.js';

export function createServiceBodies({ run, value }: Statements) {
  return {
    put: run<[approvalId: number, body: Buffer]>('INSERT OR IGNORE INTO service_bodies VALUES (?1, ?2)'),
    get: value<[approvalId: number], Buffer>('SELECT body FROM service_bodies WHERE approval_id = ?1'),
    /** Large ones of requests that are over. There are as many as may wait, and those that ended since the last time. */
    sweep: run<[]>(
      `DELETE FROM service_bodies WHERE approval_id IN (SELECT approval_id FROM service_bodies CROSS JOIN approvals
       ON approvals.id = approval_id WHERE length(body) > 65536 AND state NOT IN ('open', 'allowed'))`,
    ),
  };
}
