// What the supervisor of the engine tells, and how often it asks.
import { EventEmitter } from 'node:events';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import type { Signals } from '../core/signals.js';
import { createSupervisor } from './supervisor.js';

function scene() {
  const clock = createFakeClock();
  const notices = new Map<string, string>();
  const signals: Signals = new EventEmitter();
  const asked: number[] = [];
  const supervisor = createSupervisor({
    ...{ clock, signals, log: pino({ level: 'silent' }) },
    notifyOwner: (key, text) => void notices.set(key, text),
    // It answers whenever it is asked.
    sandbox: {
      start: async () => expect.unreachable(),
      ping: async () => void asked.push(clock.now()),
      reap: async () => 0,
    },
  });
  return { clock, notices, signals, supervisor, asked };
}

test('an engine that answers when it is asked and fails whenever it has to work is told once, and asked ever less', async () => {
  const { clock, notices, signals, supervisor, asked } = scene();
  signals.on('run:ready', () => supervisor.reportDown(new Error('cannot start')));
  supervisor.reportDown(new Error('cannot start'));
  await clock.advance(50_000);
  expect(notices.size).toBe(0);
  await clock.advance(250_000);
  expect([...notices.values()]).toEqual([expect.stringContaining('cannot start')]);
  expect(asked.length).toBeLessThan(30);
});

test('an outage long after another one is a new one', async () => {
  const { clock, notices, supervisor, asked } = scene();
  for (let n = 0; n < 5; n++) {
    supervisor.reportDown(new Error('gone'));
    await clock.advance(600_000);
  }
  expect([notices.size, asked.length]).toEqual([0, 5]);
});
