// A whole copy of this checkout as it is now, with git of its own, in which skills can be applied, compiled and tested.
import { execFile, execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { cleanEnvironment, createRepository, type Repository } from './repository.js';

const source = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);

const skillJson = z.object({
  files: z.record(z.string(), z.string()).default({}),
  dependencies: z.record(z.string(), z.string()).default({}),
  env: z.array(z.object({ name: z.string(), example: z.string().optional() })).default([]),
  services: z.record(z.string(), z.unknown()).default({}),
  requires: z.array(z.string()).default([]),
});

export type SkillInfo = z.infer<typeof skillJson> & { name: string; manual: string };

/** The skills of this checkout. The command checks them; this reads what the tests need. */
export const skills: SkillInfo[] = readdirSync(join(source, 'skills')).map((name) => {
  const read = (file: string) => readFileSync(join(source, 'skills', name, file), 'utf8');
  return { ...skillJson.parse(JSON.parse(read('skill.json'))), name, manual: read('SKILL.md') };
});

export interface Checkout extends Repository {
  /** What the compiler says; empty when it is content. */
  compile(): Promise<string>;
  /** Builds its dist/; what that says when it fails. */
  build(): Promise<string>;
  lint(files: string[]): Promise<string>;
  /** Runs test files; what they say when one fails, else empty. */
  test(files: string[]): Promise<string>;
  /** As it was created: whatever a test began, wrote or committed is gone. */
  reset(): void;
}

/** What is nobody else's: not the packages, not what was built, not the owner's things; the rest is git's to ignore. */
function belongs(path: string): boolean {
  const [first = '', second, ...deeper] = relative(source, path).split(sep);
  if (first === 'groups') return deeper.length === 0 || deeper[0] === 'CLAUDE.template.md';
  const own = ['.git', '.env', 'dist', 'data', 'node_modules'].includes(first);
  return !own && second !== 'node_modules' && !deeper.includes('node_modules');
}

/** The files of this checkout, with this checkout's packages and, beside them, those of some skills. */
export function createCheckout(withPackagesOf: SkillInfo[]): Checkout {
  const repository = createRepository({});
  const { root } = repository;
  cpSync(source, root, { recursive: true, verbatimSymlinks: true, filter: belongs });
  // As a link it is no folder, which is what .gitignore names.
  appendFileSync(join(root, '.git', 'info', 'exclude'), 'node_modules\n');
  symlinkSync(join(source, 'node_modules'), join(root, 'node_modules'));
  repository.commit();
  const created = repository.git('rev-parse', 'HEAD').trim();
  installDependencies(join(root, '..'), withPackagesOf);
  let programs = new AbortController();
  const node = (program: string, ...args: string[]) =>
    outputOnFailure([join(source, 'node_modules', program), ...args], { cwd: root, signal: programs.signal });
  const buildInfo = ['--incremental', '--tsBuildInfoFile', join(root, '..', 'types.tsbuildinfo')];
  return {
    ...repository,
    // On one core: several compilers at once do much of the work several times, and the other core has tests to run.
    compile: () =>
      node('typescript/bin/tsc', '-p', 'tsconfig.json', '--singleThreaded', '--pretty', 'false', ...buildInfo),
    build: () => outputOnFailure([join(root, 'scripts', 'build.mjs')], { cwd: root, signal: programs.signal }),
    lint: (files) => node('@biomejs/biome/bin/biome', 'check', ...files),
    test: (files) => node('vitest/vitest.mjs', 'run', ...files),
    reset() {
      programs.abort();
      programs = new AbortController();
      repository.git('reset', '-q', '--hard', created);
      repository.git('clean', '-fdq');
    },
  };
}

/** One folder above the checkout, where Node and the compiler look next: the packages of this checkout stay as they are. */
function installDependencies(folder: string, some: SkillInfo[]): void {
  const dependencies = Object.assign({}, ...some.map((skill) => skill.dependencies));
  if (Object.keys(dependencies).length === 0) return;
  // The same as this checkout's, so that the compiler sees its types once.
  const nodeTypes = z.object({ version: z.string() });
  const types = nodeTypes.parse(
    JSON.parse(readFileSync(join(source, 'node_modules/@types/node/package.json'), 'utf8')),
  );
  const overrides = { '@types/node': types.version };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies, overrides }));
  const args = [
    'install',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--omit=peer',
    '--prefer-offline',
    '--loglevel=error',
  ];
  execFileSync('npm', args, { cwd: folder, env: cleanEnvironment(), stdio: ['ignore', 'ignore', 'inherit'] });
}

async function outputOnFailure(args: string[], where: { cwd: string; signal: AbortSignal }): Promise<string> {
  const options = { ...where, env: cleanEnvironment(), maxBuffer: 64 * 1024 * 1024 };
  try {
    await run(process.execPath, args, options);
    return '';
  } catch (error) {
    const { stdout, stderr } = z.object({ stdout: z.string(), stderr: z.string() }).parse(error);
    return `${stdout}${stderr}` || String(error);
  }
}
