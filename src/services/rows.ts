// Tokens of the owner's accounts at services. They are secrets: nothing but `oauth.ts` reads them.
import { z } from 'zod';
import type { Statements } from '../core/statements.js';

const tokenRow = z.object({
  service: z.string(),
  /** Another client or place in services.json does not get them. */
  client: z.string(),
  accessToken: z.string(),
  refreshToken: z.string().nullable(),
  /** Epoch ms; null: it does not say. */
  expiresAt: z.number().nullable(),
  connectedAt: z.number(),
});
export type Tokens = z.infer<typeof tokenRow>;

export function createServiceTokens({ rows, run, named }: Statements) {
  return {
    get: rows(tokenRow).get<[service: string]>('SELECT * FROM service_tokens WHERE service = ?1'),
    all: rows(tokenRow).all<[]>('SELECT * FROM service_tokens'),
    put: named.run<[Tokens]>(
      `REPLACE INTO service_tokens (service, client, access_token, refresh_token, expires_at, connected_at)
       VALUES (@service, @client, @accessToken, @refreshToken, @expiresAt, @connectedAt)`,
    ),
    expire: run<[service: string]>('UPDATE service_tokens SET expires_at = 0 WHERE service = ?1'),
    remove: run<[service: string]>('DELETE FROM service_tokens WHERE service = ?1'),
  };
}
