// Whose a process is: a program may leave its group, its parent and its environment, and lie about all but the first.
import { expect, test } from 'vitest';
import { ownerOf, type Process } from './process-owner.js';

const known = {
  runner: 7,
  jobs: new Map([
    [100, 'chat1-1'],
    [200, 'chat2-1'],
  ]),
  markOf: (session: string) => `PINCH_SESSION=m-${session}`,
  beganAt: 50,
};
const one = (pid: number, parent: number, kernelSession: number, more: Partial<Process> = {}): Process => ({
  ...{ pid, parent, kernelSession, startedAt: 60, environment: '\0PATH=/bin\0' },
  ...more,
});
const marked = (session: string) => ({ environment: `\0A=b\0${known.markOf(session)}\0` });
const machine = [
  one(1, 0, 1, { startedAt: 1 }),
  one(7, 1, 7, { startedAt: 2 }),
  one(100, 7, 100, marked('chat1-1')),
  one(200, 7, 200, marked('chat2-1')),
  one(210, 200, 210),
];

test.each([
  ['the job itself', one(100, 7, 100), 'ours'],
  ['what it started', one(101, 100, 100), 'ours'],
  ['what lost its parent', one(102, 1, 100), 'ours'],
  ['what made a session of its own below it', one(103, 100, 103), 'ours'],
  ['what left both and kept its environment', one(104, 1, 104, marked('chat1-1')), 'ours'],
  ['what left all three', one(105, 1, 105), 'unknown'],
  ['what left both and claims to be of another session', one(106, 1, 106, marked('chat2-1')), 'unknown'],
  ['what left both and names a session that begins like ours', one(107, 1, 107, marked('chat1-10')), 'unknown'],
  ['the job of another session', one(200, 7, 200), 'others'],
  ['what that started, with a session of its own', one(211, 210, 211), 'others'],
  ['what was there before', one(108, 1, 108, { startedAt: 40 }), 'others'],
  ['the reader of the runner', one(109, 7, 7), 'others'],
])('%s', (_name, process, owner) => {
  const all = new Map([...machine, process].map((each) => [each.pid, each]));
  expect(ownerOf(process, all, 'chat1-1', known)).toBe(owner);
});
