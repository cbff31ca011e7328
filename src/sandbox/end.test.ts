import { expect, test } from 'vitest';
import { decideKill, type Seen } from './end.js';

const SECOND = 1_000_000_000;
const event = (Action: Seen['Action'], seconds: number, signal?: string): Seen => ({
  ...{ Action, timeNano: seconds * SECOND },
  Actor: { Attributes: { signal } },
});
const die = event('die', 100);

test.each<[string, ReturnType<typeof decideKill>, Seen[]]>([
  ['killed for memory', 'memory', [event('oom', 99.9), die]],
  ['the engine tells of it after the end', 'memory', [die, event('oom', 100.01)]],
  ['docker kill', 'outside', [event('kill', 99.9, '9'), die]],
  ['by the name of the signal, as Podman has it', 'outside', [event('kill', 99.9, 'SIGKILL'), die]],
  ['docker stop: a request first, then the kill', 'outside', [event('kill', 90, '15'), event('kill', 99.9, '9'), die]],
  ['docker kill after a program in it took too much', 'outside', [event('oom', 99), event('kill', 99.9, '9'), die]],
  ['long after a program in it took too much', 'unknown', [event('oom', 50), die]],
  ['a mere request ends nothing with 137', 'unknown', [event('kill', 99.9, '15'), die]],
  ['the kill of an end that was there before it', 'memory', [event('oom', 99.9), die, event('kill', 100.1, '9')]],
  ['an engine that says nothing', 'unknown', []],
  ['nothing but the end', 'unknown', [die]],
  ['no end: when it took too much is not known', 'unknown', [event('oom', 99.9)]],
])('%s: %s', (_name, cause, events) => {
  expect(decideKill(events)).toBe(cause);
});
