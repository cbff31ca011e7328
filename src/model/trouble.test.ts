import { expect, test } from 'vitest';
import { connectionTrouble, troubleOf } from './trouble.js';

test.each([
  ['ECONNREFUSED', 'refuses the connection'],
  ['ENOTFOUND', 'name cannot be found'],
  ['EAI_AGAIN', 'name cannot be found'],
  ['EHOSTUNREACH', 'no way to it'],
  ['ETIMEDOUT', 'no way to it'],
  ['ECONNRESET', 'broke off'],
  ['CERT_HAS_EXPIRED', 'certificate'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'certificate'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'certificate'],
  ['EPROTO', 'no secure connection'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'no secure connection'],
  ['HPE_INVALID_CONSTANT', 'does not speak HTTP'],
  ['EWHATEVER', 'the connection failed (EWHATEVER)'],
  [undefined, 'the connection failed'],
])('%s: %s', (code, words) => {
  expect(connectionTrouble(code)).toContain(words);
  if (code) expect(connectionTrouble(code)).toContain(`(${code})`);
});

type Call = Parameters<typeof troubleOf>[0];
const whole: Call = { status: 200, error: undefined, isOver: false, complete: true, callerLeft: false };
test.each<[string, Partial<Call>, string | null | undefined]>([
  ['a whole answer', {}, undefined],
  ['one that its caller did not wait for', { complete: false, callerLeft: true }, null],
  ['one that breaks off', { complete: false }, 'breaks off'],
  ['one cut by the connection', { complete: false, callerLeft: true, error: 'it broke off' }, 'it broke off'],
  ['our own end of a call that was left', { status: 499, complete: false, callerLeft: true }, null],
  ['a limit', { status: 429, isOver: true }, '429'],
  ['missing money', { status: 429 }, null],
  ['overloaded', { status: 529, isOver: true }, 'overloaded'],
  ['overloaded by its own word', { status: 500, isOver: true }, 'overloaded'],
  ['overloaded in the middle', { complete: false, isOver: true }, 'overloaded'],
  ['down', { status: 503 }, '503'],
  ['broken', { status: 500 }, 'broken'],
  ['a gateway before it', { status: 504 }, '504'],
  ['a time-out of a proxy', { status: 408, complete: false }, '408'],
  ['no room for now', { status: 498, complete: false }, '498'],
  ['an answer of nothing', { status: 204, complete: false }, 'none'],
  ['what changed since nobody knows when', { status: 304, complete: false }, 'none'],
  ['a key that is refused', { status: 401, complete: false }, null],
  ['a wrong address or model', { status: 404, complete: false }, null],
  ['a request that is refused', { status: 400, complete: false }, null],
])('%s', (_name, call, why) => {
  const trouble = troubleOf({ ...whole, ...call });
  if (why === null) expect(trouble).toBeUndefined();
  else if (why === undefined) expect(trouble).toEqual({ why: undefined });
  else expect(trouble?.why).toContain(why);
});
