// Every skill of this checkout: applied to a copy of it and removed again, alone, in random company and all together; compiled and tested in
// company, and held to be alone there: no file of a skill reaches one of a skill that it does not require, or its packages.
// There is one copy with one installation of all their packages; each test finds it as it was made.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { commands } from '../src/cli.js';
import { readServices, variablesOf } from '../src/services/list.js';
import { serverVariables } from '../src/services/servers.js';
import { PROOF_MS } from './limits.js';
import { type Checkout, createCheckout, type SkillInfo, skills } from './skills/checkout.js';
import { servicesOf } from './skills/services.js';

const withPackages = z.object({ packages: z.array(z.string()).default([]) });
const SHIPPED = 'container/agent-runner/src/shipped-skills.test.ts';
const read = (path: string) => readFileSync(join(import.meta.dirname, '..', path), 'utf8');

let checkout: Checkout;
let clean: string;
/** The owner's, with services.json; what skills ask for is as in their examples. */
const home = mkdtempSync(join(tmpdir(), 'pinch-skills-home-'));
const given = (some: SkillInfo[]) =>
  Object.fromEntries(some.flatMap(({ env }) => env.map(({ name, example = '' }) => [name, example])));

beforeAll(() => {
  checkout = createCheckout(skills);
  clean = checkout.tree();
}, PROOF_MS);
afterEach(() => {
  checkout.reset();
  rmSync(join(home, 'services.json'), { force: true });
});
afterAll(() => {
  checkout.close();
  rmSync(home, { recursive: true });
});

const command = (verb: string, names: string[]) => {
  const answer = checkout.skill([verb, ...names, '--yes', '--no-install'], { ...given(skills), PINCH_HOME: home });
  expect(answer, `${verb} ${names.join(' ')}\n${answer.stderr}`).toMatchObject({ code: 0 });
};

const filesOf = (some: SkillInfo[]) => some.flatMap(({ files }) => Object.values(files));
/** Their own, and that of the agents' skills when they bring some. */
const testsOf = (some: SkillInfo[]) => [
  ...filesOf(some).filter((path) => path.endsWith('.test.ts')),
  ...(filesOf(some).some((path) => path.startsWith('container/skills/')) ? [SHIPPED] : []),
];

/** Names of the services that the owner has. */
function servicesThere(): string[] {
  const file = join(home, 'services.json');
  return existsSync(file)
    ? Object.keys(z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(file, 'utf8'))))
    : [];
}
const servicesBy = (some: SkillInfo[]) => some.flatMap(({ services }) => Object.keys(services)).sort();

/** What the compiler, the linter and these tests say of the checkout as it is. */
async function expectSound(some: SkillInfo[], tests: string[]): Promise<void> {
  const code = filesOf(some).filter((path) => /\.(ts|mjs|json)$/.test(path));
  const [types, lint, failures] = await Promise.all([
    checkout.compile(),
    code.length > 0 ? checkout.lint([...code, 'src/channels/index.ts', 'package.json']) : '',
    tests.length > 0 ? checkout.test(tests) : '',
  ]);
  expect({ types, lint, failures }).toEqual({ types: '', lint: '', failures: '' });
}

/** With what they require, and those required first. */
function closed(some: SkillInfo[]): SkillInfo[] {
  const required = skills.filter(({ name }) => some.some(({ requires }) => requires.includes(name)));
  return required.length === 0 ? some : [...new Set([...closed(required), ...some])];
}

/** In an order in which they can go: what another one requires goes after it. */
function leaving(some: SkillInfo[]): SkillInfo[] {
  const next = some.find(({ name }) => !some.some(({ requires }) => requires.includes(name)));
  return next ? [next, ...leaving(some.filter((skill) => skill !== next))] : [];
}

test('all of them are well made', () => {
  expect(checkout.skill(['check', '--no-install'])).toMatchObject({ code: 0, stderr: '' });
});

test.each(skills)(
  '$name alone: it comes, and afterwards nothing is left of it',
  (skill) => {
    command('apply', [skill.name]);
    expect(servicesThere().sort()).toEqual(servicesBy(closed([skill])));
    command(
      'remove',
      closed([skill]).map(({ name }) => name),
    );
    expect(checkout.status()).toBe('');
    expect(servicesThere()).toEqual([]);
  },
  PROOF_MS,
);

const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, found = '']) => found);
/** All modules that a text names, those of types and of calls too. */
const modulesIn = (text: string) =>
  matches(text, /\b(?:from|import|import\(|require\(|resolve\(|URL\()\s*'([^'\n]+)'/g);
const withoutEnding = (path: string) => path.replace(/(\.d)?\.[cm]?[jt]sx?$/, '');
const codeOf = (some: SkillInfo[]) => filesOf(some).filter((path) => /\.[cm]?[jt]sx?$/.test(path));

test('what a skill needs is its own, of what it requires or of Pinch: in any company it is what it is alone', () => {
  command(
    'apply',
    skills.map(({ name }) => name),
  );
  const isOfPinch = (name: string) => existsSync(join(import.meta.dirname, '..', 'node_modules', name));
  // A program of a container has packages of its own.
  const packagesOf = (some: SkillInfo[]) =>
    some.flatMap(({ dependencies, services }) => [
      ...Object.keys(dependencies),
      ...Object.values(services).flatMap((one) =>
        withPackages.parse(one).packages.map((id) => id.replace(/@[^@/]+$/, '')),
      ),
    ]);
  // Types that one file says for all of them.
  const declaredBy = (some: SkillInfo[]) =>
    codeOf(some).flatMap((path) => matches(checkout.read(path), /^declare (global|module '[^']+')/gm));
  const wrong = skills.flatMap((skill) => {
    const own = closed([skill]);
    const others = skills.filter((one) => !own.includes(one));
    const without = (theirs: string[], ours: string[]) => theirs.filter((one) => !ours.includes(one));
    const files = without(codeOf(others), codeOf(own)).map(withoutEnding);
    const packages = without(packagesOf(others), packagesOf(own)).filter((name) => !isOfPinch(name));
    const declared = without(declaredBy(others), declaredBy(own));
    const isNamed = (name: string) => declared.includes(`module '${name}'`) && !isOfPinch(name);
    const isTheirs = (path: string, name: string) =>
      name.startsWith('.')
        ? files.includes(withoutEnding(join(dirname(path), name)))
        : isNamed(name) || packages.some((one) => `${name}/`.startsWith(`${one}/`));
    const reached = codeOf([skill]).flatMap((path) =>
      modulesIn(checkout.read(path)).flatMap((name) => (isTheirs(path, name) ? `${path}: ${name}` : [])),
    );
    return [...reached, ...declaredBy([skill]).filter((one) => one === 'global')];
  });
  expect(wrong).toEqual([]);
});

test(
  'all together: they compile, and afterwards nothing is left of them',
  async () => {
    const names = skills.map(({ name }) => name);
    command('apply', names);
    const together = checkout.tree();
    await expectSound(skills, []);
    command('remove', names);
    expect({ status: checkout.status(), services: servicesThere() }).toEqual({ status: '', services: [] });
    command('apply', names.toReversed());
    expect(checkout.tree()).toBe(together);
    expect(servicesThere().sort()).toEqual(servicesBy(skills));
    command('remove', names.toReversed());
    expect(checkout.status()).toBe('');
  },
  PROOF_MS,
);

describe('random company', () => {
  const seed = Number(process.env.PINCH_TEST_SEED ?? 613_207);
  const random = randomFrom(seed);
  const shuffled = (some: SkillInfo[]) =>
    some
      .map((one) => ({ one, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ one }) => one);
  /** Each of them in one half: its tests run without about half of the others. */
  const inOrder = shuffled(skills);
  const halves = [inOrder.slice(0, inOrder.length / 2), inOrder.slice(inOrder.length / 2)];

  test.each(halves.map((half) => ({ half, names: half.map(({ name }) => name).join(' ') })))(
    `one after the other, they compile, their tests pass: $names (PINCH_TEST_SEED=${seed})`,
    async ({ half }) => {
      const all = closed(half);
      for (const { name } of half) {
        command('apply', [name]);
        checkout.commit();
      }
      const tree = checkout.tree();
      await expectSound(all, testsOf(half));
      for (const { name } of leaving(shuffled(all))) {
        command('remove', [name]);
        checkout.commit();
      }
      expect(checkout.tree()).toBe(clean);
      expect(servicesThere()).toEqual([]);
      const names = all.map(({ name }) => name);
      command('apply', names.toSorted());
      expect(checkout.tree()).toBe(tree);
      command('remove', names);
      expect(checkout.status()).toBe('');
    },
    PROOF_MS,
  );
});

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe.each(skills)('what $name tells is true', ({ name, manual, env, files }) => {
  const all = (pattern: RegExp) => [...manual.matchAll(pattern)].map(([, found = '']) => found);

  test('its npm scripts and its pinch commands exist', () => {
    const { scripts } = JSON.parse(read('package.json'));
    for (const script of all(/npm run (?:-s )?([\w-]+)/g)) expect(Object.keys(scripts)).toContain(script);
    const verbs = ['help', ...commands.map(({ usage }) => usage.split(' ')[0])];
    for (const verb of all(/npm run -s pinch -- ([\w-]+)/g)) expect(verbs).toContain(verb);
    for (const verb of all(/npm run skill -- ([\w-]+)/g))
      expect(['list', 'apply', 'remove', 'check', 'new']).toContain(verb);
    for (const other of all(/npm run skill -- (?:apply|remove) ([\w-]+)/g))
      expect(skills.map((one) => one.name)).toContain(other);
  });

  test('the variables and the files it names exist', () => {
    const known = new Set(read('.env.example').match(/[A-Z][A-Z0-9_]{2,}/g));
    for (const variable of [...env.map((one) => one.name), 'PINCH_HOME']) known.add(variable);
    for (const variable of all(/`([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])(?:=[^`]*)?`/g)) expect(known).toContain(variable);
    for (const path of all(/`((?:src|test|docs|container|scripts|skills)\/[\w./-]+\.\w+)`/g))
      if (!Object.values(files).includes(path)) expect(() => read(path), path).not.toThrow();
  });

  test('its services are such that Pinch uses them, with the variables that it asks for', () => {
    const list = servicesOf(name, given(skills));
    const folder = mkdtempSync(join(home, 'one-'));
    mkdirSync(join(folder, 'groups'));
    writeFileSync(join(folder, 'services.json'), JSON.stringify(list), { mode: 0o600 });
    const config = { home: folder, groupsDir: join(folder, 'groups'), dataDir: join(folder, 'data') };
    const { services, servers, problems } = readServices(config);
    const names = [...services, ...servers].map((one) => one.name);
    expect({ problems, names }).toEqual({ problems: [], names: Object.keys(list) });
    for (const variable of [...services.flatMap(variablesOf), ...servers.flatMap(serverVariables)])
      expect(env.map((one) => one.name)).toContain(variable);
  });

  test('what it configures is what its skill.json lists', () => {
    for (const variable of env) expect(manual, `${name} says nothing of it`).toContain(variable.name);
  });
});
