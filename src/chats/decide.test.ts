import { describe, expect, test } from 'vitest';
import { startOfDay } from '../core/day.js';
import { backoffMs, decideFailure } from '../runs/retry.js';
import { folderProblem, parseCommand, parseRegistration } from './command-words.js';
import { decideRoute, mentionsName, type RouteInput } from './route.js';

describe('the trigger', () => {
  test.each([
    ['@Pinch hello', true],
    ['hello @pinch', true],
    ['hey @PINCH!', true],
    ['so, @Pinch.', true],
    ['(@Pinch)', true],
    ['@Pinch, are you there?', true],
    ["@Pinch's turn", true],
    ['two\n@Pinch\nlines', true],
    ['a@Pinch.example', false],
    ['@Pinchy', false],
    ['@Pinch.example', false],
    ['@Pinch_2', false],
    ['@Pinch-bot', false],
    ['x@Pinch', false],
    ['@@Pinch', false],
    ['done.@Pinch next', true],
    ['@Pinché', false],
    ['Pinch', false],
    ['', false],
  ])('%j → %s', (text, expected) => {
    expect(mentionsName(text, 'Pinch')).toBe(expected);
  });

  test('a name with pattern characters is only itself', () => {
    expect(mentionsName('@C-3PO hi', 'C-3PO')).toBe(true);
    expect(mentionsName('@Cx3PO hi', 'C-3PO')).toBe(false);
  });
});

describe('the router', () => {
  const base: RouteInput = {
    text: 'hello',
    addressesAssistant: false,
    forwarded: false,
    sender: { address: '7', username: 'anna_x', isOwner: false },
    chat: { kind: 'group', groupId: 1, sendersPolicy: 'all', listedSenders: [] },
    assistantName: 'Pinch',
  };
  const chat = (change: Partial<RouteInput['chat']>) => ({ chat: { ...base.chat, ...change } });
  const listed = (...listedSenders: string[]) => chat({ sendersPolicy: 'listed', listedSenders });
  const called = (change: Partial<RouteInput['sender']>) => ({ sender: { ...base.sender, ...change } });
  const owner = { sender: { ...base.sender, isOwner: true } };
  test.each<[string, Partial<RouteInput>, string]>([
    ['a stranger writes directly', chat({ kind: 'direct', groupId: null }), 'ignore'],
    ['an unregistered group names us', { text: '@Pinch hi', ...chat({ groupId: null }) }, 'ignore'],
    ['a stranger sends a command', { text: '/status', ...chat({ groupId: null }) }, 'ignore'],
    [
      'the owner sends a command in an unregistered group',
      { text: '/register family', ...chat({ groupId: null }), ...owner },
      'command',
    ],
    ['untriggered talk in a registered group', {}, 'context'],
    ['a mention by name', { text: 'well @pinch?' }, 'trigger'],
    ['a reply to the assistant', { addressesAssistant: true }, 'trigger'],
    ['a registered direct chat needs no trigger', chat({ kind: 'direct' }), 'trigger'],
    ['a member may ask for help', { text: '/help' }, 'command'],
    ['a member may not stop', { text: '@Pinch /stop', addressesAssistant: true }, 'trigger'],
    ['the owner stops with the name in front', { text: '@Pinch, /stop', ...owner }, 'command'],
    [
      'an unlisted sender',
      { text: '@Pinch hi', ...chat({ sendersPolicy: 'listed', listedSenders: ['Ben'] }) },
      'context',
    ],
    [
      'a sender listed by user name',
      { text: '@Pinch hi', ...chat({ sendersPolicy: 'listed', listedSenders: ['@Anna_X'] }) },
      'trigger',
    ],
    ['a listed id', { text: '@Pinch hi', ...chat({ sendersPolicy: 'listed', listedSenders: ['7'] }) }, 'trigger'],
    ['a user name without its sign', { text: '@Pinch hi', ...listed('anna_x') }, 'context'],
    ['a user name like a listed id', { text: '@Pinch hi', ...listed('55'), ...called({ username: '55' }) }, 'context'],
    [
      'an id like a listed user name',
      { text: '@Pinch hi', ...listed('@ben'), ...called({ address: '@ben' }) },
      'context',
    ],
    ['an id that is only a name', { text: '@Pinch hi', ...listed('7'), ...called({ isNameOnly: true }) }, 'context'],
    [
      'a forwarded command of the owner',
      { text: '/stop', forwarded: true, ...chat({ kind: 'direct' }), ...owner },
      'trigger',
    ],
    [
      'a forwarded call in a group',
      { text: '@Pinch /stop', forwarded: true, addressesAssistant: true, ...owner },
      'context',
    ],
    ['a forwarded pairing', { text: '/pair A', forwarded: true, ...chat({ kind: 'direct', groupId: null }) }, 'ignore'],
    ['the owner is always listed', { text: '@Pinch hi', ...chat({ sendersPolicy: 'listed' }), ...owner }, 'trigger'],
    ['a path is no command', { text: '/etc/passwd is a file', ...chat({ kind: 'direct' }), ...owner }, 'trigger'],
    ['a pairing code in a direct chat', { text: '/pair ABC', ...chat({ kind: 'direct', groupId: null }) }, 'pair'],
    ['a pairing code in a group', { text: '/pair ABC', ...chat({ groupId: null }) }, 'ignore'],
  ])('%s', (_name, change, kind) => {
    expect(decideRoute({ ...base, ...change }).kind).toBe(kind);
  });
});

describe('commands', () => {
  test.each([
    ['/status', 'status', ''],
    ['/start', 'help', ''],
    ['/REGISTER  family listed Anna ', 'register', 'family listed Anna'],
    ['/stop\nnow', 'stop', 'now'],
  ])('%j', (text, name, argument) => {
    expect(parseCommand(text)).toMatchObject({ name, argument });
  });
  test.each(['status', '/statusx', '/', '//help', '/unknown'])('%j is no command', (text) => {
    expect(parseCommand(text)).toBeUndefined();
  });
  test.each([
    '',
    '..',
    '../x',
    'a/b',
    'Family',
    '.x',
    'global',
    'x'.repeat(41),
    'ä',
    'a b/..',
  ])('folder %j is refused', (folder) => {
    expect(folderProblem(folder)).toBeTypeOf('string');
  });
  test('a registration may list people', () => {
    expect(parseRegistration('family listed Anna @ben')).toEqual({
      ok: true,
      folder: 'family',
      sendersPolicy: 'listed',
      listed: ['Anna', '@ben'],
    });
    expect(parseRegistration('family some')).toMatchObject({ ok: false });
  });
});

describe('after a failed attempt', () => {
  const failure = { errorClass: 'network' as const, attempt: 1, retryAfterMs: undefined, parkCount: 0, jitter: 1 };
  test('a network that is gone for hours does not kill a run', () => {
    let waited = 0;
    for (let attempt = 1; attempt < 20; attempt++) {
      const decision = decideFailure({ ...failure, attempt, jitter: 0 });
      if (decision.kind !== 'retry') throw new Error('gave up');
      waited += decision.delayMs;
    }
    expect(waited).toBeGreaterThan(3 * 3_600_000);
    expect(decideFailure({ ...failure, attempt: 20 })).toEqual({ kind: 'bury' });
  });
  test('retry-after is kept, a lost engine costs no attempt, a wrong key parks', () => {
    expect(decideFailure({ ...failure, errorClass: 'rate_limit', retryAfterMs: 90_000 })).toEqual({
      kind: 'retry',
      delayMs: 90_000,
      counted: true,
    });
    expect(decideFailure({ ...failure, errorClass: 'sandbox', attempt: 999 })).toMatchObject({
      kind: 'retry',
      counted: false,
    });
    expect(decideFailure({ ...failure, errorClass: 'auth' })).toEqual({ kind: 'park', delayMs: 15_000 });
    expect(decideFailure({ ...failure, errorClass: 'auth', parkCount: 30 })).toEqual({
      kind: 'park',
      delayMs: 120_000,
    });
  });
  test('back-off grows from 5 s to 30 min', () => {
    expect([1, 2, 3, 9, 10, 99].map((attempt) => backoffMs(attempt, 1))).toEqual([
      5_000, 10_000, 20_000, 1_280_000, 1_800_000, 1_800_000,
    ]);
  });
});

test.each([
  ['2026-11-21T10:00:00Z', 'Europe/Berlin', '2026-11-20T23:00:00Z'],
  ['2026-03-29T12:00:00Z', 'Europe/Berlin', '2026-03-28T23:00:00Z'],
  ['2026-10-25T12:00:00Z', 'Europe/Berlin', '2026-10-24T22:00:00Z'],
  ['2026-11-21T10:00:00Z', 'Asia/Kathmandu', '2026-11-20T18:15:00Z'],
  ['2026-11-21T00:00:00Z', 'UTC', '2026-11-21T00:00:00Z'],
])('the day of %s in %s began at %s', (now, zone, start) => {
  expect(new Date(startOfDay(Date.parse(now), zone)).toISOString()).toBe(new Date(start).toISOString());
});
