// What this module works with of the store.
import type { Db } from '../core/db.js';
import type { createServiceClients, createServiceTokens } from './rows.js';

export interface Store extends Pick<Db, 'transaction'> {
  serviceTokens: ReturnType<typeof createServiceTokens>;
  serviceClients: ReturnType<typeof createServiceClients>;
}
