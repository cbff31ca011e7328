// What `npm run skill -- apply` shows before it asks: everything, as what it is. A skill is a stranger's text until somebody read it.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { channelSkill, createSmallRepository, manual, type Repository, skillFiles } from './skills/repository.js';

const open: Repository[] = [];
afterEach(() => {
  for (const repository of open.splice(0)) repository.close();
});

function withSkills(files: Record<string, string>): Repository {
  const repository = createSmallRepository(files);
  open.push(repository);
  return repository;
}

/** Without --yes: what is shown is all that happens. */
const show = ({ skill }: Repository, name: string) => skill(['apply', name, '--no-install']);
const oneFile = (text: string, to = 'src/new.ts') => skillFiles('bad', { files: { 'a.ts': to } }, { 'a.ts': text });
/** Whatever a terminal obeys, hides or turns around. */
const hidden = /[^\P{C}\n\t]|\p{Default_Ignorable_Code_Point}|[\u2028\u2029\u2800\u00a0]/u;

describe('a character that a terminal obeys or does not show is written out', () => {
  const texts: [what: string, text: string, shown: string][] = [
    ['an escape sequence', 'a\u001b[2K\u001b[1Ab', 'a\\x1b[2K\\x1b[1Ab'],
    ['a line overwritten by a carriage return', 'evil()\r// kind', 'evil()\\x0d// kind'],
    ['a backspace', 'evil\b\b\b\bkind', 'evil\\x08\\x08\\x08\\x08kind'],
    ['a C1 control', 'a\u009b2Kb', 'a\\x9b2Kb'],
    ['text turned around', 'a\u202Eb\u2066c', 'a<U+202E>b<U+2066>c'],
    ['zero width', 'a\u200Bb\u2060c\uFEFFd', 'a<U+200B>b<U+2060>c<U+FEFF>d'],
    ['tags and variation selectors that carry text', 'a\u{E0041}b\u{E0100}c', 'a<U+E0041>b<U+E0100>c'],
    ['what looks like a space or like nothing', 'a\u00A0b\u3164c\u2800d', 'a<U+00A0>b<U+3164>c<U+2800>d'],
    ['a line end that only editors know', 'a\u2028evil()', 'a<U+2028>evil()'],
  ];

  test('whichever it is', () => {
    const path = (at: number) => `src/new${at}.ts`;
    const all = texts.map(([, text], at) => [`a${at}.ts`, path(at), `// one\n${text}\n`] as const);
    const data = { files: Object.fromEntries(all.map(([from, to]) => [from, to])) };
    const repository = withSkills(
      skillFiles('bad', data, Object.fromEntries(all.map(([from, , text]) => [from, text]))),
    );
    const { stdout, stderr } = show(repository, 'bad');
    const isShown = (shown: string, at: number) =>
      stdout.includes(`+${shown}\n`) && new RegExp(`${path(at).replace('.', '\\.')}.*hidden`).test(stdout);
    expect(
      texts.filter(([, , shown], at) => !isShown(shown, at)).map(([what]) => what),
      stdout,
    ).toEqual([]);
    expect(stdout + stderr).not.toMatch(hidden);
  });

  test('in the manual, in what to put into .env, in names and in what is refused', () => {
    const evil = 'x\u001b]0;owned\u0007\u202Ey';
    const files = skillFiles('bad', { env: [{ name: 'KEY', how: evil, secret: true }], files: { 'a.ts': 'src/a.ts' } });
    const repository = withSkills({
      ...files,
      'skills/bad/files/a.ts': 'a\n',
      'skills/bad/SKILL.md': manual('bad').replace('Adds bad', `Adds ${evil}`),
    });
    const answers = [
      repository.skill(['list', '--no-install']),
      show(repository, 'bad'),
      repository.skill(['apply', 'bad', '--yes', '--no-install']),
      repository.skill(['apply', evil, '--no-install']),
      repository.skill([evil]),
    ];
    repository.write('skills/bad/skill.json', JSON.stringify({ [evil]: 1, files: { [evil]: evil } }));
    answers.push(show(repository, 'bad'), repository.skill(['check', '--no-install']));
    repository.write(`skills/${evil}/SKILL.md`, manual('evil'));
    answers.push(repository.skill(['list', '--no-install']), repository.skill(['check', '--no-install']));
    for (const { stdout, stderr } of answers) {
      expect(stdout + stderr).not.toMatch(hidden);
      expect(stdout + stderr).not.toBe('');
    }
    expect(answers[0]?.stdout).toContain('<U+202E>');
    expect(answers[2]?.stderr).toContain('Put KEY into .env: x\\x1b]0;owned');
  });

  test('ordinary text of any language stays as it is', () => {
    const repository = withSkills(oneFile('// Größe 大きさ حجم 🦞\n\tconst a = "–";\n'));
    const { stdout } = show(repository, 'bad');
    expect(stdout).toContain('+// Größe 大きさ حجم 🦞\n+\tconst a = "–";\n');
    expect(stdout).not.toContain('hidden');
  });
});

describe('refused, with nothing written', () => {
  test.each([
    ['a NUL byte', 'text\u0000evil()\n', 'NUL'],
    ['a NUL byte behind much text', `${'x\n'.repeat(20_000)}\u0000`, 'NUL'],
  ])('a file with %s', (_name, text, words) => {
    const repository = withSkills(oneFile(text));
    for (const args of [
      ['apply', 'bad', '--yes', '--no-install'],
      ['check', '--no-install'],
    ]) {
      const { code, stderr } = repository.skill(args);
      expect(code).toBe(1);
      expect(stderr).toContain('skills/bad/files/a.ts');
      expect(stderr).toContain(words);
    }
    expect(repository.has('src/new.ts')).toBe(false);
  });

  const odd: [string, (folder: string) => void][] = [
    ['a symbolic link among its files', (folder) => symlinkSync('/etc/hostname', join(folder, 'files', 'more.ts'))],
    ['a linked folder', (folder) => symlinkSync('/etc', join(folder, 'files', 'more'))],
    ['a linked file beside them', (folder) => symlinkSync('/etc/hostname', join(folder, 'NOTES.md'))],
    ['a pipe', (folder) => void spawnSync('mkfifo', [join(folder, 'files', 'pipe')])],
    ['a set-user-id bit', (folder) => chmodSync(join(folder, 'files', 'a.ts'), 0o4755)],
    ['a set-group-id bit', (folder) => chmodSync(join(folder, 'files', 'a.ts'), 0o2755)],
    ['execution for others only', (folder) => chmodSync(join(folder, 'files', 'a.ts'), 0o645)],
  ];
  test.each(odd)('a skill with %s', (_name, make) => {
    const repository = withSkills(oneFile('a\n'));
    make(join(repository.root, 'skills', 'bad'));
    repository.commit();
    const { code, stderr } = repository.skill(['apply', 'bad', '--yes', '--no-install']);
    expect(code).toBe(1);
    expect(stderr).toContain('skills/bad/');
    expect(repository.has('src/new.ts')).toBe(false);
  });
});

describe('every change is shown', () => {
  test('by a summary first: files, packages, environment, and what runs', () => {
    const repository = withSkills({
      'container/packages.txt': 'git\n',
      ...channelSkill('slack', {
        files: { 'src/channels/slack.ts': 'src/channels/slack.ts', 'tool.sh': 'scripts/tool.sh' },
        dependencies: { bolt: '5.1.0' },
        env: [{ name: 'SLACK_KEY', how: 'ask Slack', secret: true }],
        image: ['ffmpeg'],
      }),
      'skills/add-slack/files/tool.sh': '#!/bin/sh\n',
    });
    chmodSync(join(repository.root, 'skills/add-slack/files/tool.sh'), 0o755);
    repository.commit();
    const { stdout } = show(repository, 'add-slack');
    const summary = stdout.slice(0, stdout.indexOf('+++ '));
    for (const part of [
      /add-slack: Adds add-slack/,
      /new file +src\/channels\/slack\.ts/,
      /new file +scripts\/tool\.sh .*executable/,
      /changed file +src\/channels\/index\.ts/,
      /npm package +bolt 5\.1\.0/,
      /Debian package +ffmpeg/,
      /environment +SLACK_KEY/,
      /npm install.*scripts/,
      /on this machine.*src\/channels\/slack\.ts/,
    ])
      expect(summary).toMatch(part);
    expect(repository.status()).toBe('');
  });

  test('whatever git was told about the file or by its owner', () => {
    const repository = withSkills(oneFile('const evil = 1;\n'));
    repository.write(
      '../temporary/home/.gitconfig',
      '[diff]\n\texternal = true\n[core]\n\tattributesFile = ~/attributes\n',
    );
    repository.write('../temporary/home/attributes', '* -diff\n');
    const home = join(repository.root, '..', 'temporary', 'home');
    const { stdout } = repository.skill(['apply', 'bad', '--no-install'], { HOME: home });
    expect(stdout).toContain('+const evil = 1;\n');
  });

  test('a line that looks like the beginning of another file stands out as content', () => {
    const text = '++ src/harmless.ts\n@@ -0,0 +1 @@\n new file src/harmless.ts\n';
    const { stdout } = show(withSkills(oneFile(text)), 'bad');
    expect(stdout).toContain('\n+@@ -0,0 +1 @@\n+ new file src/harmless.ts\n');
    expect(stdout.match(/^== /gm)).toHaveLength(1);
  });

  test('an empty file too', () => {
    const { stdout } = show(withSkills(oneFile('', 'src/empty.ts')), 'bad');
    expect(stdout).toContain('src/empty.ts');
  });

  test('into a pipe, to the last byte, also when the answer is no', () => {
    const text = `${'a line of some length\n'.repeat(30_000)}// the last line\n`;
    const repository = withSkills(oneFile(text));
    const program = join(repository.root, 'scripts', 'skill.mjs');
    const pipe = `"${process.execPath}" "${program}" apply bad --no-install | (sleep 1; cat)`;
    const { stdout } = spawnSync('sh', ['-c', pipe], { encoding: 'utf8', cwd: repository.root, maxBuffer: 1024 ** 3 });
    expect(stdout).toContain('+// the last line\n');
    expect(stdout.length).toBeGreaterThan(text.length);
  });
});

test('a folder of skills that is a link is refused', () => {
  const repository = withSkills(oneFile('a\n'));
  mkdirSync(join(repository.root, 'elsewhere'));
  symlinkSync('../skills/bad', join(repository.root, 'skills', 'linked'));
  expect(show(repository, 'linked').stderr).toContain('skills/linked is a symbolic link');
});
