// Somebody who has never seen the code adds a toy channel and a toy tool by following CLAUDE.md alone, in a copy of this checkout:
// one new file and one line each, and the channel's entry in the contract.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { PROOF_MS } from './limits.js';
import { type Checkout, createCheckout } from './skills/checkout.js';

const channels = 'src/channels/index.ts';
const contract = 'src/channels/contract.test.ts';
const tools = 'container/agent-runner/src/tools';

let checkout: Checkout;
beforeAll(() => {
  checkout = createCheckout([]);
}, PROOF_MS);
afterEach(() => checkout.reset());
afterAll(() => checkout.close());

const toy = (name: string) => readFileSync(join(import.meta.dirname, 'skills', 'toy', `${name}.txt`), 'utf8');

/** The new lines directly before the one that begins so. */
function insert(path: string, before: string, lines: string): void {
  const text = checkout.read(path);
  const at = text.indexOf(`\n${before}`) + 1;
  expect(at, `${path} has no line that begins with ${before}`).toBeGreaterThan(0);
  checkout.write(path, text.slice(0, at) + lines + text.slice(at));
}

/** What the person changed: lines added and removed per file there was, and the new files. */
const changes = () => ({
  edited: checkout.git('diff', '--numstat').split('\n').filter(Boolean),
  created: checkout.git('ls-files', '--others', '--exclude-standard').split('\n').filter(Boolean),
});

/** It compiles, these files are clean and these tests pass. */
async function expectSound(files: string[], tests: string[]): Promise<void> {
  const said = await Promise.all([checkout.compile(), checkout.lint(files), checkout.test(tests)]);
  expect(said).toEqual(['', '', '']);
}

test.each([
  ['## Add a channel', ['src/channels/<name>.ts', channels, contract, '`receiving`']],
  ['## Add a tool', [`${tools}/`, 'tools/families.ts', 'context.ts']],
])('the guide says under "%s" where the things are', (title, paths) => {
  const section = checkout.read('CLAUDE.md').split(`\n${title}`)[1]?.split('\n## ')[0];
  for (const path of paths) expect(section).toContain(path);
});

test(
  'a toy channel is one file and one line, and with its entry it keeps the whole contract',
  async () => {
    checkout.write('src/channels/folder.ts', toy('channel'));
    insert(channels, 'export { telegram }', "export { folder } from './folder.js';\n");
    expect(changes()).toEqual({ edited: [`1\t0\t${channels}`], created: ['src/channels/folder.ts'] });
    insert(
      contract,
      'import { BufferJSON }',
      "import fs from 'node:fs';\nimport os from 'node:os';\nimport path from 'node:path';\n",
    );
    insert(contract, 'import { telegram }', "import { folder } from './folder.js';\n");
    insert(contract, 'const receiving = ', toy('platform'));
    checkout.write(contract, checkout.read(contract).replace('const receiving = {', '$& folder: folderPlatform,'));
    // A pattern that fits no title would run nothing, and pass.
    for (const title of ['keeps the contract', 'loses nothing'])
      expect(checkout.read('src/channels/testing/contract.ts')).toContain(`\${name} ${title}`);
    await expectSound(['src/channels/folder.ts', channels], [contract, '-t', '^folder ']);
  },
  PROOF_MS,
);

test(
  'a toy tool is one file and one line, and the model can call it',
  async () => {
    checkout.write(`${tools}/words.ts`, toy('tool'));
    checkout.write(
      `${tools}/families.ts`,
      `${checkout.read(`${tools}/families.ts`)}export { wordTools } from './words.js';\n`,
    );
    expect(changes()).toEqual({ edited: [`1\t0\t${tools}/families.ts`], created: [`${tools}/words.ts`] });
    checkout.write(`${tools}/words.test.ts`, toy('tool-test'));
    await expectSound([`${tools}/words.ts`, `${tools}/families.ts`], [`${tools}/words.test.ts`]);
  },
  PROOF_MS,
);
