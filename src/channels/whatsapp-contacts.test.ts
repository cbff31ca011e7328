// What the library tells of contacts, given directly: who never wrote has a name all the same.
import type { BaileysEventMap } from '@whiskeysockets/baileys';
import { expect, test } from 'vitest';
import { createChannelHost } from '../../test/fakes/channel-host.js';
import { createContacts } from './whatsapp-contacts.js';

function startContacts() {
  const host = createChannelHost();
  const contacts = createContacts(host.deps);
  const handlers: { [Name in keyof BaileysEventMap]?: (data: BaileysEventMap[Name]) => void } = {};
  contacts.watch((event, handle) => void Object.assign(handlers, { [event]: handle }));
  return { host, contacts, handlers };
}

test('a contact is known by number and LID; what people call themselves comes first', async () => {
  const { contacts, handlers } = startContacts();
  handlers['contacts.upsert']?.([
    { id: '49171@s.whatsapp.net', lid: '200@lid', name: 'Mum\n<3' },
    { id: '49172:4@s.whatsapp.net', notify: 'Ben', name: 'the boss' },
    { id: '203@lid', verifiedName: 'A Shop' },
    { id: '204@lid' },
  ]);
  handlers['contacts.update']?.([{ id: '204@lid', notify: '' }, {}]);
  await expect.poll(() => contacts.nameOf('203@lid')).toBe('A Shop');
  const names = ['49171', '200@lid', '49172', '204@lid', '999'].map(contacts.nameOf);
  expect(names).toEqual(['Mum <3', 'Mum <3', 'Ben', undefined, undefined]);
});

test('ten thousand contacts of a history hold nobody up, and a full disk ends nothing', async () => {
  const { host, contacts, handlers } = startContacts();
  const many = Array.from({ length: 10_000 }, (_, index) => ({ id: `${index}@lid`, notify: `N${index}` }));
  const used = process.cpuUsage();
  handlers['messaging-history.set']?.({ chats: [], messages: [], contacts: many });
  expect(process.cpuUsage(used).user / 1_000).toBeLessThan(100);
  await expect.poll(() => contacts.nameOf('9999@lid'), { timeout: 20_000 }).toBe('N9999');
  host.deps.storage.set = () => {
    throw new Error('disk full');
  };
  const broken = createContacts(host.deps);
  broken.watch((_event, handle) => void Reflect.apply(handle, undefined, [[{ id: '1@lid', notify: 'New' }]]));
  await expect.poll(() => host.logLines.join()).toContain('disk full');
});
