// A container brings notices about; it must not do so without end.
import { expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { openStore } from '../store.js';
import { createOwnerChat, createOwnerNotices } from './notices.js';

test('of what a group brings about only six an hour are told, of everything else all', async () => {
  const store = openStore(':memory:');
  const clock = createFakeClock();
  const ownerChat = createOwnerChat({ store, clock, isBlocked: () => false });
  const notify = createOwnerNotices({ store, clock, ownerChat });
  const keys = () => store.outbox.list(99).map(({ key }) => key.split(':')[1]);
  for (let n = 0; n < 50; n++) notify(`loud:${n}`, 'x', 2);
  notify('quiet:1', 'x', 3);
  for (let n = 0; n < 10; n++) notify(`engine:${n}`, 'x');
  expect(keys().filter((key) => key === 'loud')).toHaveLength(6);
  expect(keys().filter((key) => key !== 'loud')).toHaveLength(11);
  await clock.advance(3_600_000);
  notify('loud:later', 'x', 2);
  expect(keys().filter((key) => key === 'loud')).toHaveLength(7);
});

test('a notice goes where it is read: to no chat that is switched off, unless none works', () => {
  const store = openStore(':memory:');
  const clock = createFakeClock();
  const blocked = new Set(['web', 'whatsapp', 'telegram']);
  const ownerChat = createOwnerChat({ store, clock, isBlocked: (name) => blocked.has(name) });
  const main = store.groups.ensure('main', true, 1);
  ['telegram', 'whatsapp'].forEach((channel, index) => {
    const chat = store.groups.seenChat({ channel, address: 'a', kind: 'direct', title: 'A', now: index });
    store.groups.assignChat(chat.id, main.id);
  });
  expect(ownerChat().channel).toBe('whatsapp');
  blocked.delete('web');
  expect(ownerChat().channel).toBe('web');
  blocked.delete('telegram');
  expect(ownerChat().channel).toBe('telegram');
});
