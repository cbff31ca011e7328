// A container of one group that wants what another has, or says that it is somebody else. The group `others` attacks; the main group works on
// something at the same time.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { eventually } from '../../e2e/harness.js';
import { bash, runOf, say, waitForRun } from '../../e2e/talk.js';
import { type AttackScene, OVER, startRun } from '../attack.js';
import { type Probe, post, probeFamily } from '../families.js';
import { addMedia, addMessage, numberOf, withStore } from '../rows.js';

const NO_RUN = /^403 there is no such run for this group$/;
const NO_CHAT = /^403 there is no such chat .{1,60} for this group$/;
/** The owner is asked; the agent hears what it named, not what the chat is called. */
const ASKED = /^200 {"queued":false,"text":"Approval \d+ \(send a message to web:owner \(web\)\): waits for an answer/;
const NO_TASK = /^400 there is no task \d+/;
const NO_ADDRESS = /^403 This address, .*, is not available/;
const SECRET_WORD = 'xyzzyplugh';

/** A call that names ids of `scene.ids`. */
const call = (
  name: string,
  ask: (ids: Record<string, number>, runId: number) => ReturnType<typeof post>,
  answer: RegExp,
): Probe => ({
  name,
  ask: ({ ids, runId }) => ask(ids, runId),
  answer,
});
const note = { kind: 'note', at: 1, detail: { text: 'forged' } };
const done = { outcome: 'done', text: 'forged', step: 1, handledMessageIds: [] };

const runs: Probe[] = [
  call("an event in another group's run", ({ mainRun }) => post(`/runs/${mainRun}/events`, { events: [note] }), NO_RUN),
  call('an answer of that run', ({ mainRun }) => post(`/runs/${mainRun}/answer`, { text: 'forged', step: 1 }), NO_RUN),
  call('the end of that run', ({ mainRun }) => post(`/runs/${mainRun}/finish`, done), NO_RUN),
  call('a message of that run', ({ mainRun }) => post('/send', { runId: mainRun, key: 'k', text: 'forged' }), NO_RUN),
  call(
    'a question of that run',
    ({ mainRun }) => post('/ask', { runId: mainRun, key: 'k', question: 'forged?', choices: [] }),
    NO_RUN,
  ),
  call(
    'a file of that run',
    ({ mainRun }) => fileCall({ runId: mainRun, key: 'k', path: 'a.txt', caption: '' }),
    NO_RUN,
  ),
  call('its tasks', ({ mainRun }) => post('/tasks/list', { runId: mainRun }), NO_RUN),
  call(
    'a task in its name',
    ({ mainRun }) => post('/tasks', { runId: mainRun, key: 'k', prompt: 'x', at: 'in 5m' }),
    NO_RUN,
  ),
  call(
    'an event in an own run that is over',
    ({ ownDone }) => post(`/runs/${ownDone}/events`, { events: [note] }),
    NO_RUN,
  ),
  call('another end of an own run that is over', ({ ownDone }) => post(`/runs/${ownDone}/finish`, done), NO_RUN),
  call(
    'a message of an own run that is over',
    ({ ownDone }) => post('/send', { runId: ownDone, key: 'k', text: 'forged' }),
    NO_RUN,
  ),
  call(
    'a message of an own run of another session that did not begin',
    ({ ownReady }) => post('/send', { runId: ownReady, key: 'k', text: 'forged' }),
    NO_RUN,
  ),
  call('the end of that other run', ({ ownReady }) => post(`/runs/${ownReady}/finish`, done), NO_RUN),
  call('a run that never was', () => post('/send', { runId: 999_999, key: 'k', text: 'forged' }), NO_RUN),
  call('run 0', () => post('/runs/0/finish', done), NO_RUN),
  call('run -1', () => post('/runs/-1/finish', done), NO_ADDRESS),
  call('a run in hex', () => post('/runs/0x1/finish', done), NO_ADDRESS),
  call(
    'a run as a text',
    ({ mainRun }) => post('/send', { runId: `${mainRun}`, key: 'k', text: 'forged' }),
    /^400 .*expected number/,
  ),
  call('two runs', ({ mainRun }, own) => post('/send', { runId: [own, mainRun], key: 'k', text: 'forged' }), /^400 /),
];
const fileCall = (spec: object) => ({
  call: `POST /file?${new URLSearchParams({ spec: JSON.stringify(spec) })}`,
  body: 'hello',
  headers: { 'content-length': '5' },
});

const things: Probe[] = [
  call(
    "a message to the owner's chat",
    (_ids, runId) => post('/send', { runId, key: 'k', text: 'x', chat: 'web:owner' }),
    ASKED,
  ),
  call(
    'the same by its number',
    ({ mainChat }, runId) => post('/send', { runId, key: 'k', text: 'x', chat: `${mainChat}` }),
    ASKED,
  ),
  call(
    'a folder of the machine for another group',
    (_ids, runId) => post('/mounts', { runId, path: '/srv', group: 'main' }),
    /^403 there is no such group/,
  ),
  call(
    'a folder of the system',
    (_ids, runId) => post('/mounts', { runId, path: '/etc' }),
    /^400 \/etc is not for containers: that belongs to the system$/,
  ),
  ...['/nowhere-at-all', '/opt/../etc', '/tmp/../home', '../..'].map((path) =>
    call(
      `a look around on the machine: ${path}`,
      (_ids, runId) => post('/mounts', { runId, path }),
      /^400 this folder cannot be given: it is not there, or it is, holds or leads to what no container may see/,
    ),
  ),
  call(
    'a chat that is a pattern',
    (_ids, runId) => post('/send', { runId, key: 'k', text: 'x', chat: 'web:%' }),
    NO_CHAT,
  ),
  call(
    'a chat that is SQL',
    (_ids, runId) => post('/send', { runId, key: 'k', text: 'x', chat: "web:owner' OR '1'='1" }),
    NO_CHAT,
  ),
  call(
    'a key that names another run',
    ({ mainRun }, runId) => post('/send', { runId, key: `${mainRun}:1`, text: 'x' }),
    /^400 .*at key$/s,
  ),
  call(
    "another group's file",
    ({ mainMedia }) => ({ call: `GET /media/${mainMedia}/0` }),
    /^403 there is no such media for this group$/,
  ),
  call(
    'the same with a group in the query',
    ({ mainMedia }) => ({ call: `GET /media/${mainMedia}/0?group=main` }),
    /^403 there is no such media/,
  ),
  call('the same by an odd path', ({ mainMedia }) => ({ call: `GET /media/${mainMedia}/0/../0` }), NO_ADDRESS),
  call(
    "another group's history",
    () => post('/history', { query: SECRET_WORD }),
    /^200 {"results":\[\](,"memory":\[\])?}$/,
  ),
  call(
    'a search with operators',
    () => post('/history', { query: `chat:main OR "${SECRET_WORD}" NEAR(x) *` }),
    /^200 {"results":\[\](,"memory":\[\])?}$/,
  ),
  call(
    'a search for a column',
    () => post('/history', { query: 'rowid:1 OR text:*' }),
    /^200 {"results":\[\](,"memory":\[\])?}$/,
  ),
  call(
    'the list of tasks has the own ones alone',
    (_ids, runId) => post('/tasks/list', { runId }),
    /^200 (?!.*secret plan)/s,
  ),
  call(
    "another group's task, changed",
    ({ mainTask }, runId) =>
      post(`/tasks/${mainTask}`, { runId, key: 'k', action: 'update', fields: { prompt: 'forged' } }),
    NO_TASK,
  ),
  call(
    'the same, cancelled',
    ({ mainTask }, runId) => post(`/tasks/${mainTask}`, { runId, key: 'k', action: 'cancel' }),
    NO_TASK,
  ),
  call(
    'the same, started',
    ({ mainTask }, runId) => post(`/tasks/${mainTask}`, { runId, key: 'k', action: 'run' }),
    NO_TASK,
  ),
  call(
    "a task for the owner's chat",
    (_ids, runId) => post('/tasks', { runId, key: 'k', prompt: 'x', at: 'in 5m', chat: 'web:owner' }),
    NO_CHAT,
  ),
  call(
    'an own task, moved there',
    ({ ownTask }, runId) =>
      post(`/tasks/${ownTask}`, { runId, key: 'k', action: 'update', fields: { chat: 'web:owner' } }),
    NO_CHAT,
  ),
  {
    name: 'a task that starts itself',
    ask: (scene) => {
      const task = numberOf(scene, 'SELECT task_id FROM runs WHERE id = ?', scene.runId);
      return post(`/tasks/${task}`, { runId: scene.runId, key: 'k', action: 'run' });
    },
    answer: /^400 this is a run of task \d+; it cannot start itself$/,
  },
];

const forged: Probe[] = [
  call(
    'words that it is main, in the body',
    (_ids, runId) =>
      post('/send', { runId, key: 'k', text: 'x', chat: 'web:owner', groupId: 1, group: 'main', isMain: true }),
    ASKED,
  ),
  call(
    'words that it is main, in headers',
    (_ids, runId) =>
      post(
        '/send',
        { runId, key: 'k', text: 'x', chat: 'web:owner' },
        { 'x-pinch-group': 'main', 'x-forwarded-for': '127.0.0.1' },
      ),
    ASKED,
  ),
  call(
    'a prototype in the body',
    (_ids, runId) => ({
      ...post('/send', {}),
      body: `{"__proto__":{"isMain":true},"runId":${runId},"key":"k","text":"x","chat":"web:owner"}`,
    }),
    ASKED,
  ),
  call(
    'a second run in the body, behind the own one',
    ({ mainRun }, runId) => ({
      ...post('/send', {}),
      body: `{"runId":${runId},"key":"k","text":"forged","runId":${mainRun}}`,
    }),
    NO_RUN,
  ),
  call(
    "a model call on another run's account",
    ({ mainRun }) =>
      post('/v1/messages', MODEL_CALL, { 'x-pinch-run': `${mainRun}`, 'anthropic-version': '2023-06-01' }),
    /^200 /,
  ),
  call(
    'a list of all groups',
    (_ids, runId) => post('/groups/list', { runId, isMain: true }),
    /^403 only the main group may ask this$/,
  ),
  call(
    "a chat for this group in main's name",
    ({ mainRun }) => post('/groups/register', { runId: mainRun, chat: 'test:others', folder: 'evil' }),
    NO_RUN,
  ),
  call('a new group', () => post('/groups', { folder: 'evil', isMain: true }), NO_ADDRESS),
  call('a rule for the door', () => post('/api/egress', { host: 'evil.example' }), NO_ADDRESS),
  call('a yes to something', () => post('/approvals/1', { decision: 'allow' }), NO_ADDRESS),
];
const MODEL_CALL = { model: 'claude-sonnet-5-5', max_tokens: 10, messages: [{ role: 'user', content: 'x' }] };

const RELEASE = 'released';
/** Main has secrets and a run at work; `others` has a run that is over and one that did not begin. */
async function prepare(scene: AttackScene): Promise<void> {
  const { daemon, model } = scene;
  model.push({ text: 'done' });
  const ownDone = await startRun(scene, 'others', 'go');
  await waitForRun(daemon, ownDone, OVER);
  const task = { chat: 'web:owner', prompt: 'secret plan', at: 'in 2d' };
  const { body } = await daemon.api('POST', '/api/tasks', task);
  const mainTask = z.object({ task: z.object({ id: z.number() }) }).parse(body).task.id;
  const mainMedia = addMedia(scene, 'main', 1_000);
  addMessage(scene, { chat: 'test:main', text: `the word is ${SECRET_WORD}`, role: null });
  withStore(scene, (db) =>
    db
      .prepare(
        `INSERT INTO runs (key, kind, group_id, chat_id, session, run_at, created_at)
         SELECT 'later', 'message', group_id, id, 'later', 9e12, 1 FROM chats WHERE address = 'others'`,
      )
      .run(),
  );
  const ownReady = numberOf(scene, `SELECT id FROM runs WHERE key = 'later'`);
  const ownTask = numberOf(scene, 'SELECT task_id FROM runs WHERE id = ?', ownDone);
  const mainChat = numberOf(scene, `SELECT id FROM chats WHERE channel = 'web'`);
  model.push(bash(`for n in $(seq 600); do [ -e ${RELEASE} ] && exit; sleep 0.1; done`));
  const mainRun = await say(daemon, 'work');
  await eventually(() => model.remaining() === 0, 'the main group works');
  scene.ids = { ownDone, ownReady, ownTask, mainTask, mainMedia, mainChat, mainRun };
}

/** Main's run and task are what they were. */
async function after(scene: AttackScene): Promise<void> {
  const { daemon, ids, model } = scene;
  const { run, events } = await runOf(daemon, ids.mainRun ?? 0);
  expect(run.state).toBe('leased');
  expect(JSON.stringify(events)).not.toContain('forged');
  const query = `SELECT count(*) FROM tasks WHERE prompt = 'secret plan' AND state = 'active'`;
  expect(numberOf(scene, query)).toBe(1);
  expect(numberOf(scene, `SELECT count(*) FROM outbox WHERE text LIKE '%forged%'`)).toBe(0);
  // One card for all that was asked for, and nothing was said in the owner's chat but that.
  expect(numberOf(scene, `SELECT count(*) FROM approvals WHERE kind = 'send' AND state = 'open'`)).toBe(1);
  expect(numberOf(scene, `SELECT count(*) FROM outbox WHERE text = 'x'`)).toBe(0);
  expect(numberOf(scene, `SELECT count(*) FROM model_calls WHERE run_id = ? AND group_id <> 1`, ids.mainRun ?? 0)).toBe(
    0,
  );
  // What is left of the script is for the run that attacked.
  await eventually(() => model.remaining() === 0, 'the attack is over');
  model.push({ text: 'done' });
  writeFileSync(join(daemon.home, 'groups/main', RELEASE), '');
  await waitForRun(daemon, ids.mainRun ?? 0, OVER);
}

export const rights = probeFamily('rights, from another group', [...runs, ...things, ...forged], {
  group: 'others',
  // For its own call of the model.
  steps: [{ text: 'nothing' }],
  prepare,
  after,
  check: ({ events }) => expect(events.filter(({ kind }) => kind === 'refused').length).toBeGreaterThan(0),
});
