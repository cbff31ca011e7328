// The doctor in a process of its own: what it finds, and what is said when it cannot look.
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { systemClock as clock } from '../core/clock.js';
import type { Signals } from '../core/signals.js';
import { createDoctor } from './doctor-apart.js';

async function examinedBy(program: string) {
  const signals: Signals = new EventEmitter();
  const doctor = createDoctor({ clock, signals }, ['-e', program]);
  const over = new Promise<void>((resolve) => signals.once('daemon', () => resolve()));
  doctor.look();
  // Twice at once is once.
  doctor.look();
  expect(doctor.state()).toMatchObject({ isLooking: true, lookedAt: null });
  await over;
  return doctor.state();
}

const finding = { check: 'disk', state: 'failure', detail: 'full', fix: 'make room' };

test('what it finds is there when it is over, also when something is wrong', async () => {
  const program = `console.log(${JSON.stringify(JSON.stringify([finding]))}); process.exitCode = 1`;
  expect(await examinedBy(program)).toMatchObject({ isLooking: false, findings: [finding], problem: null });
});

test.each([
  ['it ends in the middle', 'process.exit(3)'],
  ['it says something else', 'console.log("hello")'],
  ['it fails and says nothing', 'process.exitCode = 1'],
])('%s: that is said', async (_name, program) => {
  expect(await examinedBy(program)).toMatchObject({
    isLooking: false,
    findings: [],
    problem: expect.stringMatching(/./),
  });
});
