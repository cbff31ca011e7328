// Tokens of the owner's accounts at services, and who we are there. They are secrets: nothing but this module reads them.
import { z } from 'zod';
import { flag, type Statements } from '../core/statements.js';

const tokenRow = z.object({
  service: z.string(),
  /** Another client or place in services.json does not get them. */
  client: z.string(),
  accessToken: z.string(),
  refreshToken: z.string().nullable(),
  /** Epoch ms; null: it does not say. */
  expiresAt: z.number().nullable(),
  connectedAt: z.number(),
  lacking: z.string().nullable(),
});
export type Tokens = z.infer<typeof tokenRow>;

const clientRow = z.object({
  service: z.string(),
  client: z.string(),
  clientId: z.string(),
  secret: z.string().nullable(),
  authMethod: z.enum(['client_secret_basic', 'client_secret_post', 'none']),
  tokenUrl: z.string(),
  resource: z.string().nullable(),
  issuer: z.string().nullable(),
  needsIssuer: flag,
  madeAt: z.number(),
});
export type KnownClient = z.infer<typeof clientRow>;

export function createServiceTokens({ rows, run, named }: Statements) {
  return {
    get: rows(tokenRow).get<[service: string]>('SELECT * FROM service_tokens WHERE service = ?1'),
    all: rows(tokenRow).all<[]>('SELECT * FROM service_tokens'),
    put: named.run<[Tokens]>(
      `REPLACE INTO service_tokens (service, client, access_token, refresh_token, expires_at, connected_at, lacking)
       VALUES (@service, @client, @accessToken, @refreshToken, @expiresAt, @connectedAt, @lacking)`,
    ),
    /** Not what is no longer there: the service may have been connected anew meanwhile. */
    renew: named.run<[Tokens & { before: string }]>(
      `UPDATE service_tokens SET access_token = @accessToken, refresh_token = @refreshToken, expires_at = @expiresAt
       WHERE service = @service AND client = @client AND access_token = @before`,
    ),
    expire: run<[service: string, accessToken: string]>(
      'UPDATE service_tokens SET expires_at = 0 WHERE service = ?1 AND access_token = ?2',
    ),
    lack: run<[service: string, scopes: string]>('UPDATE service_tokens SET lacking = ?2 WHERE service = ?1'),
    remove: run<[service: string, accessToken: string]>(
      'DELETE FROM service_tokens WHERE service = ?1 AND access_token = ?2',
    ),
  };
}

export function createServiceClients({ rows, run, named }: Statements) {
  return {
    get: rows(clientRow).get<[service: string, client: string]>(
      'SELECT * FROM service_clients WHERE service = ?1 AND client = ?2',
    ),
    all: rows(clientRow).all<[]>('SELECT * FROM service_clients'),
    put: named.run<[KnownClient]>(
      `REPLACE INTO service_clients (service, client, client_id, secret, auth_method, token_url, resource, issuer, needs_issuer, made_at)
       VALUES (@service, @client, @clientId, @secret, @authMethod, @tokenUrl, @resource, @issuer, @needsIssuer, @madeAt)`,
    ),
    /** Those that no tokens belong to. */
    removeUnused: run<[service: string, madeBefore: number]>(
      `DELETE FROM service_clients WHERE service = ?1 AND made_at < ?2
       AND client NOT IN (SELECT client FROM service_tokens WHERE service = ?1)`,
    ),
  };
}
