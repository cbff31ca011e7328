// What WhatsApp says of people besides their messages: their numbers, and what those are called who never wrote here.
import { type Contact, jidNormalizedUser, type WASocket } from '@whiskeysockets/baileys';
import { z } from 'zod';
import type { ChannelStorage } from './channel.js';
import { toJid } from './whatsapp-people.js';

const KIND = 'contact';

export type Contacts = ReturnType<typeof createContacts>;

export function createContacts(storage: ChannelStorage) {
  const find = (jids: string[]) => storage.get(KIND, jids);
  function learn(contacts: Partial<Contact>[]): void {
    const rows = contacts.flatMap(({ id, lid, phoneNumber, notify, verifiedName, name }) => {
      // What people call themselves: what they are called in an address book is its owner's business where there is another name.
      const value = notify || verifiedName || name;
      const jids = [id, lid, phoneNumber].flatMap((jid) => (jid ? [jidNormalizedUser(jid)] : []));
      return value ? jids.map((jid) => ({ kind: KIND, id: jid, value })) : [];
    });
    const known = find(rows.map((row) => row.id));
    const fresh = rows.filter((row) => known[row.id] !== row.value);
    if (fresh.length > 0) storage.set(fresh);
  }
  return {
    /** The phone number behind a LID, when it was ever seen. */
    numberOf(lid: string): string | undefined {
      const id = `${lid.split('@')[0]}_reverse`;
      const text = storage.get('lid-mapping', [id])[id];
      return text === undefined ? undefined : `${z.string().parse(JSON.parse(text))}@s.whatsapp.net`;
    },
    nameOf(address: string): string | undefined {
      const jid = toJid(address);
      return find([jid])[jid];
    },
    watch(on: WASocket['ev']['on']): void {
      on('contacts.upsert', learn);
      on('contacts.update', learn);
      on('messaging-history.set', ({ contacts }) => learn(contacts));
    },
  };
}
