// What the receiver does with a message that its reader cannot take. What arrives over the wire is in whatsapp-accidents.test.ts.
import type { WAMessage, WASocket } from '@whiskeysockets/baileys';
import { expect, test } from 'vitest';
import { createChannelHost } from '../../test/fakes/channel-host.js';
import { createContacts } from './whatsapp-contacts.js';
import { createGroupCache } from './whatsapp-groups.js';
import { createReceiver } from './whatsapp-receive.js';

const sock = { user: { id: '49170@s.whatsapp.net' } };
const unread = {
  get conversation(): string {
    throw new RangeError('not to be read');
  },
};
const messageOf = (id: string, message: object) => ({
  key: { remoteJid: '49171@s.whatsapp.net', id, fromMe: false },
  messageTimestamp: 4_000_000_000,
  pushName: 'Ann',
  message,
});

test('a message that cannot be read is told as such, once, and those behind it come through', async () => {
  const host = createChannelHost();
  const over = new AbortController();
  const contacts = createContacts(host.deps);
  const groups = createGroupCache(host.deps, contacts);
  const parts = { findSent: () => undefined, groups, contacts };
  const receiver = createReceiver(host.deps, { ...parts, shared: false, over: over.signal });
  receiver.linked();
  const [odd, plain]: WAMessage[] = JSON.parse(
    JSON.stringify([messageOf('A', {}), messageOf('B', { conversation: 'fine' })]),
  );
  const socket: WASocket = JSON.parse(JSON.stringify(sock));
  if (!odd || !plain) throw new Error('no messages');
  odd.message = unread;
  receiver.take(socket, [odd, plain]);
  expect(host.texts()).toEqual(['[a message that I could not read]', 'fine']);
  expect(() => receiver.commit(socket, { ...odd, key: { ...odd.key, id: 'C' } })).not.toThrow();
  over.abort();
  expect(host.pauses).toEqual([]);
});
