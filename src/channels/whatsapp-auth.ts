// Baileys' credentials and Signal keys as rows of the channel's storage: every kind of key, one transaction per change.
import {
  type AuthenticationState,
  BufferJSON,
  initAuthCreds,
  proto,
  type SignalDataTypeMap,
} from '@whiskeysockets/baileys';
import type { ChannelStorage } from './channel.js';

export interface WhatsAppAuth {
  state: AuthenticationState;
  /** Writes the credentials; on disk when it returns. */
  saveCreds(): void;
}

const encode = (value: unknown) => JSON.stringify(value, BufferJSON.replacer);
const decode = (text: string) => JSON.parse(text, BufferJSON.reviver);

/** A pairing that was broken off leaves an account without proof that it is ours: WhatsApp would answer 401 for good. */
export function loadAuth(storage: ChannelStorage): WhatsAppAuth {
  const stored = storage.get('creds', ['creds']).creds;
  const found: AuthenticationState['creds'] | undefined = stored === undefined ? undefined : decode(stored);
  const creds = found?.me && !found.account ? initAuthCreds() : (found ?? initAuthCreds());
  return {
    state: {
      creds,
      keys: {
        get<Kind extends keyof SignalDataTypeMap>(kind: Kind, ids: string[]) {
          const values: Record<string, SignalDataTypeMap[Kind]> = {};
          for (const [id, text] of Object.entries(storage.get(kind, ids))) {
            const value = decode(text);
            values[id] = kind === 'app-state-sync-key' ? proto.Message.AppStateSyncKeyData.fromObject(value) : value;
          }
          return values;
        },
        set(changes) {
          const rows = Object.entries(changes).flatMap(([kind, values]) =>
            Object.entries(values ?? {}).map(([id, value]) => ({ kind, id, value: value ? encode(value) : null })),
          );
          storage.set(rows);
        },
      },
    },
    saveCreds: () => storage.set([{ kind: 'creds', id: 'creds', value: encode(creds) }]),
  };
}
