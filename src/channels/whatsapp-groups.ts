// What is known of WhatsApp groups while a connection lasts: without it every message to a group would ask the server first.
import { type GroupMetadata, jidNormalizedUser, type WASocket } from '@whiskeysockets/baileys';
import type { ChannelDeps } from './channel.js';
import type { Contacts } from './whatsapp-contacts.js';
import type { Member } from './whatsapp-mentions.js';
import { identify } from './whatsapp-people.js';

export type GroupCache = ReturnType<typeof createGroupCache>;

export function createGroupCache({ log, nameOf, assistantName }: ChannelDeps, contacts: Contacts) {
  const groups = new Map<string, GroupMetadata>();
  const keep = (list: GroupMetadata[]) => {
    for (const group of list) groups.set(group.id, group);
  };
  /** What we knew is outdated at once; until the new answer comes the library asks by itself. */
  async function learn(sock: WASocket, changes: { id?: string }[]): Promise<void> {
    const ids = changes.flatMap(({ id }) => id ?? []);
    for (const id of ids) groups.delete(id);
    try {
      for (const id of ids) keep([await sock.groupMetadata(id)]);
    } catch {
      log.debug('whatsapp group not known');
    }
  }
  return {
    get: (jid: string): GroupMetadata | undefined => groups.get(jid),
    /** Those of its members who wrote to us somewhere, by the names they gave themselves, and us. */
    async membersOf(sock: WASocket, jid: string): Promise<Member[]> {
      const group = groups.get(jid) ?? (await sock.groupMetadata(jid).catch(() => undefined));
      const own = [sock.user?.id, sock.user?.lid].map((name) => jidNormalizedUser(name));
      const others = (group?.participants ?? []).flatMap(({ id, lid, phoneNumber }) => {
        const name = nameOf(identify(contacts, id, lid, phoneNumber).address);
        return name === undefined || own.includes(jidNormalizedUser(id)) ? [] : [{ jid: id, name }];
      });
      return [{ jid: '', name: assistantName }, ...others];
    },
    watch(sock: WASocket, on: WASocket['ev']['on']): void {
      on('connection.update', ({ connection }) => {
        if (connection === 'close') groups.clear();
        if (connection !== 'open') return;
        const failed = () => log.debug('whatsapp groups not listed');
        sock.groupFetchAllParticipating().then((all) => keep(Object.values(all)), failed);
      });
      on('groups.upsert', keep);
      on('groups.update', (changes) => void learn(sock, changes));
      on('group-participants.update', (change) => void learn(sock, [change]));
    },
  };
}
