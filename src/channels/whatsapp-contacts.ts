// What WhatsApp says of people besides their messages: their numbers, and what those are called who never wrote here.
import { setImmediate } from 'node:timers/promises';
import { type Contact, jidNormalizedUser, type WASocket } from '@whiskeysockets/baileys';
import { z } from 'zod';
import { describeError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import type { ChannelDeps } from './channel.js';
import { toJid } from './whatsapp-people.js';

const KIND = 'contact';
const SLICE = 100;
const MAX_NAME_CHARS = 200;

export type Contacts = ReturnType<typeof createContacts>;

export function createContacts({ storage, log }: Pick<ChannelDeps, 'storage' | 'log'>) {
  const find = (jids: string[]) => storage.get(KIND, jids);
  function keep(contacts: Partial<Contact>[]): void {
    const rows = contacts.flatMap(({ id, lid, phoneNumber, notify, verifiedName, name }) => {
      // What people call themselves: what they are called in an address book is its owner's business where there is another name.
      const value = oneLine(notify || verifiedName || name || '', MAX_NAME_CHARS);
      const jids = [id, lid, phoneNumber].flatMap((jid) => (jid ? [jidNormalizedUser(jid)] : []));
      return value ? jids.map((jid) => ({ kind: KIND, id: jid, value })) : [];
    });
    const known = find(rows.map((row) => row.id));
    const fresh = rows.filter((row) => known[row.id] !== row.value);
    if (fresh.length > 0) storage.set(fresh);
  }
  /** A history tells thousands at once: others run in between. Without a name somebody is a number, that is all. */
  async function learn(contacts: Partial<Contact>[]): Promise<void> {
    try {
      for (let from = 0; from < contacts.length; from += SLICE) {
        keep(contacts.slice(from, from + SLICE));
        await setImmediate();
      }
    } catch (error) {
      log.warn({ error: describeError(error) }, 'names of whatsapp contacts not stored');
    }
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
      on('contacts.upsert', (contacts) => void learn(contacts));
      on('contacts.update', (contacts) => void learn(contacts));
      on('messaging-history.set', ({ contacts }) => void learn(contacts));
    },
  };
}
