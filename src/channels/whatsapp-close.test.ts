// What each end of a WhatsApp connection leads to. The texts and codes are those the real Baileys gives.
import { describe, expect, test } from 'vitest';
import { type Close, decideClose } from './whatsapp-close.js';

const close = (code: number | undefined, more: Partial<Close> = {}) =>
  decideClose({ code, message: '', failures: 1, wasReplaced: false, jitter: 0, ...more });

test.each<[name: string, code: number | undefined, more: Partial<Close>, expected: object]>([
  ['a restart is at once', 515, { failures: 9 }, { kind: 'retry', delayMs: 0, state: 'reconnecting' }],
  ['a removed device forgets its keys', 401, {}, { kind: 'forget', state: 'logged-out' }],
  ['a restricted account waits for a person', 402, {}, { kind: 'stop', state: 'blocked' }],
  ['a banned account waits for a person', 403, {}, { kind: 'stop', state: 'blocked' }],
  ['a locked account waits for a person', 406, {}, { kind: 'stop', state: 'blocked' }],
  ['an old client asks again slowly', 405, {}, { kind: 'retry', delayMs: 300_000, state: 'expired-version' }],
  ['another connection gets half a minute', 440, {}, { kind: 'retry', delayMs: 30_000, state: 'reconnecting' }],
  ['another connection, twice, is another program', 440, { wasReplaced: true }, { kind: 'stop', state: 'blocked' }],
  ['codes nobody scanned', 408, { message: 'QR refs attempts ended' }, { kind: 'stop', state: 'unlinked' }],
  ['no answer to the hello', 408, { message: 'Timed Out' }, { kind: 'retry', state: 'reconnecting' }],
  ['a silent server', 408, { message: 'Connection was lost' }, { kind: 'retry', state: 'reconnecting' }],
  ['a cut connection', 428, {}, { kind: 'retry', delayMs: 750, state: 'reconnecting' }],
  ['a busy server', 503, {}, { kind: 'retry', delayMs: 750, state: 'reconnecting' }],
  ['a nameless error', 500, {}, { kind: 'retry', delayMs: 750, state: 'reconnecting' }],
  ['an end without a reason', undefined, {}, { kind: 'retry', delayMs: 750, state: 'reconnecting' }],
  ['a code nobody knows', 999, {}, { kind: 'retry', delayMs: 750, state: 'reconnecting' }],
])('%s', (_name, code, more, expected) => {
  expect(close(code, more)).toMatchObject(expected);
});

describe('back-off', () => {
  const delays = (jitter: number) =>
    [1, 2, 3, 8, 9, 10, 1_000].map((failures) => {
      const next = close(428, { failures, jitter });
      return next.kind === 'retry' ? next.delayMs : next.kind;
    });

  test('doubles from 1 s to 5 min, however often it failed', () => {
    expect(delays(1)).toEqual([1_000, 2_000, 4_000, 128_000, 256_000, 300_000, 300_000]);
  });

  test('takes up to a quarter off, so that many devices do not come back at once', () => {
    expect(delays(0)).toEqual([750, 1_500, 3_000, 96_000, 192_000, 225_000, 225_000]);
  });
});

test.each([
  [401, /link it again.*pinch -- pair/],
  [402, /open WhatsApp on the phone.*restart Pinch/],
  [403, /open WhatsApp on the phone.*restart Pinch/],
  [405, /update Pinch.*WHATSAPP_VERSION/],
  [406, /open WhatsApp on the phone.*restart Pinch/],
])('%i says what to do', (code, words) => {
  expect(close(code).detail).toMatch(words);
});

test('another program and an unused code say what to do', () => {
  expect(close(440, { wasReplaced: true }).detail).toMatch(/stop it, then restart Pinch/);
  expect(close(408, { message: 'QR refs attempts ended' }).detail).toMatch(/pinch -- pair/);
});
