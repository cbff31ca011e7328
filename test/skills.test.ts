// Every skill of this checkout: applied alone, all together and in random company to a copy of it, compiled, tested and removed again.
// There is one copy with one installation of all their packages; each test finds it as it was made.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../src/cli.js';
import { PROOF_MS } from './limits.js';
import { type Checkout, createCheckout, type SkillInfo, skills } from './skills/checkout.js';

const SUBSETS = 3;
const read = (path: string) => readFileSync(join(import.meta.dirname, '..', path), 'utf8');

let checkout: Checkout;
let clean: string;

beforeAll(() => {
  checkout = createCheckout(skills);
  clean = checkout.tree();
}, PROOF_MS);
afterEach(() => checkout.reset());
afterAll(() => checkout.close());

const command = (verb: string, names: string[]) => {
  const answer = checkout.skill([verb, ...names, '--yes', '--no-install']);
  expect(answer, `${verb} ${names.join(' ')}\n${answer.stderr}`).toMatchObject({ code: 0 });
};

/** What a tree was found to be, by its name: most skills leave the same one. */
const verdicts = new Map<string, Promise<string>>();
function compiled(): Promise<string> {
  const tree = checkout.tree();
  const verdict = verdicts.get(tree) ?? checkout.compile();
  verdicts.set(tree, verdict);
  return verdict;
}

const filesOf = (some: SkillInfo[]) => some.flatMap(({ files }) => Object.values(files));
const testsOf = (some: SkillInfo[]) => filesOf(some).filter((path) => path.endsWith('.test.ts'));

/** What the compiler, the linter and these tests say of the checkout as it is. */
async function expectSound(some: SkillInfo[], tests = testsOf(some)): Promise<void> {
  const code = filesOf(some).filter((path) => /\.(ts|mjs|json)$/.test(path));
  const [types, lint, failures] = await Promise.all([
    compiled(),
    code.length > 0 ? checkout.lint([...code, 'src/channels/index.ts', 'package.json']) : '',
    tests.length > 0 ? checkout.test(tests) : '',
  ]);
  expect({ types, lint, failures }).toEqual({ types: '', lint: '', failures: '' });
}

/** Tests against a real server of the platform take longest, and no file of another skill is loaded by them: they run once, alone. */
const startsServer = (path: string) => /from '[^']*-server\.js'/.test(checkout.read(path));

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
  '$name alone: it compiles, its tests pass, and afterwards nothing is left of it',
  async (skill) => {
    command('apply', [skill.name]);
    await expectSound(closed([skill]));
    command(
      'remove',
      closed([skill]).map(({ name }) => name),
    );
    expect(checkout.status()).toBe('');
  },
  PROOF_MS,
);

test(
  'all together: they compile, their tests pass, and afterwards nothing is left of them',
  async () => {
    const names = skills.map(({ name }) => name);
    command('apply', names);
    const together = checkout.tree();
    await expectSound(
      skills,
      testsOf(skills).filter((path) => !startsServer(path)),
    );
    command('remove', names);
    expect(checkout.status()).toBe('');
    command('apply', names.toReversed());
    expect(checkout.tree()).toBe(together);
    command('remove', names.toReversed());
    expect(checkout.status()).toBe('');
  },
  PROOF_MS,
);

describe('random company', () => {
  const seed = Number(process.env.PINCH_TEST_SEED ?? Date.now() % 1_000_000);
  const random = randomFrom(seed);
  const shuffled = (some: SkillInfo[]) =>
    some
      .map((one) => ({ one, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ one }) => one);
  const subsets = Array.from({ length: SUBSETS }, () => shuffled(skills.filter(() => random() < 0.5)));

  test.each(subsets.map((subset) => ({ subset, names: subset.map(({ name }) => name).join(' ') || 'nobody' })))(
    `one after the other: $names (PINCH_TEST_SEED=${seed})`,
    async ({ subset }) => {
      const all = closed(subset);
      for (const { name } of subset) {
        command('apply', [name]);
        checkout.commit();
      }
      const tree = checkout.tree();
      expect(await compiled()).toBe('');
      for (const { name } of leaving(shuffled(all))) {
        command('remove', [name]);
        checkout.commit();
      }
      expect(checkout.tree()).toBe(clean);
      if (all.length > 0) command('apply', all.map(({ name }) => name).sort());
      expect(checkout.tree()).toBe(tree);
      if (all.length > 0)
        command(
          'remove',
          all.map(({ name }) => name),
        );
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

  test('what it configures is what its skill.json lists', () => {
    for (const variable of env) expect(manual, `${name} says nothing of it`).toContain(variable.name);
  });
});
