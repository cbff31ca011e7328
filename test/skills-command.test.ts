// `npm run skill` against small checkouts: what it refuses, what it leaves behind, and that no moment to kill it is a bad one.
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { PROOF_MS } from './limits.js';
import { channelSkill, createSmallRepository, type Repository, skillFiles } from './skills/repository.js';

const open: Repository[] = [];
afterEach(() => {
  for (const repository of open.splice(0)) repository.close();
});

function withSkills(files: Record<string, string>): Repository {
  const repository = createSmallRepository(files);
  open.push(repository);
  return repository;
}

const apply = ({ skill }: Repository, ...names: string[]) => skill(['apply', ...names, '--yes', '--no-install']);
const remove = ({ skill }: Repository, ...names: string[]) => skill(['remove', ...names, '--yes', '--no-install']);

describe('apply and remove', () => {
  test('a file, a line in its sorted place and a dependency come, and go without a trace', () => {
    const repository = withSkills(channelSkill('slack', { dependencies: { bolt: '5.1.0' } }));
    expect(apply(repository, 'add-slack')).toMatchObject({ code: 0 });
    expect(repository.read('src/channels/slack.ts')).toBe('// slack\nexport const slack = 1;\n');
    expect(repository.read('src/channels/index.ts')).toBe(
      "// The channels.\nexport { slack } from './slack.js';\nexport { telegram } from './telegram.js';\nexport { web } from './web.js';\n",
    );
    expect(JSON.parse(repository.read('package.json')).dependencies).toEqual({ bolt: '5.1.0', zod: '1.0.0' });
    expect(remove(repository, 'add-slack')).toMatchObject({ code: 0 });
    expect(repository.status()).toBe('');
  });

  test('a second time there is nothing to do, either way', () => {
    const repository = withSkills(channelSkill('slack'));
    apply(repository, 'add-slack');
    const tree = repository.tree();
    expect(apply(repository, 'add-slack')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('Nothing to add'),
    });
    expect(repository.tree()).toBe(tree);
    remove(repository, 'add-slack');
    expect(remove(repository, 'add-slack')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('Nothing to take'),
    });
    expect(repository.status()).toBe('');
  });

  test('folders that were made go as well, those with something of yours in them stay', () => {
    const repository = withSkills(skillFiles('deep', { files: { 'a.txt': 'docs/one/two/a.txt' } }, { 'a.txt': 'a\n' }));
    apply(repository, 'deep');
    remove(repository, 'deep');
    expect(repository.has('docs')).toBe(false);
    apply(repository, 'deep');
    repository.commit();
    repository.write('docs/one/mine.txt', 'mine');
    repository.commit();
    remove(repository, 'deep');
    expect(repository.has('docs/one/two')).toBe(false);
    expect(repository.read('docs/one/mine.txt')).toBe('mine');
  });

  test('one after the other without a commit in between, and back', () => {
    const dependencies = { bolt: '5.1.0' };
    const repository = withSkills({ ...channelSkill('a', { dependencies }), ...channelSkill('b', { dependencies }) });
    expect(apply(repository, 'add-b')).toMatchObject({ code: 0 });
    expect(apply(repository, 'add-a')).toMatchObject({ code: 0 });
    repository.commit();
    expect(remove(repository, 'add-b')).toMatchObject({ code: 0 });
    expect(remove(repository, 'add-a')).toMatchObject({ code: 0 });
    expect(repository.git('diff', '--stat', 'HEAD~1')).toBe('');
    expect(apply(repository, 'add-a', 'add-b')).toMatchObject({ code: 0 });
    expect(repository.status()).toBe('');
  });

  test('a package that is yours is in the way all the same', () => {
    const repository = withSkills({ ...channelSkill('a', { dependencies: { bolt: '5.1.0' } }), ...channelSkill('b') });
    apply(repository, 'add-a');
    repository.write('package.json', repository.read('package.json').replace('"zod"', '"mine": "1.0.0",\n    "zod"'));
    expect(apply(repository, 'add-b')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('yet: package.json.'),
    });
    repository.write('src/channels/a.ts', 'changed\n');
    expect(apply(repository, 'add-b').stderr).toContain('yet: package.json, src/channels/a.ts.');
  });

  test('what is required comes first and cannot go before those that need it', () => {
    const repository = withSkills({ ...channelSkill('base'), ...channelSkill('more', { requires: ['add-base'] }) });
    expect(apply(repository, 'add-more').stderr).toContain('Applied: add-base, add-more.');
    repository.commit();
    expect(remove(repository, 'add-base')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('add-more needs add-base: remove add-more first'),
    });
    expect(remove(repository, 'add-base', 'add-more')).toMatchObject({ code: 0 });
    expect(repository.has('src/channels/base.ts')).toBe(false);
  });

  test('skills that require each other are refused', () => {
    const repository = withSkills({
      ...channelSkill('one', { requires: ['add-two'] }),
      ...channelSkill('two', { requires: ['add-one'] }),
    });
    expect(apply(repository, 'add-one').stderr).toContain('in a circle: add-one → add-two → add-one');
    expect(repository.status()).toBe('');
  });

  test('a package goes though a program of a container has the same one: that has packages of its own', () => {
    const repository = withSkills(channelSkill('a', { dependencies: { bolt: '5.1.0' } }));
    apply(repository, 'add-a');
    repository.write('container/services/mine/index.mjs', "import { App } from 'bolt';\n");
    repository.commit();
    expect(remove(repository, 'add-a').stderr).not.toContain('stays in package.json');
    expect(repository.read('package.json')).not.toContain('bolt');
  });

  test('a package stays while another skill or a file of yours uses it', () => {
    const dependencies = { bolt: '5.1.0' };
    const repository = withSkills({ ...channelSkill('a', { dependencies }), ...channelSkill('b', { dependencies }) });
    apply(repository, 'add-a', 'add-b');
    repository.commit();
    expect(remove(repository, 'add-a').stderr).toContain('bolt stays in package.json');
    expect(repository.read('package.json')).toContain('bolt');
    repository.write('src/mine.ts', "import { App } from 'bolt/app';\n");
    repository.commit();
    remove(repository, 'add-b');
    expect(repository.read('package.json')).toContain('bolt');
    repository.write('src/mine.ts', undefined);
    repository.git('checkout', '-q', '.');
    repository.write('src/mine.ts', "import { App } from 'bolted';\n");
    repository.commit();
    remove(repository, 'add-b');
    expect(repository.read('package.json')).not.toContain('bolt');
  });

  test('the skill of a newer Pinch replaces what the older one wrote, and never what you wrote', () => {
    const repository = withSkills(channelSkill('slack'));
    apply(repository, 'add-slack');
    repository.commit();
    repository.write('skills/add-slack/files/src/channels/slack.ts', 'export const slack = 2;\n');
    repository.commit();
    expect(repository.skill(['list', '--no-install']).stdout).toContain('[applied, changed since]');
    expect(apply(repository, 'add-slack')).toMatchObject({ code: 0 });
    expect(repository.read('src/channels/slack.ts')).toBe('export const slack = 2;\n');
    repository.write('src/channels/slack.ts', 'export const slack = "mine";\n');
    repository.commit();
    expect(apply(repository, 'add-slack')).toMatchObject({ code: 1, stderr: expect.stringContaining('other content') });
    expect(remove(repository, 'add-slack')).toMatchObject({ code: 1, stderr: expect.stringContaining('was changed') });
    expect(repository.status()).toBe('');
  });
});

test('in whatever order skills come and go, the tree is the same', { timeout: PROOF_MS }, () => {
  const dependencies = [{ zz: '1.0.0' }, { aa: '1.0.0', zz: '1.0.0' }, { '@scope/b': '2.0.0' }];
  const names = ['alpha', 'slack', 'zulu'];
  const repository = withSkills(
    Object.assign({}, ...names.map((name, index) => channelSkill(name, { dependencies: dependencies[index] }))),
  );
  // Any two of them in both orders, and each of them in the middle.
  const orders = [
    ['alpha', 'slack', 'zulu'],
    ['zulu', 'alpha', 'slack'],
    ['slack', 'zulu', 'alpha'],
  ];
  const before = repository.tree();
  const trees = orders.map((order, index) => {
    for (const name of order) {
      apply(repository, `add-${name}`);
      repository.commit();
    }
    const tree = repository.tree();
    for (const name of orders.at(-1 - index) ?? []) {
      remove(repository, `add-${name}`);
      repository.commit();
    }
    expect(repository.tree()).toBe(before);
    return tree;
  });
  expect(new Set(trees).size).toBe(1);
  expect(trees).not.toContain(before);
});

describe('it refuses, says what to do, and changes nothing', () => {
  test.each([
    ['a changed file', 'package.json', '{}\n'],
    ['a file nobody added', 'src/new.ts', 'x\n'],
    ['a list that was changed by hand', 'src/channels/index.ts', "export { mine } from './mine.js';\n"],
  ])('%s that is not committed', (_name, path, text) => {
    const repository = withSkills(channelSkill('slack'));
    repository.write(path, text);
    const before = repository.tree();
    const refusal = { code: 1, stderr: expect.stringContaining(`Not committed yet: ${path}. Commit that`) };
    expect(apply(repository, 'add-slack')).toMatchObject(refusal);
    expect(repository.tree()).toBe(before);
  });

  test('remove, when something of yours is not committed', () => {
    const repository = withSkills(channelSkill('slack'));
    apply(repository, 'add-slack');
    repository.commit();
    repository.write('src/new.ts', 'x');
    expect(remove(repository, 'add-slack')).toMatchObject({ code: 1, stderr: expect.stringContaining('src/new.ts') });
    expect(repository.has('src/channels/slack.ts')).toBe(true);
  });

  test('a path that leads elsewhere', () => {
    const paths = [
      '../outside.ts',
      '/tmp/outside.ts',
      'src/../../outside.ts',
      '.git/hooks/pre-commit',
      '.env',
      'src/.hidden',
      'node_modules/zod/index.js',
      'container/node_modules/x.js',
      'data/pinch.db',
      'skills/other/skill.json',
      'src\\windows.ts',
      'src//a.ts',
      'src/',
      '-rf',
      '',
    ];
    const skills = paths.map((to, at) => skillFiles(`bad${at}`, { files: { 'a.txt': to } }, { 'a.txt': 'a' }));
    const repository = withSkills(Object.assign({}, ...skills));
    const refused = (at: number) => `skills/bad${at}/skill.json cannot be used`;
    const { stderr } = repository.skill(['check', '--no-install']);
    expect(paths.filter((_, at) => !stderr.includes(refused(at)))).toEqual([]);
    // Where it is read is the same for every one.
    for (const at of [0, 3])
      expect(apply(repository, `bad${at}`)).toMatchObject({ code: 1, stderr: expect.stringContaining(refused(at)) });
    expect(repository.status()).toBe('');
  });

  test('a folder, a file, a list or a source that is a symbolic link', () => {
    const repository = withSkills({
      ...skillFiles('folder', { files: { 'a.txt': 'linked/a.txt' } }, { 'a.txt': 'a' }),
      ...skillFiles('file', { files: { 'a.txt': 'linked-file.txt' } }, { 'a.txt': 'a' }),
      ...skillFiles('source', { files: { 'link.txt': 'a.txt' } }, {}),
      ...channelSkill('slack'),
    });
    const { root } = repository;
    symlinkSync('/tmp', join(root, 'linked'));
    symlinkSync('/tmp/pinch-outside.txt', join(root, 'linked-file.txt'));
    repository.write('skills/source/files/keep.txt', '');
    symlinkSync('/etc/hostname', join(root, 'skills/source/files/link.txt'));
    repository.git('mv', 'src/channels', 'channels');
    symlinkSync('../channels', join(root, 'src-channels'));
    repository.git('mv', 'channels/index.ts', 'channels/list.ts');
    repository.write('src/channels/other.ts', '');
    symlinkSync('../../channels/list.ts', join(root, 'src/channels/index.ts'));
    repository.commit();
    for (const name of ['folder', 'file', 'source', 'add-slack'])
      expect(apply(repository, name)).toMatchObject({ code: 1, stderr: expect.stringContaining('is a symbolic link') });
    expect(repository.status()).toBe('');
  });

  test('a file that is yours', () => {
    const repository = withSkills({ ...channelSkill('slack'), 'src/channels/slack.ts': 'mine\n' });
    expect(apply(repository, 'add-slack')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('src/channels/slack.ts is there already with other content'),
    });
    expect(repository.read('src/channels/slack.ts')).toBe('mine\n');
  });

  test('another version of a package', () => {
    const repository = withSkills(channelSkill('slack', { dependencies: { zod: '2.0.0' } }));
    expect(apply(repository, 'add-slack').stderr).toContain('package.json has zod 1.0.0, the skill needs 2.0.0');
    expect(repository.status()).toBe('');
  });

  test.each([
    [
      'a line for a file that is no list',
      { lines: [{ file: 'src/main.ts', line: 'x' }] },
      'takes no lines from skills',
    ],
    [
      'a line that does not belong into the list',
      { lines: [{ file: 'src/channels/index.ts', line: 'process.exit();' }] },
      'does not belong into the list of channels',
    ],
    ['a list this checkout does not have', { image: ['ffmpeg'] }, 'is not in this checkout'],
  ])('%s', (_name, data, words) => {
    const repository = withSkills(skillFiles('bad', data));
    expect(apply(repository, 'bad')).toMatchObject({ code: 1, stderr: expect.stringContaining(words) });
    expect(repository.status()).toBe('');
  });

  test('nobody to ask and no --yes; the changes are shown all the same', () => {
    const repository = withSkills(channelSkill('slack'));
    const answer = repository.skill(['apply', 'add-slack', '--no-install']);
    expect(answer).toMatchObject({ code: 1, stderr: expect.stringContaining('needs --yes') });
    expect(answer.stdout).toContain("+export { slack } from './slack.js';");
    expect(answer.stdout).toContain('+++ src/channels/slack.ts');
    expect(repository.status()).toBe('');
  });

  test.each([
    ['a skill that is not there', ['apply', 'add-nothing'], 'There is no skill "add-nothing"'],
    ['a path instead of a name', ['apply', '../skills/add-slack'], 'There is no skill'],
    ['no name', ['apply'], 'Which skill?'],
    ['an unknown command', ['install'], 'there is no command "install"'],
    ['an unknown option', ['apply', 'add-slack', '--force'], "Unknown option '--force'"],
  ])('%s', (_name, args, words) => {
    const repository = withSkills(channelSkill('slack'));
    expect(repository.skill([...args, '--no-install'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(words),
    });
  });

  test('a folder without git, and one inside another checkout', () => {
    const repository = withSkills(channelSkill('slack'));
    repository.write('.git', undefined);
    expect(apply(repository, 'add-slack').stderr).toContain('is not a git checkout of its own');
    expect(repository.has('src/channels/slack.ts')).toBe(false);
  });
});

/** The checkout as it is now, to go back to. */
function keep({ root }: Repository): { back(): void } {
  const copy = mkdtempSync(`${root}-`);
  const all = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true };
  cpSync(root, copy, all);
  return {
    back() {
      rmSync(root, { recursive: true });
      cpSync(copy, root, all);
    },
  };
}

describe('killed', () => {
  const skills = {
    ...channelSkill('base', { dependencies: { bolt: '5.1.0' } }),
    ...channelSkill('more', { requires: ['add-base'] }),
  };
  const killer = join(import.meta.dirname, 'skills', 'killer.mjs');
  const killed = (at: number) => ({ NODE_OPTIONS: `--import=${killer}`, KILL_AT: String(at) });

  test('at whichever write of apply, the same command finishes it and remove undoes it', { timeout: PROOF_MS }, () => {
    const repository = withSkills(skills);
    const before = keep(repository);
    apply(repository, 'add-more');
    const whole = repository.tree();
    before.back();
    let at = 0;
    for (; at < 100; at += 1) {
      const { code } = repository.skill(['apply', 'add-more', '--yes', '--no-install'], killed(at));
      if (code === 0) break;
      expect(code).toBeNull();
      const kept = keep(repository);
      expect(remove(repository, 'add-more', 'add-base'), `write ${at}`).toMatchObject({ code: 0 });
      expect(repository.status(), `write ${at}`).toBe('');
      kept.back();
      expect(apply(repository, 'add-more'), `write ${at}`).toMatchObject({ code: 0 });
      expect(repository.tree(), `write ${at}`).toBe(whole);
      before.back();
    }
    expect(at).toBeGreaterThan(10);
    expect(at).toBeLessThan(100);
  });

  test('at whichever write of remove, the same command finishes it', { timeout: PROOF_MS }, () => {
    const repository = withSkills(skills);
    const before = repository.tree();
    apply(repository, 'add-more');
    repository.commit();
    let at = 0;
    for (; at < 100; at += 1) {
      const { code } = repository.skill(['remove', 'add-more', 'add-base', '--yes', '--no-install'], killed(at));
      expect(remove(repository, 'add-more', 'add-base'), `write ${at}`).toMatchObject({ code: 0 });
      expect(repository.tree(), `write ${at}`).toBe(before);
      repository.git('checkout', '-q', '.');
      if (code === 0) break;
      expect(code).toBeNull();
    }
    expect(at).toBeGreaterThan(5);
    expect(at).toBeLessThan(100);
  });
});

describe('check', () => {
  const written = (text: string) => (name: string) => ({ ...skillFiles(name, {}), [`skills/${name}/SKILL.md`]: text });
  const bad: [what: string, files: (name: string) => Record<string, string>, words: string][] = [
    ['an unknown field', (name) => skillFiles(name, { patches: [] }), 'Unrecognized key: "patches"'],
    ['a version range', (name) => skillFiles(name, { dependencies: { bolt: '^5.1.0' } }), 'is not an exact version'],
    ['no JSON', (name) => ({ ...skillFiles(name, {}), [`skills/${name}/skill.json`]: '{' }), 'is not JSON'],
    ['no manual', (name) => ({ [`skills/${name}/skill.json`]: '{}' }), 'has no SKILL.md'],
    [
      'a source that is missing',
      (name) => skillFiles(name, { files: { 'a.ts': 'src/missing.ts' } }),
      'files/a.ts is not there',
    ],
    ['a file nobody names', (name) => skillFiles(name, {}, { 'a.ts': 'x' }), 'files/a.ts is not named in skill.json'],
    [
      'a required skill that is missing',
      (name) => skillFiles(name, { requires: ['gone'] }),
      'There is no skill "gone"',
    ],
    [
      'a manual without triggers or with other sections',
      written('---\nname: other\ndescription: Adds it.\n---\n\n## Apply\n'),
      '`name` in the front matter must be bad',
    ],
    [
      'a description that is no YAML',
      written('---\nname: bad\ndescription: It adds: it. Use when asked.\n---\n'),
      'which YAML reads as something else',
    ],
    ['a manual that is too long', written('a\n'.repeat(160)), 'longer than 150 lines'],
    [
      'two skills that write the same file',
      (name) => ({
        ...skillFiles('a1', { files: { 'a.ts': 'src/a.ts' } }, { 'a.ts': 'x' }),
        ...skillFiles(name, { files: { 'a.ts': 'src/a.ts' } }, { 'a.ts': 'y' }),
      }),
      'src/a.ts is different in a1',
    ],
  ];

  test('finds what is wrong with each', () => {
    const repository = withSkills(Object.assign({}, ...bad.map(([, files], at) => files(`bad${at}`))));
    const { code, stderr } = repository.skill(['check', '--no-install']);
    expect(code).toBe(1);
    const problems = stderr.split('✗ ');
    const told = (at: number, words: string) =>
      problems.some((problem) => problem.startsWith(`bad${at}: `) && problem.includes(words));
    expect(
      bad.filter(([, , words], at) => !told(at, words)).map(([what]) => what),
      stderr,
    ).toEqual([]);
  });

  test('accepts what `new` begins, and `new` refuses a name that is taken', () => {
    const repository = withSkills({});
    expect(repository.skill(['new', 'add-signal', '--no-install'])).toMatchObject({ code: 0 });
    expect(repository.skill(['check', '--no-install'])).toMatchObject({ code: 0, stdout: '1 skills are well made.\n' });
    expect(repository.skill(['new', 'add-signal', '--no-install']).stderr).toContain('is there already');
    expect(repository.skill(['new', '../x', '--no-install']).stderr).toContain('is not a name');
  });
});
