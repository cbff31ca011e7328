// What one container can make the host hold and do, and that the others are not kept waiting by it.
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { beforeEach, expect, test } from 'vitest';
import { createBounds } from './bounds.js';

const MIB = 1024 * 1024;
let now: number;
let newLink: ReturnType<typeof createBounds>;
beforeEach(() => {
  now = 1_000;
  newLink = createBounds(() => now);
});

const response = () => new ServerResponse(new IncomingMessage(new Socket()));
/** MiB that a link gets, one at a time. */
function fill(link: ReturnType<typeof newLink>, most = 200): number {
  const room = link.room(response());
  let got = 0;
  while (got < most && room.take(MIB)) got += 1;
  return got;
}

test('one link holds 48 MiB, all of them 96, and each has its first one whatever the others do', () => {
  const links = Array.from({ length: 4 }, newLink);
  expect(links.map((link) => fill(link))).toEqual([48, 48, 1, 1]);
});

test('what a call held is free when it is over, however it ends', () => {
  const link = newLink();
  const open = response();
  expect(link.room(open).take(48 * MIB)).toBe(true);
  expect(fill(link)).toBe(0);
  open.emit('close');
  open.emit('close');
  expect(fill(link)).toBe(48);
});

test('calls come 200 at once and 50 in a second after that; the report of a run has its own', () => {
  const link = newLink();
  const admitted = () => Array.from({ length: 500 }, () => link.admit('call')).filter(Boolean).length;
  expect(admitted()).toBe(200);
  now += 1_000;
  expect(admitted()).toBe(50);
  expect([link.admit('finish'), link.admit('history')]).toEqual([true, true]);
  // A clock that is set back gives and takes nothing.
  now -= 500_000;
  expect(admitted()).toBe(0);
  now += 1_000;
  expect(admitted()).toBe(50);
});

test('a flood of refusals is worth one line a minute, and does not hide those of another kind', () => {
  const link = newLink();
  const lines = (kind: string) => Array.from({ length: 100 }, () => link.worthNoting(kind)).filter(Boolean).length;
  expect([lines('too_many_calls'), lines('too_many_calls'), lines('forbidden'), lines('forbidden')]).toEqual([
    1, 0, 1, 0,
  ]);
  now += 60_000;
  expect(lines('too_many_calls')).toBe(1);
});
