// A small git checkout of its own with the real `npm run skill` in it, for tests that break things.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const source = join(import.meta.dirname, '..', '..');

export interface Answer {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Repository {
  /** The checkout; its parent is the test's own as well. */
  root: string;
  /** Writes a file; undefined deletes it. */
  write(path: string, text: string | undefined): void;
  read(path: string): string;
  has(path: string): boolean;
  git(...args: string[]): string;
  /** Commits everything. */
  commit(): void;
  /** `git status --porcelain`: empty when the tree is as committed. */
  status(): string;
  /** Name of the whole tree's content, committed or not. */
  tree(): string;
  skill(args: string[], env?: Record<string, string>): Answer;
  close(): void;
}

/** Without what npm and git hooks put there about this repository. */
export function cleanEnvironment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(GIT_|npm_package_|npm_lifecycle_|VITEST)/.test(name));
  return { ...Object.fromEntries(kept), ...more };
}

function outcome({ status, stdout, stderr }: SpawnSyncReturns<string>): Answer {
  return { code: status, stdout, stderr };
}

/** An empty folder with git in it; `files` are committed. */
export function createRepository(files: Record<string, string>): Repository {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'pinch-skills-')));
  const root = join(top, 'repository');
  mkdirSync(join(top, 'temporary'));
  const env = cleanEnvironment({ TMPDIR: join(top, 'temporary') });
  const git = (...args: string[]): string => {
    const ran = spawnSync('git', args, { cwd: root, env, encoding: 'utf8', maxBuffer: 1024 ** 3 });
    if (ran.status !== 0) throw new Error(`git ${args.join(' ')}: ${ran.stderr}`);
    return ran.stdout;
  };
  const repository: Repository = {
    root,
    write(path, text) {
      const file = join(root, path);
      if (text === undefined) return rmSync(file, { recursive: true });
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    },
    read: (path) => readFileSync(join(root, path), 'utf8'),
    has: (path) => existsSync(join(root, path)),
    git,
    commit() {
      git('add', '-A');
      git('-c', 'user.name=Test', '-c', 'user.email=test@localhost', 'commit', '-q', '--allow-empty', '-m', 'test');
    },
    status: () => git('status', '--porcelain', '--untracked-files=all'),
    tree() {
      git('add', '-A');
      const name = git('write-tree').trim();
      git('reset', '-q');
      return name;
    },
    skill(args, more = {}) {
      const program = [join(root, 'scripts', 'skill.mjs'), ...args];
      return outcome(spawnSync(process.execPath, program, { cwd: root, env: { ...env, ...more }, encoding: 'utf8' }));
    },
    close: () => rmSync(top, { recursive: true, force: true }),
  };
  mkdirSync(root);
  git('init', '-q');
  for (const [path, text] of Object.entries(files)) repository.write(path, text);
  repository.commit();
  return repository;
}

/** The scripts alone, with a list of channels to add to. */
export function createSmallRepository(files: Record<string, string> = {}): Repository {
  const repository = createRepository({
    '.gitignore': 'node_modules/\nservices.json*\n',
    'package.json': `${JSON.stringify({ name: 'small', private: true, dependencies: { zod: '1.0.0' } }, null, 2)}\n`,
    'src/channels/index.ts':
      "// The channels.\nexport { telegram } from './telegram.js';\nexport { web } from './web.js';\n",
    ...files,
  });
  cpSync(join(source, 'scripts'), join(repository.root, 'scripts'), { recursive: true });
  repository.commit();
  // Where Node looks when the checkout itself has no packages yet.
  const packages = join(repository.root, '..', 'node_modules');
  mkdirSync(packages);
  symlinkSync(join(source, 'node_modules', 'zod'), join(packages, 'zod'));
  return repository;
}

export const manual = (name: string): string => {
  const sections = ['When to use', 'Preflight', 'Apply', 'Configure', 'Verify', 'Remove', 'Report'];
  const head = `---\nname: ${name}\ndescription: Adds ${name}. Use when the user says /${name}.\n---\n`;
  return head + sections.map((title) => `\n## ${title}\n\nSo.\n`).join('');
};

/** The files of a skill; `data` is its skill.json, `files` what lies below its `files/`. */
export function skillFiles(name: string, data: unknown, files: Record<string, string> = {}): Record<string, string> {
  const below = Object.entries(files).map(([path, text]) => [`skills/${name}/files/${path}`, text]);
  return {
    [`skills/${name}/SKILL.md`]: manual(name),
    [`skills/${name}/skill.json`]: JSON.stringify(data),
    ...Object.fromEntries(below),
  };
}

/** A channel as a skill adds it: its file and its line. */
export const channelSkill = (name: string, more: Record<string, unknown> = {}): Record<string, string> =>
  skillFiles(
    `add-${name}`,
    {
      files: { [`src/channels/${name}.ts`]: `src/channels/${name}.ts` },
      lines: [{ file: 'src/channels/index.ts', line: `export { ${name} } from './${name}.js';` }],
      ...more,
    },
    { [`src/channels/${name}.ts`]: `// ${name}\nexport const ${name} = 1;\n` },
  );
