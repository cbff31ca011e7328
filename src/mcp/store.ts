// What this module works with of the store: its own table and those of the floors below.
import type { Store as ServicesStore } from '../services/store.js';
import type { createMcpTools } from './rows.js';

export interface Store extends ServicesStore {
  mcpTools: ReturnType<typeof createMcpTools>;
}
