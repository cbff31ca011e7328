// The owner's ways in: what may be written, what becomes of it, and who it counts for.
import { Hono } from 'hono';
import { beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createFakeClock } from '../../test/fakes/clock.js';
import { openStore, type Store } from '../store.js';
import { egressApi } from './api.js';
import { egressCommands } from './commands.js';
import { addRules, describeRule } from './rules.js';

const answer = z.looseObject({ rules: z.array(z.unknown()).optional() });
let store: Store;
let main: number;
let family: number;
let app: Hono;
const clock = createFakeClock();
const config = { egressMode: 'ask' as const };
beforeEach(() => {
  store = openStore(':memory:');
  main = store.groups.ensure('main', true, 1).id;
  family = store.groups.ensure('family', false, 1).id;
  app = new Hono();
  egressApi({ store, config, clock })(app);
});

const add = (host: string, more: { ports?: number[]; address?: string } = {}) =>
  addRules({ store, clock }, main, { host, ...more })
    .map(describeRule)
    .join(' ');

test.each([
  ['Example.com', '`example.com`'],
  ['https://example.com/a?b#c', '`example.com`'],
  ['*.Example.com', '`*.example.com`'],
  ['example.com:8443', '`example.com` (ports 8443)'],
  ['http://example.com:8443/x', '`example.com` (ports 8443)'],
  ['8.8.8.8', '`8.8.8.8`'],
  ['PyPI', '`pypi.org` `files.pythonhosted.org`'],
])('%s is allowed as %s', (written, rule) => {
  expect(add(written)).toBe(rule);
});

test.each([
  '',
  '*',
  '*.com',
  '[::1]',
  'a b',
  'user@example.com',
  'example.com:0',
  'example.com:99999',
  '127.0.0.1',
  '192.168.1.5',
])('%j is not', (written) => {
  expect(() => add(written)).toThrow(/is no host|private or special/);
  expect(store.egress.all()).toEqual([]);
});

test('a port is added to those a host has, an address stays', () => {
  add('example.com');
  expect(add('example.com:8443')).toBe('`example.com` (ports 80, 443, 8443)');
  expect(add('nas.home', { ports: [5_000], address: '192.168.1.5' })).toBe('`nas.home` (ports 5000) at 192.168.1.5');
  expect(add('nas.home:22')).toBe('`nas.home` (ports 5000, 22) at 192.168.1.5');
  expect(store.egress.all()).toHaveLength(2);
});

test('a rule counts in its group, or in all; its own goes first', () => {
  addRules({ store, clock }, null, { host: 'all.example' });
  addRules({ store, clock }, main, { host: 'own.example' });
  expect(store.egress.of(main, 0).map(({ host }) => host)).toEqual(['own.example', 'all.example']);
  expect(store.egress.of(family, 0).map(({ host }) => host)).toEqual(['all.example']);
});

test('a group without a mode of its own has the one of the settings, and an unknown group is closed', () => {
  store.egress.setMode(family, 'ask');
  const modes = () => [main, family, 99].map((id) => store.egress.mode(id, { egressMode: 'open' }));
  expect(modes()).toEqual(['open', 'ask', 'none']);
  store.egress.setMode(family, null);
  expect(modes()).toEqual(['open', 'open', 'none']);
});

describe('the API', () => {
  const call = async (method: string, path: string, body?: object) => {
    const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await app.request(path, { method, ...(body && json) });
    return { status: response.status, body: answer.parse(await response.json()) };
  };

  test('adds for a group or for all, lists, removes', async () => {
    const { body, status } = await call('POST', '/api/egress', {
      host: 'nas.home',
      address: '10.0.0.5',
      group: 'family',
    });
    expect(status).toBe(201);
    expect(body.rules).toEqual([
      { id: 1, host: 'nas.home', ports: null, address: '10.0.0.5', until: null, group: 'family' },
    ]);
    expect((await call('POST', '/api/egress/rules', { host: 'example.com' })).body.rules).toMatchObject([
      { group: null },
    ]);
    expect((await call('DELETE', '/api/egress/1')).status).toBe(200);
    expect((await call('DELETE', '/api/egress/rules/1')).status).toBe(404);
    const list = (await call('GET', '/api/egress')).body;
    expect(list).toMatchObject({ rules: [{ id: 2, host: 'example.com' }], modes: { main: 'ask', family: 'ask' } });
  });

  test('sets the mode of a group by its folder or row id, and takes it away', async () => {
    const set = (group: string | number, body: object) => call('PATCH', `/api/groups/${group}`, body);
    expect((await set('family', { egress: 'open' })).body).toMatchObject({
      group: { folder: 'family', egress: 'open' },
    });
    expect((await set(main, { egress: 'none' })).body).toMatchObject({ group: { folder: 'main', egress: 'none' } });
    expect((await set('family', {})).body).toMatchObject({ group: { egress: 'open' } });
    expect((await set('family', { egress: null })).body).toMatchObject({ group: { egress: 'ask' } });
    expect((await call('GET', '/api/egress')).body).toMatchObject({ modes: { main: 'none', family: 'ask' } });
  });

  test('says whether what nobody vouched for counts in a group, and changes it', async () => {
    const set = (body: object) => call('PATCH', '/api/groups/family', body);
    expect((await set({ taint: 'off' })).body).toMatchObject({ group: { taint: 'off', egress: 'ask' } });
    expect([store.taints.isOn(family), store.taints.isOn(main)]).toEqual([false, true]);
    expect((await set({ egress: 'open' })).body).toMatchObject({ group: { taint: 'off' } });
    expect((await set({ taint: 'on' })).body).toMatchObject({ group: { taint: 'on' } });
    expect((await set({ taint: null })).status).toBe(400);
  });

  test.each([
    ['POST', '/api/egress', { host: '169.254.169.254' }],
    ['POST', '/api/egress', { host: 'x.example', address: '169.254.169.254' }],
    ['POST', '/api/egress', { host: 'x.example', address: 'nas.home' }],
    ['POST', '/api/egress', { host: 'x.example', ports: [0] }],
    ['POST', '/api/egress', { host: 'x.example', ports: [] }],
    ['POST', '/api/egress', { host: 'x.example', hots: 1 }],
    ['POST', '/api/egress', {}],
    ['PATCH', '/api/groups/main', { egress: 'all' }],
    ['PATCH', '/api/groups/main', { mode: 'open' }],
  ])('refuses %s %s %j', async (method, path, body) => {
    expect((await call(method, path, body)).status).toBe(400);
    expect(store.egress.all()).toEqual([]);
  });

  test('knows no other groups', async () => {
    expect((await call('POST', '/api/egress', { host: 'x.example', group: 'none' })).status).toBe(404);
    for (const name of ['none', '99', '0x1'])
      expect((await call('PATCH', `/api/groups/${name}`, { egress: 'open' })).status).toBe(404);
  });
});

test('in a chat the first rules are listed, as many as fit into a message, and how many more there are', () => {
  for (let n = 1; n <= 45; n += 1) add(`site${n}.example`);
  const chat = {
    ...store.groups.seenChat({ channel: 'web', address: 'x', kind: 'direct', title: 'x', now: 1 }),
    groupId: main,
  };
  const command = egressCommands({ store, config, clock }).find(({ usage }) => usage.startsWith('/egress'));
  const call = { chat, argument: '', messageId: 0, byOwner: true, senderId: 1 };
  const lines = command?.answer(call).split('\n') ?? [];
  expect(lines).toHaveLength(42);
  expect(lines.at(-1)).toBe('… and 5 more: `pinch egress --all`');
  expect(command?.answer({ ...call, argument: 'remove 45' })).toContain('Removed: `site45.example`');
});
