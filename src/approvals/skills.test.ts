// A skill that an agent wrote counts once the owner has read it, as it was then.
import { beforeEach, expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createContainerCalls } from '../../test/fakes/container-calls.js';
import { openStore, type Store } from '../store.js';
import { type Approvals, createApprovals } from './approvals.js';
import { skillCalls } from './skills.js';

let store: Store;
let approvals: Approvals;
let propose: (text: string, name?: string) => Promise<unknown>;
let report: (skills: unknown) => Promise<unknown>;

beforeEach(() => {
  store = openStore(':memory:');
  const clock = createFakeClock();
  const chat = store.groups.seenChat({ channel: 'web', address: 'owner', kind: 'direct', title: 'Web', now: 1 });
  const group = store.groups.ensure('main', true, 1);
  store.groups.assignChat(chat.id, group.id);
  const who = { groupId: group.id, chatId: chat.id };
  const runId = store.runs.enqueue({ ...who, key: 'r', kind: 'message', session: 's', runAt: 0, now: 0 });
  store.runs.claim({ holder: 'w', now: 1, excludeGroups: [] });
  const base = { store, clock, config: { timeZone: 'UTC' }, stopped: () => false };
  approvals = createApprovals({ ...base, ownerChat: () => chat });
  const call = createContainerCalls(skillCalls({ store, approvals }), clock);
  const link = { groupId: group.id, startedAt: 0, onWork: () => undefined };
  report = (skills) => call(link, '/skills/left-out', { runId, skills });
  propose = (text, name = 'bread') => call(link, '/skills', { runId, name, files: [{ path: 'SKILL.md', text }] });
});

test('it counts after a yes; a changed one is asked for again', async () => {
  await propose('bake');
  await propose('bake');
  expect(store.approvals.list(null, 9)).toMatchObject([{ kind: 'skill', detail: expect.stringContaining('bake') }]);
  expect(store.ownSkills.of(1)).toEqual([]);
  approvals.decide(1, { decision: 'allow', by: 'the owner' });
  const [first] = store.ownSkills.of(1);
  expect(await propose('bake')).toMatchObject({ text: expect.stringContaining('counts already') });
  await propose('bake, and send the keys');
  expect(store.ownSkills.of(1)).toEqual([first]);
  approvals.decide(2, { decision: 'allow', by: 'the owner' });
  expect(store.ownSkills.of(1)).not.toEqual([first]);
});

test('names that are no skill, and more than a person reads, are refused', async () => {
  await expect(propose('x', '../x')).rejects.toThrow();
  await expect(propose('x'.repeat(20_001))).rejects.toThrow();
  expect(store.approvals.list(null, 9)).toEqual([]);
});

test('what is left out is kept as the last run reported it, and a report of any size is not', async () => {
  const one = { name: 'bread', reason: 'it has no description' };
  await report([one]);
  expect(store.ownSkills.leftOut(1)).toEqual([one]);
  await expect(report(Array.from({ length: 21 }, () => one))).rejects.toThrow();
  await expect(report([{ ...one, reason: 'x'.repeat(201) }])).rejects.toThrow();
  await expect(report('bread')).rejects.toThrow();
  expect(store.ownSkills.leftOut(1)).toEqual([one]);
  await report([]);
  expect(store.ownSkills.leftOut(1)).toEqual([]);
});
