// kill -9 of the daemon at every step of a task's slot, hours off, the emergency stop and /stop: after it each time of the series is
// accounted for once, each slot worked on once with one message, and the series goes on.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../e2e/harness.js';
import { bash } from '../e2e/talk.js';
import { whenBusy } from '../limits.js';
import {
  expectEachDoneOnce,
  expectEachTimeOnce,
  expectRecovery,
  expectToGoOn,
  lastOf,
  openTaskScene,
  slotName,
  startEngineRelay,
  type TaskScene,
  work,
} from './task-scene.js';

const thinking = { text: 'never read', waitMs: 600_000 };
/** Hangs until there is the file `changed`. */
const CHECK = 'echo started >> checks; [ -e changed ] || sleep 600; echo it changed';

/** Most of the time goes by waiting for slots: several scenes beside each other. */
const scenario = (name: string, act: (scene: TaskScene) => Promise<void>) => test.concurrent(name, inScene(act));

const inScene = (act: (scene: TaskScene) => Promise<void>) => async () => {
  const scene = await openTaskScene();
  try {
    await act(scene);
  } finally {
    await scene.close();
  }
};

describe('kill -9', () => {
  scenario('before the insert', async (scene) => {
    const task = await scene.schedule('2s');
    const unlock = scene.lock();
    const isDue = () => Date.now() > task.firstAt;
    const ask = () => fetch(`http://127.0.0.1:${scene.daemon.port}/healthz`, { signal: AbortSignal.timeout(250) });
    await eventually(() => ask().then(() => undefined, isDue), 'the daemon hangs at the store');
    await scene.crash();
    unlock();
    expect(scene.slotsOf(task)).toEqual([]);
    expect(scene.nextAtOf(task)).toBe(task.firstAt);
    await expectRecovery(scene, task);
  });

  scenario('between the run and its slot: nothing of the insert is left', async (scene) => {
    const task = await scene.schedule('2s');
    scene.change(`CREATE TRIGGER held BEFORE INSERT ON slots BEGIN SELECT raise(ABORT, 'held'); END`);
    expect(await scene.daemon.exited).toMatchObject({ code: 1 });
    expect(scene.slotsOf(task)).toEqual([]);
    expect(scene.nextAtOf(task)).toBe(task.firstAt);
    scene.change('DROP TRIGGER held');
    await expectRecovery(scene, task);
  });

  scenario('after the insert, nobody has claimed the run', async (scene) => {
    await scene.restart({ DOCKER_HOST: `unix://${scene.home}/no-engine.sock` });
    const task = await scene.schedule('2s');
    const slot = await scene.slotThat(task, ({ runId }) => runId !== null, 'has a run');
    expect(slot).toMatchObject({ state: 'running', runState: 'ready', attempt: 0 });
    await scene.crash();
    await expectRecovery(scene, task);
    expect(scene.slotsOf(task)[0]).toEqual({ ...slot, state: 'done', runState: 'done', attempt: 1 });
  });

  scenario('leased, its container is not there yet', async (scene) => {
    const relay = await startEngineRelay(join(scene.home, 'engine.sock'));
    await scene.restart({ DOCKER_HOST: `unix://${scene.home}/engine.sock` });
    relay.silent = true;
    const task = await scene.schedule('2s');
    const slot = await scene.slotThat(task, ({ runState }) => runState === 'leased', 'is leased');
    await scene.crash();
    relay.close();
    await expectRecovery(scene, task);
    // No runner had it: the attempt does not count.
    expect(scene.slotsOf(task)[0]).toEqual({ ...slot, state: 'done', runState: 'done', attempt: 1 });
  });

  scenario('while the check script runs: it runs again, the model is woken once', async (scene) => {
    const task = await scene.schedule('2s', { check: CHECK });
    await eventually(() => scene.effects('checks')[0], 'the check runs');
    await scene.crash();
    expect(scene.model.requests).toEqual([]);
    writeFileSync(join(scene.home, 'groups/main/changed'), '');
    await expectRecovery(scene, task);
    expect(scene.slotsOf(task)[0]).toMatchObject({ state: 'done', attempt: 2 });
    expect(scene.effects('checks')).toHaveLength(scene.doneOf(task).length + 1);
    expect(scene.requestsOf(scene.doneOf(task)[0])).toHaveLength(2);
  });

  scenario('in the model call', async (scene) => {
    scene.model.push(thinking);
    const task = await scene.schedule('2s');
    await scene.model.waitForRequests(1);
    await scene.crash();
    await expectRecovery(scene, task);
    expect(scene.requestsOf(scene.doneOf(task)[0])).toHaveLength(3);
  });

  scenario('while a tool works: the call is reported as interrupted, not repeated', async (scene) => {
    scene.model.push((request) => bash(`echo ${slotName(request)} >> /workspace/effects; sleep 600`));
    const task = await scene.schedule('2s');
    await eventually(() => scene.effects()[0], 'the tool had its effect');
    await scene.crash();
    await expectRecovery(scene, task);
    const asked = scene.requestsOf(scene.doneOf(task)[0]);
    expect(asked.map((request) => lastOf(request).includes('was interrupted'))).toEqual([false, true]);
  });

  scenario('after a tool: its result is kept', async (scene) => {
    scene.model.push(work, thinking);
    const task = await scene.schedule('2s');
    await scene.model.waitForRequests(2);
    await scene.crash();
    await expectRecovery(scene, task);
    expect(scene.requestsOf(scene.doneOf(task)[0])).toHaveLength(3);
  });

  scenario('after the model, its outcome not recorded: the model is not asked again', async (scene) => {
    scene.change(
      `CREATE TRIGGER held BEFORE UPDATE OF state ON runs WHEN new.state = 'done' BEGIN SELECT raise(ABORT, 'held'); END`,
    );
    const task = await scene.schedule('2s');
    expect(await scene.daemon.exited).toMatchObject({ code: 1 });
    await scene.crash();
    expect(scene.slotsOf(task)[0]).toMatchObject({ runState: 'leased' });
    const history = join(scene.home, `data/sessions/main/task${task.id}-${task.firstAt}.jsonl`);
    expect(readFileSync(history, 'utf8')).toContain('end_turn');
    scene.change('DROP TRIGGER held');
    await expectRecovery(scene, task);
    expect(scene.requestsOf(scene.doneOf(task)[0])).toHaveLength(2);
  });

  scenario('after the run, its slot not settled', async (scene) => {
    scene.change(
      `CREATE TRIGGER held BEFORE UPDATE ON slots WHEN new.state = 'done' BEGIN SELECT raise(ABORT, 'held'); END`,
    );
    const task = await scene.schedule('2s');
    expect(await scene.daemon.exited).toMatchObject({ code: 1 });
    await scene.crash();
    expect(scene.slotsOf(task)[0]).toMatchObject({ state: 'running', runState: 'done' });
    scene.change('DROP TRIGGER held');
    await expectRecovery(scene, task);
  });

  scenario('before the send: the message goes out once, the model is not asked again', async (scene) => {
    const { tg } = scene;
    tg.faults.always('sendMessage', { hangMs: Number.POSITIVE_INFINITY, dropConnection: true });
    const task = await scene.schedule('2s');
    await tg.waitFor(() => tg.requests.filter(({ method }) => method === 'sendMessage').length === 2);
    await scene.crash();
    tg.faults.clear();
    await expectRecovery(scene, task);
    expect(scene.requestsOf(scene.doneOf(task)[0])).toHaveLength(2);
  });

  scenario('after the send, its acceptance lost: one message comes twice, no work does', async (scene) => {
    scene.tg.faults.next('sendMessage', { after: 'accepted', hangMs: Number.POSITIVE_INFINITY });
    const task = await scene.schedule('2s');
    await scene.tg.waitForSent(2);
    await scene.crash();
    await scene.restart();
    await expectToGoOn(scene, task);
    const done = scene.doneOf(task);
    expect(scene.sent()).toEqual([done[0], ...done]);
    expect(scene.effects()).toEqual(done);
  });

  scenario('six times at any moment, three tasks: no slot is lost, none is worked on twice', async (scene) => {
    const kills = 6;
    const tasks = [
      await scene.schedule('1s'),
      await scene.schedule('1s', { overlap: 'queue' }),
      await scene.schedule('2s', { check: 'echo it changed' }),
    ];
    for (let n = 0; n < kills; n += 1) {
      await new Promise((resolve) => setTimeout(resolve, (n * 411 + 300) % 1_600));
      await scene.crash();
      await scene.restart();
    }
    await expectToGoOn(scene, ...tasks);
    const done = tasks.flatMap(scene.doneOf);
    const sent = scene.sent();
    expect([...new Set(sent)].sort()).toEqual([...done].sort());
    // A message whose acceptance was lost; each kill can make one.
    expect(sent.length - done.length).toBeLessThanOrEqual(kills);
    const effects = scene.effects();
    expect([...new Set(effects)]).toEqual(effects);
    const silent = done.filter((name) => !effects.includes(name));
    for (const name of silent) expect(scene.requestsOf(name).map(lastOf).join()).toContain('was interrupted');
  });
});

/** Slots are 21 to 22 minutes away from now: none becomes due meanwhile on any machine, and the latest is late by 8 to 9. */
const everyHalfHour = () => ({ cron: `${(new Date().getUTCMinutes() + 22) % 30}-59/30 * * * *` });

describe('off and stopped', () => {
  scenario('eighteen hours off: one late run, none, or the newest ten, whatever dies meanwhile', async (scene) => {
    const cron = everyHalfHour();
    const latest = await scene.schedule('30m', cron);
    const skip = await scene.schedule('30m', { ...cron, misfire: 'skip' });
    const all = await scene.schedule('30m', { ...cron, misfire: 'all', overlap: 'queue' });
    await scene.daemon.kill('SIGTERM');
    const hoursMs = 18 * 3_600_000;
    scene.change(`UPDATE tasks SET next_at = next_at - ${hoursMs}`);
    await scene.restart();
    await eventually(() => scene.doneOf(all).length >= 3 || undefined, 'three of ten are made up for');
    await scene.crash();
    await scene.restart();
    await scene.settled();
    const fates = (task: typeof all) => scene.slotsOf(task).map(({ state, count }) => `${state} ${count}`);
    expect(fates(latest)).toEqual(['missed 35', 'done 1']);
    expect(fates(skip)).toEqual(['missed 36']);
    expect(fates(all)).toEqual(['missed 26', ...Array.from({ length: 10 }, () => 'done 1')]);
    for (const task of [latest, skip, all]) {
      expect(scene.nextAtOf(task)).toBe(task.firstAt);
      expectEachTimeOnce(scene, { ...task, firstAt: task.firstAt - hoursMs });
      const sent = scene.sent().filter((text) => text.startsWith(`${task.id}@`));
      expect([...new Set(sent)]).toEqual(scene.doneOf(task));
    }
    // Of one the acceptance may have been lost.
    expect(scene.sent().length).toBeLessThanOrEqual(12);
    expect([...new Set(scene.effects())]).toEqual(scene.effects());
    const told = (task: typeof all) => JSON.stringify(scene.requestsOf(scene.doneOf(task)[0])[0]?.body?.messages);
    expect(told(latest)).toContain('It is late: this machine was off, asleep or busy at the time. 35 earlier times');
    expect(told(all)).toContain('It is late: this machine was off, asleep or busy at the time. 26 earlier times');
  });

  scenario(
    'emergency stop: what is due starts nothing, also after a crash; then one slot is worked on',
    async (scene) => {
      // Nothing else becomes due meanwhile, on any machine.
      const task = await scene.schedule('60m');
      await scene.daemon.api('POST', '/api/stop', {});
      scene.change('UPDATE tasks SET next_at = next_at - 4200000');
      await scene.daemon.api('PATCH', `/api/tasks/${task.id}`, { title: 'Renamed, so that everybody looks' });
      await scene.crash();
      await scene.restart();
      await scene.daemon.api('PATCH', `/api/tasks/${task.id}`, { title: 'Renamed again' });
      expect(scene.slotsOf(task)).toEqual([]);
      await scene.daemon.api('POST', '/api/resume', {});
      await scene.slotThat(task, ({ state }) => state === 'done', 'is done');
      await scene.settled();
      expect(scene.slotsOf(task)).toHaveLength(1);
      expect(scene.nextAtOf(task)).toBe(task.firstAt - 600_000);
      expectEachDoneOnce(scene, task);
      expect(scene.model.requests).toHaveLength(2);
    },
  );

  scenario('emergency stop while a slot is worked on: it is cancelled, the series goes on after it', async (scene) => {
    scene.model.push(bash('echo started >> /workspace/held; sleep 600'));
    const task = await scene.schedule('2s');
    await eventually(() => scene.effects('held')[0], 'the tool works');
    await scene.daemon.api('POST', '/api/stop', {});
    await scene.slotThat(task, ({ state }) => state === 'cancelled', 'is cancelled');
    const stopped = scene.slotsOf(task).at(-1);
    await scene.crash();
    await scene.restart();
    expect(scene.slotsOf(task).at(-1)).toEqual(stopped);
    await scene.daemon.api('POST', '/api/resume', {});
    await expectToGoOn(scene, task);
    expectEachDoneOnce(scene, task);
  });
});

const stopped = inScene(async (scene) => {
  scene.model.push(bash('echo started >> /workspace/held; sleep 600'));
  const tasks = [await scene.schedule('2s'), await scene.schedule('2s', { check: CHECK })];
  await eventually(() => scene.effects('held')[0] && scene.effects('checks')[0], 'both work');
  writeFileSync(join(scene.home, 'groups/main/changed'), '');
  const askedAt = Date.now();
  scene.olgaSays('/stop');
  for (const task of tasks) await scene.slotThat(task, ({ state }) => state === 'cancelled', 'is cancelled');
  expect(Date.now() - askedAt).toBeLessThan(whenBusy(2_000));
  await expectToGoOn(scene, ...tasks);
  expect(scene.sent()[0]).toBe('Stopped.');
  expect(scene.sent().slice(1).sort()).toEqual(tasks.flatMap(scene.doneOf).sort());
});
// Alone: what it measures is not how long the others take.
test('/stop ends a tool and a check within two seconds, and their next slots come', stopped);
