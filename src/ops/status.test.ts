// What `/status` says, on a real home and store.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { type Backend, loadConfig } from '../core/config.js';
import { prepareHome } from '../sandbox/home.js';
import { openStore } from '../store.js';
import { createStoredFacts, type StatusDeps, statusSnapshot } from './status.js';

test('the skills a group wrote for itself are those that count: the owner has read them', () => {
  const config = loadConfig({ PINCH_HOME: mkdtempSync(join(tmpdir(), 'pinch-status-')) }, process.cwd());
  prepareHome(config);
  const store = openStore(join(config.dataDir, 'pinch.db'));
  const clock = createFakeClock();
  const stored = createStoredFacts({ config, store, clock });
  for (const folder of ['main', 'family']) store.groups.ensure(folder, folder === 'main', clock.now());
  const status = () =>
    statusSnapshot({
      config,
      store,
      clock,
      stored: stored(),
      backend: config.backend,
      outage: undefined,
      startedAt: clock.now(),
      lastEnd: null,
      stopped: false,
      engine: { state: 'up', detail: '' },
      channels: [],
      containers: [],
      servers: [],
      fallback: undefined,
    });
  expect(status().text).not.toContain('skills');
  // What lies in the folder and nobody read does not count.
  mkdirSync(join(config.groupsDir, 'family', 'skills', 'unread'), { recursive: true });
  const family = store.groups.ensure('family', false, clock.now()).id;
  for (const name of ['bread', 'allotment']) store.ownSkills.put(family, name, 'digest');
  expect(status().text).toContain('\n- skills family wrote for itself (2): allotment, bread\n');
  expect(status().groups).toMatchObject([{ ownSkills: [] }, { folder: 'family', ownSkills: ['allotment', 'bread'] }]);
  store.ownSkills.remove(family, 'bread');
  expect(status().text).toContain('(1): allotment\n');
  const skills = Array.from({ length: 6 }, (_, n) => ({ name: `s${n}\n`, reason: 'it has no *description*' }));
  store.ownSkills.putLeftOut(family, skills);
  expect(status().text).toMatch(/\n- skills of family that are left out: s0.* \(it has no .*\), s1.*, 1 more\n/);
  store.ownSkills.putLeftOut(family, []);
  expect(status().text).not.toContain('left out');
});

describe('what keeps messages from being answered', () => {
  const server = 'api.example.com';
  const backend: Backend = {
    kind: 'http',
    baseUrl: `https://${server}`,
    apiKey: 'k',
    authToken: undefined,
    free: false,
  };
  const outage = { server, why: 'it refuses the connection (ECONNREFUSED)', since: 1 };
  const clock = createFakeClock();

  function setUp() {
    const config = loadConfig({ PINCH_HOME: mkdtempSync(join(tmpdir(), 'pinch-status-')) }, process.cwd());
    prepareHome(config);
    const store = openStore(join(config.dataDir, 'pinch.db'));
    const now = clock.now();
    const group = store.groups.ensure('main', true, now);
    const chat = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now });
    const ids = { groupId: group.id, chatId: chat.id };
    const enqueue = () => store.runs.enqueue({ ...ids, key: 'k', kind: 'message', session: 's', runAt: now, now });
    const stored = createStoredFacts({ config, store, clock });
    const status = (more: Partial<StatusDeps> = {}) =>
      statusSnapshot({
        stored: stored(),
        ...{
          config,
          store,
          clock,
          backend,
          outage: undefined,
          fallback: undefined,
          startedAt: now,
          lastEnd: null,
          stopped: false,
        },
        ...{ engine: { state: 'up', detail: '' }, channels: [], containers: [], servers: [], ...more },
      });
    return { store, group, chat, enqueue, status };
  }

  test('a refused key is told while runs wait for it, and no longer: not after a restart, a stop or a success', () => {
    const { store, group, chat, enqueue, status } = setUp();
    const parked = () => status().groups[0]?.parked;
    const park = () => store.groups.park(group.id, 'auth', clock.now() + 60_000);
    enqueue();
    expect(parked()).toBeNull();
    park();
    expect(parked()).toBe('auth');
    expect(status().text).toContain('- group main waits: the model back end refuses the key');
    store.groups.retryParked(clock.now());
    expect(parked()).toBeNull();
    park();
    store.runs.cancel(chat.id, null, clock.now());
    expect(parked()).toBeNull();
    store.groups.unpark(group.id);
    expect(parked()).toBeNull();
  });

  test('a back end that is away is told while something waits for it, by its name and the reason', () => {
    const { store, chat, enqueue, status } = setUp();
    expect(status({ outage }).outage).toBeNull();
    enqueue();
    expect(status({ outage })).toMatchObject({
      outage,
      text: expect.stringContaining(`No answer from the model at ${server}: ${outage.why}`),
    });
    expect(status()).toMatchObject({ outage: null, text: expect.not.stringContaining('No answer') });
    // The settings name another one now, or none.
    for (const other of [{ ...backend, baseUrl: 'http://127.0.0.1:11434' }, { kind: 'demo' as const }])
      expect(status({ outage, backend: other }).outage).toBeNull();
    store.runs.cancel(chat.id, null, clock.now());
    expect(status({ outage }).outage).toBeNull();
  });

  test('how the last process ended is told whole', () => {
    const { status } = setUp();
    const lastEnd = `a start that failed: the settings cannot be used: ${'PINCH_PORT: use another; '.repeat(20)}PINCH_OWNER`;
    expect(status({ lastEnd }).text).toContain(
      `\nThe start before this one failed: ${lastEnd.slice('a start that failed: '.length)}\n`,
    );
    const killed = 'killed from outside, or out of memory';
    expect(status({ lastEnd: killed }).text).toContain(`\nBefore this start I ended by myself: ${killed}\n`);
    expect(
      status({ engine: { state: 'down', detail: 'Docker does not answer: ENOENT' } }).text.match(/Docker/g),
    ).toHaveLength(1);
  });

  test('the second model works in the place of the first, unless it gives no answer either', () => {
    const { enqueue, status } = setUp();
    const now = clock.now();
    const fallback = { model: 'claude-haiku-5-5', since: now, tryAt: now + 600_000 };
    expect(status().text).not.toContain('overloaded');
    expect(status({ fallback }).text).toMatch(
      /has been overloaded since \d\d:\d\d: claude-haiku-5-5 works in its place; next try at \d\d:\d\d/,
    );
    enqueue();
    expect(status({ fallback, outage }).text).toMatch(
      /has been overloaded since \d\d:\d\d, and claude-haiku-5-5 gives no answer either\nNo answer from the model/,
    );
  });
});

test('what the rows say is looked up once per change, also of another program, and once a day', () => {
  const config = loadConfig({ PINCH_HOME: mkdtempSync(join(tmpdir(), 'pinch-status-')) }, process.cwd());
  prepareHome(config);
  const file = join(config.dataDir, 'pinch.db');
  const [store, clock] = [openStore(file), createFakeClock()];
  const stored = createStoredFacts({ config, store, clock });
  const first = stored();
  for (const _ of [1, 2, 3]) expect(stored()).toBe(first);
  store.groups.ensure('family', false, 1);
  const second = stored();
  expect(second.groups).toMatchObject([{ folder: 'family' }]);
  expect(stored()).toBe(second);
  const other = openStore(file);
  other.groups.ensure('work', false, 1);
  other.close();
  expect(stored().groups).toHaveLength(2);
  const third = stored();
  clock.set(clock.now() + 86_400_000);
  expect(stored()).not.toBe(third);
});
