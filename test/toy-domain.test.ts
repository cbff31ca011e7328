// Somebody adds a toy domain by following CLAUDE.md alone, in a copy of this checkout: one folder, its migration, its lines in the lists. A real
// daemon then has its table, its call for containers, its chat command, its API and its terminal line. Removed again, nothing is left.
import { execFile } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { containersOf, type DaemonProcess, eventually, removeHome, startDaemon } from './e2e/harness.js';
import { PROOF_MS } from './limits.js';
import { type Checkout, createCheckout } from './skills/checkout.js';

let checkout: Checkout;
beforeAll(() => {
  checkout = createCheckout([]);
}, PROOF_MS);
afterAll(() => checkout.close());

const folder = 'src/shelf';
const toy = (name: string) => readFileSync(join(import.meta.dirname, 'skills', 'toy', 'domain', `${name}.txt`), 'utf8');

/** `[file, what is there, with the new domain's line]`. */
const lines: [file: string, before: string, after: string][] = [
  ['test/floors.test.ts', "['tasks']", "['tasks', 'shelf']"],
  [
    'src/store.ts',
    'import { createTaints }',
    "import { createShelf } from './shelf/rows.js';\nimport { createTaints }",
  ],
  ['src/store.ts', '    tasks: ', '    shelf: createShelf(statements),\n    tasks: '],
  [
    'src/retention/tables.ts',
    '  tasks: {',
    "  shelf: { kept: 'bounded', why: 'one row per thing of a group' },\n  tasks: {",
  ],
  ['src/main.ts', 'import { openStore', "import { createShelfModule } from './shelf/shelf.js';\nimport { openStore"],
  [
    'src/main.ts',
    '  const progress = ',
    '  const shelf = createShelfModule(base);\n  gateway.add(shelf.routes);\n  const progress = ',
  ],
  ['src/main.ts', 'runs, tasks, egress };', 'runs, tasks, egress, shelf };'],
  ['src/main.ts', 'tasks, egress } = parts;', 'tasks, egress, shelf } = parts;'],
  ['src/main.ts', '    ...tasks.commands,\n', '    ...tasks.commands,\n    ...shelf.commands,\n'],
  ['src/main.ts', '    tasks.api,\n', '    tasks.api,\n    shelf.api,\n'],
  [
    'src/cli.ts',
    'import { taskCommand }',
    "import { shelfTerminal } from './shelf/terminal.js';\nimport { taskCommand }",
  ],
  ['src/cli.ts', '  ...taskTerminal,\n', '  ...taskTerminal,\n  ...shelfTerminal,\n'],
];

function addDomain(): void {
  for (const name of ['rows', 'shelf', 'terminal']) checkout.write(`${folder}/${name}.ts`, toy(name));
  checkout.write('src/core/migrations/9999-shelf.sql', toy('migration'));
  for (const [file, before, after] of lines) {
    const text = checkout.read(file);
    expect(text.split(before), `${file} has ${before} once`).toHaveLength(2);
    checkout.write(
      file,
      text.replace(before, () => after),
    );
  }
}

test('the guide says where each of these lines belongs', () => {
  const guide = checkout.read('CLAUDE.md');
  for (const file of new Set(lines.map(([file]) => file))) expect(guide).toContain(file.replace('src/', ''));
});

test(
  'a toy domain is one folder and its lines, and all of it works in a daemon',
  async () => {
    addDomain();
    expect(await checkout.compile()).toBe('');
    expect(await checkout.build()).toBe('');
    expect(await checkout.lint([folder, ...new Set(lines.map(([file]) => file))])).toBe('');
    expect(await checkout.test(['test/floors.test.ts', 'src/store.test.ts', 'src/retention/tables.test.ts'])).toBe('');
    copyFileSync(
      join(import.meta.dirname, '..', 'dist', 'agent-image.json'),
      join(checkout.root, 'dist', 'agent-image.json'),
    );
    const daemon = await startDaemon({ repository: checkout.root });
    try {
      await tryDomain(daemon);
    } finally {
      await daemon.kill('SIGTERM');
      removeHome(daemon.home);
    }
    checkout.reset();
    expect(checkout.git('status', '--porcelain', '--', 'src', 'test')).toBe('');
  },
  PROOF_MS,
);

async function tryDomain(daemon: DaemonProcess): Promise<void> {
  await daemon.api('POST', '/api/chat', { text: '/shelf milk' });
  const said = () => daemon.api('GET', '/api/chat/messages').then(({ body }) => JSON.stringify(body));
  await eventually(async () => (await said()).includes('On the shelf: milk.'), 'the command is answered');
  await daemon.api('POST', '/api/chat', { text: 'hello' });
  await eventually(async () => {
    const [container] = await containersOf(daemon.home);
    // Until its runner listens nothing answers there.
    const answer = container && (await fromInside(container.Id, '/shelf', { name: 'bread' }).catch(() => ''));
    return answer?.includes('["milk","bread"]');
  }, 'the call of a container is answered');
  expect(await daemon.api('GET', '/api/shelf')).toMatchObject({
    body: { shelf: [{ folder: 'main', names: ['milk', 'bread'] }] },
  });
  const pinch = `import('./dist/cli.js').then(({ runCli }) => runCli(process.argv.slice(1)))`;
  const env = { ...process.env, PINCH_HOME: daemon.home, PINCH_PORT: String(daemon.port) };
  const terminal = (...args: string[]) =>
    promisify(execFile)('node', ['-e', pinch, ...args], { cwd: checkout.root, env });
  expect((await terminal('shelf')).stdout).toBe('main: milk, bread\n');
  expect((await terminal('help')).stdout).toContain('what is on the shelf of each group');
}

/** What the gateway answers a program in the container. */
async function fromInside(containerId: string, path: string, body: object): Promise<string> {
  const program = `fetch('http://127.0.0.1:8080${path}', { method: 'POST', headers: { 'content-type': 'application/json' }, body: ${JSON.stringify(JSON.stringify(body))} }).then((r) => r.text()).then(console.log)`;
  const exec = await new Docker()
    .getContainer(containerId)
    .exec({ Cmd: ['node', '-e', program], AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({});
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}
