// What `npm run skill` does to the owner's services.json: adds an entry, takes the same entry away again, and touches nothing else.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HANG_MS } from './limits.js';
import { cleanEnvironment, createSmallRepository, type Repository, skillFiles } from './skills/repository.js';

let repository: Repository;
let home: string;
let file: string;

const URL_ENV = { name: 'CAL_URL', how: 'where it is', secret: false, example: 'https://cal.example/olga/' };
const PASSWORD = { name: 'CAL_PASSWORD', how: 'an app password', secret: true };
const TEMPLATE = { kind: 'http', url: '<CAL_URL>', auth: { basic: ['CAL_USER', 'CAL_PASSWORD'] }, groups: ['main'] };
const ENTRY = { ...TEMPLATE, url: 'https://cal.example/olga/' };
const skill = (services: object, env: object[] = [URL_ENV, PASSWORD]) =>
  skillFiles('add-cal', { files: { 'a.md': 'docs/cal.md' }, env, services }, { 'a.md': 'how\n' });

beforeEach(() => {
  repository = createSmallRepository(skill({ cal: TEMPLATE }));
  home = join(repository.root, '..', 'home');
  file = join(home, 'services.json');
  mkdirSync(home);
});
afterEach(() => repository.close());

const run = (verb: string, env: Record<string, string> = {}) =>
  repository.skill([verb, 'add-cal', '--yes', '--no-install'], { PINCH_HOME: home, ...env });
const apply = (env: Record<string, string> = { CAL_URL: ENTRY.url }) => run('apply', env);
const read = () => JSON.parse(readFileSync(file, 'utf8'));

describe('apply and remove', () => {
  test('the entry comes with what the owner gave, readable for nobody else, and the file goes with it', () => {
    const { code, stdout, stderr } = apply();
    expect({ code, list: read(), mode: statSync(file).mode & 0o777 }).toEqual({
      code: 0,
      list: { cal: ENTRY },
      mode: 0o600,
    });
    expect(stdout).toContain(`service         cal, in ${file}`);
    expect(stdout).toContain('+    "url": "https://cal.example/olga/",');
    expect(stderr).toContain('Put CAL_PASSWORD into .env: an app password');
    expect(stderr).not.toContain('CAL_URL');
    expect(run('remove')).toMatchObject({ code: 0 });
    expect({ home: readdirSync(home), status: repository.status() }).toEqual({ home: [], status: '' });
  });

  test('without what it needs there is no entry, and the same command adds it later', () => {
    const first = apply({});
    expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining('Applied: add-cal') });
    expect(first.stderr).toContain(
      'The service "cal" is not in services.json yet: put CAL_URL (where it is, such as https://cal.example/olga/)',
    );
    expect(readdirSync(home)).toEqual([]);
    writeFileSync(join(home, '.env'), `CAL_URL=${ENTRY.url}\n`);
    expect(apply({})).toMatchObject({ code: 0, stderr: expect.stringContaining('Applied: add-cal') });
    expect(read()).toEqual({ cal: ENTRY });
    expect(apply({}).stderr).toContain('Nothing to add');
  });

  test.each([
    ['as a person writes it', '{\n  "one": { "kind": "http", "groups": ["main"] },\n  "two": {}\n}\n'],
    ['in one line, without an end', '{ "one": {"a":"}"} }'],
    ['with a text in it that looks like the entry', '{"one":{"a":",\\n  \\"cal\\": {"}}\n'],
  ])('what else is there keeps every byte: %s', (_name, text) => {
    writeFileSync(file, text);
    expect(apply()).toMatchObject({ code: 0 });
    expect(read()).toEqual({ ...JSON.parse(text), cal: ENTRY });
    expect(run('remove')).toMatchObject({ code: 0 });
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('an entry that was followed by others, or laid out anew, goes as well', () => {
    apply();
    writeFileSync(file, `${readFileSync(file, 'utf8').replace(/\n}\n$/, ',\n  "mine": {}\n}\n')}`);
    expect(run('remove')).toMatchObject({ code: 0 });
    expect(readFileSync(file, 'utf8')).toBe('{\n  "mine": {}\n}\n');
    const { kind, ...rest } = ENTRY;
    writeFileSync(file, JSON.stringify({ cal: { ...rest, kind }, mine: {} }));
    expect(run('remove')).toMatchObject({ code: 0 });
    expect(read()).toEqual({ mine: {} });
  });

  test('an entry of that name that is not the skill’s stays, and that is said', () => {
    const changed = { cal: { ...ENTRY, rules: [{ method: 'PUT', path: '/**', do: 'allow' }] } };
    writeFileSync(file, JSON.stringify(changed));
    expect(apply()).toMatchObject({ code: 0, stderr: expect.stringContaining('another service "cal"') });
    expect(read()).toEqual(changed);
    expect(run('remove')).toMatchObject({ code: 0, stderr: expect.stringContaining('"cal" was changed, so it stays') });
    expect(read()).toEqual(changed);
  });

  test('an MCP server comes and goes as any other, gaps inside of lists included', () => {
    const mail = {
      kind: 'mcp',
      command: ['node', '/server/mail.mjs'],
      egress: ['<CAL_URL>:993', '<CAL_URL>:465'],
      groups: ['main'],
    };
    for (const [path, text] of Object.entries(skill({ mail }))) repository.write(path, text);
    repository.commit();
    expect(apply({ CAL_URL: 'mail.example' })).toMatchObject({ code: 0 });
    expect(read()).toEqual({ mail: { ...mail, egress: ['mail.example:993', 'mail.example:465'] } });
    expect(run('remove')).toMatchObject({ code: 0 });
    expect(readdirSync(home)).toEqual([]);
  });

  test('a file that is a link elsewhere stays one', () => {
    const other = join(home, 'elsewhere.json');
    writeFileSync(other, '{}');
    symlinkSync(other, file);
    apply();
    expect(JSON.parse(readFileSync(other, 'utf8'))).toEqual({ cal: ENTRY });
    run('remove');
    expect(read()).toEqual({});
    expect(JSON.parse(readFileSync(other, 'utf8'))).toEqual({});
  });

  test('what a kill left beside it is no obstacle', () => {
    writeFileSync(`${file}.skill-part`, 'half');
    expect(apply()).toMatchObject({ code: 0 });
    expect(readdirSync(home)).toEqual(['services.json']);
  });

  test('a file that cannot be read is named, and nothing is changed', () => {
    for (const text of ['{', '[]', '']) {
      writeFileSync(file, text);
      expect(apply()).toMatchObject({ code: 1, stderr: expect.stringContaining('services.json is not a JSON object') });
      expect(readFileSync(file, 'utf8')).toBe(text);
    }
    expect(repository.status()).toBe('');
    rmSync(file);
  });

  test('in the repository itself it is nobody’s change', () => {
    expect(
      repository.skill(['apply', 'add-cal', '--yes', '--no-install'], { CAL_URL: ENTRY.url, PINCH_HOME: '' }),
    ).toMatchObject({
      code: 0,
    });
    expect(repository.has('services.json')).toBe(true);
    expect(
      repository.skill(['apply', 'add-cal', '--yes', '--no-install'], { CAL_URL: ENTRY.url, PINCH_HOME: '' }).stderr,
    ).toContain('Nothing to add');
  });
});

/** A terminal that answers: the rest of the arguments are pairs of what is waited for and what is typed then. */
const TERMINAL = `
import os, pty, sys
answers = sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    os.execvp('node', ['node', sys.argv[1], 'apply', sys.argv[2], '--no-install'])
said = ''
while True:
    try:
        piece = os.read(terminal, 4096).decode('utf8', 'replace')
    except OSError:
        break
    said += piece
    if not piece:
        break
    if answers and answers[0] in said:
        os.write(terminal, (answers[1] + '\\n').encode())
        said, answers = '', answers[2:]
`;

test('at a terminal the owner is asked for what is missing, and then for a yes to all of it', () => {
  const answers = ['such as https://cal.example/olga/', 'https://mine.example/', '[y/N]', 'y'];
  const args = ['-c', TERMINAL, join(repository.root, 'scripts/skill.mjs'), 'add-cal', ...answers];
  const { status, stderr } = spawnSync('python3', args, {
    env: cleanEnvironment({ PINCH_HOME: home }),
    cwd: repository.root,
    timeout: HANG_MS,
  });
  expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' });
  expect(read()).toEqual({ cal: { ...ENTRY, url: 'https://mine.example/' } });
  expect(repository.has('docs/cal.md')).toBe(true);
});

describe('a skill is not well made', () => {
  const check = (services: object, env?: object[]) => {
    for (const [path, text] of Object.entries(skill(services, env))) repository.write(path, text);
    return repository.skill(['check', '--no-install']);
  };
  test.each([
    ['a gap that nothing of env fills', { cal: TEMPLATE }, [PASSWORD], '<CAL_URL> must be a variable of env'],
    ['a gap without an example', { cal: TEMPLATE }, [{ ...URL_ENV, example: undefined }], 'with an example'],
    ['a secret in services.json', { cal: TEMPLATE }, [{ ...URL_ENV, secret: true }], 'no secret'],
    ['a name that no service has', { 'Cal/x': TEMPLATE }, [URL_ENV], 'services.Cal/x'],
    ['an entry that is none', { cal: 'x' }, [URL_ENV], 'services.cal'],
  ])('%s', (_name, services, env, problem) => {
    expect(check(services, env)).toMatchObject({ code: 1, stderr: expect.stringContaining(problem) });
  });

  test('two that bring a service of one name', () => {
    const other = Object.entries(skill({ cal: TEMPLATE })).map(([path, text]) => [
      path.replace('add-cal', 'add-b'),
      text.replaceAll('add-cal', 'add-b'),
    ]);
    for (const [path = '', text] of other) repository.write(path, text);
    expect(repository.skill(['check', '--no-install'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the service cal is different in add-b'),
    });
  });
});
