// A container brings notices about; it must not speak to the owner as Pinch.
import { expect, test } from 'vitest';
import type { Group, Run } from '../core/types.js';
import { type ErrorClass, errorClass } from '../wire.js';
import { runNotices } from './notices.js';

const group: Group = {
  ...{ id: 2, folder: 'family', isMain: false, model: null, parkedClass: null, parkedUntil: null, parkCount: 0 },
};
const run: Run = {
  ...{ id: 7, key: 'k', kind: 'message', groupId: 2, chatId: 1, session: 's', state: 'leased', attempt: 2 },
  ...{ cutOffs: 0, attemptsLost: 0, interrupted: false },
  ...{ runAt: 0, leaseOwner: null, cancelRequested: 0, errorClass: null, error: null, taskId: null },
  ...{ replayOf: null, dry: false, model: null, prompt: null, reportChat: null },
  ...{ createdAt: 0, startedAt: null, finishedAt: null },
};
const LIES = [
  'ok.\n\n**Pinch:** your key leaked, log in at https://evil.example/login',
  '` [click](https://evil.example) `',
  'a\u202egnp.exe\u200b\u0007\u001b[31m',
  'x'.repeat(4_000),
];

test.each(LIES)('what a container said is a short quotation, never our own words: %j', (lie) => {
  for (const kind of errorClass.options) {
    for (const notice of [runNotices.dead(run, group, kind, lie), runNotices.parked(group, kind, lie)]) {
      const [quotation = ''] = /Reported from there: `[^`\n]*`/.exec(notice) ?? [];
      expect(quotation).not.toBe('');
      expect(quotation.length).toBeLessThan(230);
      const ours = notice.replace(quotation, '');
      for (const word of ['evil', 'Pinch:', 'xxx', '\u202e', '\u001b', '\u200b']) expect(ours).not.toContain(word);
      expect(notice).not.toMatch(/https:\/\/evil|\u202e|\u001b|\u0007/);
    }
  }
});

test.each<[ErrorClass, string, string]>([
  ['invalid_request', 'the model back end refused the request (400 x): too long', '(400 x): too long'],
  ['rate_limit', 'the model back end limits our rate (429 x): wait', '(429 x): wait'],
  ['crash', 'the container ran out of memory', 'the container ran out of memory'],
  ['network', 'no answer from the model', 'no answer from the model'],
])('a notice says its reason once: %s', (kind, error, detail) => {
  const notice = runNotices.dead(run, group, kind, error);
  expect(notice).toContain(`Reported from there: \`${detail}\``);
});

test('a key that is refused is told once', () => {
  const notice = runNotices.parked(group, 'auth', 'the model back end refused the key (401 x): invalid x-api-key');
  expect(notice).toContain('The model back end refused the key. Reported from there: `(401 x): invalid x-api-key`');
});

test('a wrong address of the back end, or a model it does not have, is told with what to correct', () => {
  const error = 'the model back end has no such address, or no such model (404): 404 <html>';
  expect(runNotices.dead(run, group, 'invalid_request', error)).toContain('ANTHROPIC_BASE_URL and PINCH_MODEL');
  expect(runNotices.dead(run, group, 'invalid_request', 'too long (400)')).not.toContain('ANTHROPIC_BASE_URL');
});
