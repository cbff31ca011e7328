// A rule must mean the same path as the server behind it: whatever two programs could read in two ways is refused.
import { describe, expect, test } from 'vitest';
import { whenBusy } from '../../test/limits.js';
import { decideCall, type Rule, type ServiceRules } from './decide.js';
import { readTarget, type Target } from './path.js';

const refused = [
  ...[
    '/..',
    '/../',
    '/a/..',
    '/a/../b',
    '/./a',
    '/a/.',
    '/a/./b',
    '/...',
    '/a/.../b',
    '/a.',
    '/a./b',
    '/.%2e/a',
    '/%2e./a',
  ],
  ...[
    '/%2e',
    '/%2e%2e',
    '/%2E%2e/a',
    '/%2e%2e%2fadmin',
    '/a%2fb',
    '/a%2Fb',
    '/a%5cb',
    '/a%5Cb',
    '/a\\b',
    '/\\..\\a',
    '/a/..%5cb',
  ],
  ...[
    '/%252e%252e',
    '/a%252fb',
    '/%25',
    '/%2525',
    '/%c0%af',
    '/%c0%ae%c0%ae',
    '/%e0%80%af',
    '/%f0%80%80%af',
    '/%fc%80%80%80%80%af',
  ],
  ...[
    '/%ff',
    '/%80',
    '/%c3',
    '/%ed%a0%80',
    '/%',
    '/a%2',
    '/a%zz',
    '/a%u002f',
    '/%00',
    '/a%00.json',
    '/a%0a',
    '/a%0d%0a',
    '/a%09',
    '/%7f',
  ],
  ...[
    '//',
    '//a',
    '/a//b',
    '/a//',
    '//evil.example/a',
    '/a;b',
    '/a;/b',
    '/..;/a',
    '/a%3bb',
    '/a%3Bx=1/b',
    '/a b',
    '/a\tb',
    '/a\u0000b',
  ],
  ...[
    '/ä',
    '/a\u2028',
    '/a"b',
    '/a<b',
    '/a^b',
    '/a`b',
    '/a{b}',
    '/a|b',
    '/a#b',
    '/a[b]',
    'a',
    '@evil.example/',
    ':80/a',
    '.evil.example/a',
  ],
  ...[
    '/%ef%bc%8e%ef%bc%8e/a',
    '/a%ef%bc%8fb',
    '/a%e2%80%8bb',
    '/a%e2%80%aeb',
    '/a%20',
    '/%20a',
    '/a%20/b',
    '/a%c2%a0',
    '/%ef%bc%85',
  ],
  `/${'a'.repeat(2_048)}`,
  ...[
    '/?a=%',
    '/?a=%zz',
    '/?a=%00',
    '/?a=%c0%af',
    '/?a=ä',
    '/?a=b c',
    '/?a=b#c',
    '/?a=b;c=d',
    '/?a=<b>',
    `/?${'a'.repeat(8_193)}`,
  ],
  ...[
    '/?_method=DELETE',
    '/?_METHOD=PUT',
    '/?%5fmethod=PUT',
    '/?a=1&_method=PUT',
    '/?_method[]=PUT',
    '/?X-HTTP-Method-Override=PUT',
    '/?http_method=x',
  ],
];

test(`evasions of paths and queries are refused (${refused.length})`, () => {
  expect(refused.length).toBeGreaterThan(100);
  expect(refused.filter((text) => !('refused' in readTarget(text)))).toEqual([]);
});

test.each([
  ['', '/'],
  ['?a=1', '/'],
  ['/a/b-c_d~e.json', '/a/b-c_d~e.json'],
  ['/%41%62/%7e%2d', '/Ab/~-'],
  ['/users/me%3Adelete', '/users/me:delete'],
  ['/%21room%3aserver/%23x%3f', '/!room:server/%23x%3F'],
  ['/caf%c3%a9/%e4%bd%a0', '/caf%C3%A9/%E4%BD%A0'],
  ['/a/', '/a/'],
  ['/a%20b', '/a%20b'],
  ['/.well-known/x', '/.well-known/x'],
])('%s is %s', (text, path) => {
  expect(readTarget(text)).toMatchObject({ path });
});

const rule = (method: string, path: string, effect: Rule['do'], more: Partial<Rule> = {}): Rule => ({
  ...{ method: [method], path, do: effect },
  ...more,
});
function target(text: string): Target {
  const read = readTarget(text);
  if ('refused' in read) throw new Error(`${text}: ${read.refused}`);
  return read;
}
const decide = (service: Partial<ServiceRules>, call: string, tainted = false) => {
  const [method = '', path = ''] = call.split(' ');
  return decideCall({ rules: [], ...service }, method, target(path), tainted).do;
};

describe('without a rule', () => {
  test.each([
    ['GET /a', 'allow'],
    ['HEAD /a', 'allow'],
    ['OPTIONS /a', 'ask'],
    ['POST /a', 'ask'],
    ['DELETE /a', 'ask'],
    ['PROPFIND /a', 'ask'],
    ['get /a', 'ask'],
  ])('%s: %s', (call, verdict) => expect(decide({}, call)).toBe(verdict));
  test('`otherwise` says it for all', () => {
    expect(decide({ otherwise: 'deny' }, 'GET /a')).toBe('deny');
    expect(decide({ otherwise: 'deny', rules: [rule('GET', '/a', 'allow')] }, 'GET /a')).toBe('allow');
  });
});

describe('rules', () => {
  const rules = [
    rule('*', '/admin/**', 'deny'),
    rule('POST', '/issues', 'allow'),
    rule('GET', '/mail/*', 'ask'),
    rule('GET', '/**/secret', 'deny'),
    rule('POST', '/v1/*/items:search', 'allow', { always: true }),
    rule('POST', '/send', 'deny', { query: { to: '*@evil.example' } }),
    rule('POST', '/send', 'allow', { query: { to: '*@example.com' } }),
    rule('*', '/a/b:delete', 'deny'),
  ];
  test.each([
    ['GET /admin', 'deny'],
    ['GET /admin/', 'deny'],
    ['GET /ADMIN/x', 'deny'],
    ['GET /%41dmin/x/y', 'deny'],
    ['GET /administration', 'allow'],
    ['POST /issues', 'allow'],
    ['POST /issues/', 'ask'],
    ['POST /Issues', 'ask'],
    ['POST /issues/1', 'ask'],
    ['GET /mail/1', 'ask'],
    ['GET /mail/1/', 'ask'],
    ['GET /mail/1/2', 'allow'],
    ['GET /x/y/secret', 'deny'],
    ['GET /secret', 'deny'],
    ['GET /x/Secret/', 'deny'],
    ['POST /v1/abc/items:search', 'allow'],
    ['POST /v1/a/b/items:search', 'ask'],
    ['GET /a/b%3Adelete', 'deny'],
    ['POST /send?to=x@evil.example', 'deny'],
    ['POST /send?to=x@EVIL.example', 'deny'],
    ['POST /send?to=%78%40evil.example', 'deny'],
    ['POST /send?to=x@example.com', 'allow'],
    ['POST /send?to=x@Example.com', 'ask'],
    ['POST /send', 'ask'],
    ['POST /send?to=x@example.com&to=y@evil.example', 'refuse'],
    ['POST /send?to=x@example.com&TO=y@evil.example', 'refuse'],
    ['POST /send?to=x@example.com&to[]=y', 'refuse'],
    ['POST /send?to[0]=x@example.com', 'refuse'],
    ['POST /send?%20to=x@example.com', 'refuse'],
    ['GET /other?to=x&to=y', 'allow'],
  ])('%s: %s', (call, verdict) => expect(decide({ rules }, call)).toBe(verdict));

  test('the strictest of those that fit counts, in any order', () => {
    const [allow, ask, deny] = (['allow', 'ask', 'deny'] as const).map((one) => rule('POST', '/x/**', one));
    for (const some of [
      [allow, ask, deny],
      [deny, ask, allow],
    ]) {
      expect(decide({ rules: some.flatMap((one) => one ?? []) }, 'POST /x/1')).toBe('deny');
      expect(decide({ rules: some.flatMap((one) => (one && one.do !== 'deny' ? [one] : [])) }, 'POST /x/1')).toBe(
        'ask',
      );
    }
  });

  test('in a tainted container what writes asks, unless its rule counts always', () => {
    expect(decide({ rules }, 'POST /issues', true)).toBe('ask');
    expect(decide({ rules }, 'POST /v1/abc/items:search', true)).toBe('allow');
    expect(decide({ rules }, 'GET /x', true)).toBe('allow');
    expect(decide({ otherwise: 'allow' }, 'DELETE /x', true)).toBe('ask');
    expect(decide({ git: true }, 'POST /a.git/git-upload-pack', true)).toBe('allow');
    expect(decide({ git: true }, 'POST /a.git/git-receive-pack')).toBe('ask');
    expect(decide({}, 'POST /a.git/git-upload-pack')).toBe('ask');
  });

  test('a long path does not hold the process', () => {
    const began = performance.now();
    const slow = [rule('GET', '/**/a*a*a*a*a*b/**/x/**/y', 'allow'), rule('GET', `/${'a*'.repeat(50)}b`, 'allow')];
    expect(decide({ rules: slow, otherwise: 'ask' }, `GET /${'a'.repeat(1_000)}${'/a'.repeat(500)}`)).toBe('ask');
    expect(performance.now() - began).toBeLessThan(whenBusy(1_000));
  });
});
