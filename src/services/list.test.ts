// services.json as its owner writes it, rightly and wrongly.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addService, readServices } from './list.js';
import { type ServicesHome, startHome } from './testing/home.js';

const API = { kind: 'http', url: 'https://api.example.com/v1', groups: ['main'] };
let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pinch-list-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const config = () => ({ home, groupsDir: join(home, 'groups'), dataDir: join(home, 'data') });
function read(content: object | string) {
  writeFileSync(join(home, 'services.json'), typeof content === 'string' ? content : JSON.stringify(content), {
    mode: 0o600,
  });
  return readServices(config());
}
const problem = (more: object) => read({ api: { ...API, ...more } }).problems[0]?.why;

test('the name of a server ends where that of its tool begins', () => {
  const server = { kind: 'mcp', groups: ['main'], command: ['x'] };
  const { servers, problems } = read({ a_b: server, a__b: server, c__d: { ...API, mcp: true } });
  expect(servers.map(({ name }) => name)).toEqual(['a_b']);
  expect(problems.map(({ name }) => name)).toEqual(['a__b', 'c__d']);
});

test('without a file there is none', () =>
  expect(readServices(config())).toEqual({ services: [], servers: [], problems: [] }));

test('an entry that would make the file too large to be read is not added', () => {
  read({
    api: {
      ...API,
      rules: Array.from({ length: 199 }, () => ({ method: '*', path: `/${'x'.repeat(1_270)}`, do: 'deny' })),
    },
  });
  const add = () => addService(config(), 'more', { ...API, description: 'd'.repeat(200) });
  expect(add).toThrow('it would be larger than 262144 bytes');
  expect(readServices(config()).services.map(({ name }) => name)).toEqual(['api']);
});

test('all that can be said', () => {
  const all = {
    ...API,
    ...{
      description: 'issues',
      auth: { bearer: 'TOKEN' },
      otherwise: 'deny',
      trusted: true,
      git: true,
      headers: ['X-Own'],
    },
    rules: [{ method: ['GET', 'PUT'], path: '/%61/**', query: { to: 'x*' }, do: 'allow', always: true }],
  };
  const { services, problems } = read({ api: all });
  expect(problems).toEqual([]);
  expect(services).toMatchObject([
    { name: 'api', headers: ['x-own'], rules: [{ method: ['GET', 'PUT'], path: '/a/**' }] },
  ]);
});

test.each([
  'http://127.0.0.1:8123',
  'http://192.168.1.5/x',
  'http://[::1]:80',
  'http://[fd00::1]/',
  'http://localhost:1',
  'https://nas.home',
  'http://100.64.0.1/',
])('%s is a place', (url) => expect(problem({ url })).toBeUndefined());

test.each([
  ['http://api.example.com', 'use https'],
  ['http://8.8.8.8', 'use https'],
  ['http://169.254.169.254', 'use https'],
  ['ftp://x', 'whole URL'],
  ['api.example.com', 'whole URL'],
  ['https://user:pw@x.example', 'user name'],
  ['https://:pw@x.example', 'user name'],
  ['https://x.example/?a=1', 'a query'],
  ['https://x.example/a%2fb', 'no call may have'],
])('%s is none', (url, why) => expect(problem({ url })).toContain(why));

test.each<[object, string]>([
  [{ kind: 'soap' }, 'the kinds are: http'],
  [{ auth: { bearer: 'ghp_abc123' } }, 'not the secret itself'],
  [{ auth: { bearer: 'A', header: ['a', 'B'] } }, 'use {"bearer": VAR}'],
  [{ groups: [] }, 'groups'],
  [{ groups: ['../x'] }, 'use the folder of a group'],
  [{ rule: [] }, 'rule'],
  [{ rules: [{ method: 'post', path: '/', do: 'ask' }] }, 'use a method in capitals'],
  [{ rules: [{ method: 'POST', path: '/a/../b', do: 'ask' }] }, 'this path is refused'],
  [{ rules: [{ method: 'POST', path: 'a', do: 'ask' }] }, 'must begin with /'],
  [{ rules: [{ method: 'POST', path: '/', do: 'maybe' }] }, 'rules[0].do'],
  [{ headers: ['Authorization'] }, 'never passed on'],
  [{ headers: ['X-HTTP-Method-Override'] }, 'never passed on'],
  [{ auth: { oauth2: { tokenUrl: 'https://a.example/t', clientId: 'x' } } }, 'authorizeUrl, or deviceUrl'],
  [{ auth: { oauth2: { deviceUrl: 'https://a.example/d', clientId: 'x' } } }, 'tokenUrl'],
  [
    { auth: { oauth2: { tokenUrl: 'http://a.example/t', authorizeUrl: 'https://a.example', clientId: 'x' } } },
    'https URL',
  ],
  [{ auth: { oauth2: {} } }, 'only an MCP server'],
  [{ mcp: true, auth: { oauth2: { clientId: 'x', clientSecret: 'TOKEN' } } }, 'issuer'],
  [{ mcp: true, auth: { oauth2: { clientId: 'x', clientSecret: 'sk-1234567890' } } }, 'name of a variable'],
  [{ mcp: true, auth: { oauth2: { clientMetadataUrl: 'http://a.example/me' } } }, 'https URL'],
])('%j is named with what to do', (more, why) => expect(problem(more)).toContain(why));

describe('the file', () => {
  test('with a comma too many is named with its line, and the others stay', () => {
    expect(read('{\n "a": {},\n}').problems).toMatchObject([
      { name: 'services.json', why: expect.stringMatching(/^line 3: .*docs\/services\.md/) },
    ]);
    expect(read({ api: API, bad: {}, 'Bad Name': API })).toMatchObject({
      services: [{ name: 'api' }],
      problems: [{ name: 'bad' }, { name: 'Bad Name' }],
    });
  });

  test('that others can change, or that lies where a container sees it, is not read', () => {
    read({ api: API });
    chmodSync(join(home, 'services.json'), 0o666);
    expect(readServices(config()).problems[0]?.why).toContain('other users can change it');
    rmSync(join(home, 'services.json'));
    mkdirSync(join(home, 'groups'));
    writeFileSync(join(home, 'groups', 'mine.json'), JSON.stringify({ api: API }), { mode: 0o600 });
    symlinkSync(join(home, 'groups', 'mine.json'), join(home, 'services.json'));
    expect(readServices(config())).toMatchObject({
      services: [],
      problems: [{ why: expect.stringContaining('which containers see') }],
    });
  });
});

describe('while Pinch works', () => {
  let running: ServicesHome;
  beforeEach(async () => {
    running = await startHome({ api: { ...API, auth: { bearer: 'LATER' } } });
  });
  afterEach(() => running.end());

  test('a change counts at once, a broken one turns them off and is told once', async () => {
    const names = () => running.module.forRun(running.group.id)?.map(({ name }) => name);
    expect(names()).toEqual(['api']);
    running.write('{');
    expect([names(), names()]).toEqual([[], []]);
    expect(running.notices).toEqual([expect.stringContaining('I cannot use your services: line 1')]);
    running.write({ other: API, api: API });
    expect(names()).toEqual(['other', 'api']);
  });

  test('a variable that is missing is named, and one that comes into .env counts', async () => {
    expect(await running.curl('-i', `${running.base}/api/`)).toContain('503 this service has no credential now');
    writeFileSync(join(running.home, '.env'), 'LATER="a\nb"');
    expect(await running.curl('-i', `${running.base}/api/`)).toContain('503');
    const why = running.serviceEvents().map(({ why }) => why);
    expect(why).toEqual(['LATER is not set', 'LATER has characters that no header takes']);
    writeFileSync(join(running.home, '.env'), 'LATER=abcdefgh1');
    running.write({ api: { ...API, url: 'http://127.0.0.1:1', auth: { bearer: 'LATER' } } });
    expect(await running.curl('-i', `${running.base}/api/`)).toContain('502');
  });

  test('the container is told what there is and what the rules are, nothing of place and credential', async () => {
    running.write({
      api: {
        ...API,
        description: 'issues',
        auth: { bearer: 'LATER' },
        rules: [{ method: 'POST', path: '/a/*', query: { x: '1' }, do: 'allow' }],
      },
    });
    const body = await running.curl('-d', '{}', `http://127.0.0.1:${running.port}/services/list`);
    expect(JSON.parse(body).text).toBe(
      'api: issues\n  http://127.0.0.1:8080/service/api/\n  allow POST /a/* with x=1\n  else: GET and HEAD are allowed, the rest asks the owner',
    );
    running.write({});
    expect(await running.curl('-d', '{}', `http://127.0.0.1:${running.port}/services/list`)).toContain('There is none');
  });
});
