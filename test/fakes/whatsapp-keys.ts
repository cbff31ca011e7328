// Signal keys in memory and a logger that says nothing: what every participant of a conversation needs, and tests too.
import type { SignalDataSet, SignalDataTypeMap, SignalKeyStore } from '@whiskeysockets/baileys';

type Kinds = { [T in keyof SignalDataTypeMap]: Map<string, SignalDataTypeMap[T]> };

/** A key store that lasts as long as the process. */
export function createMemoryKeys(): SignalKeyStore {
  const kinds: Kinds = {
    'pre-key': new Map(),
    session: new Map(),
    'sender-key': new Map(),
    'sender-key-memory': new Map(),
    'app-state-sync-key': new Map(),
    'app-state-sync-version': new Map(),
    'lid-mapping': new Map(),
    'device-list': new Map(),
    tctoken: new Map(),
    'identity-key': new Map(),
  };
  function put<T extends keyof SignalDataTypeMap>(kind: T, changes: SignalDataSet[T]): void {
    for (const [id, value] of Object.entries<SignalDataTypeMap[T] | null>(changes ?? {})) {
      if (value === null) kinds[kind].delete(id);
      else kinds[kind].set(id, value);
    }
  }
  return {
    clear() {
      for (const kind of Object.values(kinds)) kind.clear();
    },
    get(kind, ids) {
      const found: { [id: string]: SignalDataTypeMap[typeof kind] } = {};
      for (const id of ids) {
        const value = kinds[kind].get(id);
        if (value !== undefined) found[id] = value;
      }
      return found;
    },
    set(changes) {
      put('pre-key', changes['pre-key']);
      put('session', changes.session);
      put('sender-key', changes['sender-key']);
      put('sender-key-memory', changes['sender-key-memory']);
      put('app-state-sync-key', changes['app-state-sync-key']);
      put('app-state-sync-version', changes['app-state-sync-version']);
      put('lid-mapping', changes['lid-mapping']);
      put('device-list', changes['device-list']);
      put('tctoken', changes.tctoken);
      put('identity-key', changes['identity-key']);
    },
  };
}

export interface SilentLogger {
  level: string;
  child(): SilentLogger;
  trace(): void;
  debug(): void;
  info(): void;
  warn(): void;
  error(): void;
}

const nothing = () => undefined;
export const silentLogger: SilentLogger = {
  level: 'silent',
  child: () => silentLogger,
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
};
