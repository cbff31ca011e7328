// Stands in for Apple's `container` command: `node fake-container.mjs <folder> <arguments>…`. As strict with options as the real one;
// a container is a process of `<folder>/runner.cjs` that is told where its mounts are, and a file in `<folder>/state`.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder = '', command = '', ...args] = process.argv.slice(2);
const state = join(folder, 'state');
mkdirSync(state, { recursive: true });

/** Options of each command: how many values each takes. */
const known = {
  run: {
    ...Object.fromEntries(['--interactive', '--rm', '--read-only', '--init'].map((name) => [name, 0])),
    ...Object.fromEntries(
      [
        'name',
        'label',
        'progress',
        'network',
        'cap-drop',
        'user',
        'cpus',
        'memory',
        'shm-size',
        'ulimit',
        'mount',
        'workdir',
        'env',
      ].map((name) => [`--${name}`, 1]),
    ),
  },
  list: { '--all': 0, '--quiet': 0 },
  delete: { '--force': 0 },
};

function fail(message, code = 1) {
  process.stderr.write(`Error: ${message}\n`);
  process.exit(code);
}

/** The options as pairs, and what follows them. */
function parse(allowed) {
  const options = [];
  let at = 0;
  for (; args[at]?.startsWith('-'); at += 1) {
    const name = args[at];
    if (!(name in allowed)) fail(`Unknown option '${name}'`, 64);
    if (allowed[name] === 1) at += 1;
    options.push([name, allowed[name] === 1 ? args[at] : '']);
  }
  return { options, rest: args.slice(at) };
}

const commands = {
  run({ options, rest: [image] }) {
    const all = (name) => options.filter(([one]) => one === name).map(([, value]) => value);
    const [name] = all('--name');
    appendFileSync(join(folder, 'runs.jsonl'), `${JSON.stringify(args)}\n`);
    if (image !== readFileSync(join(folder, 'image'), 'utf8')) fail(`image not found: ${image}`);
    if (existsSync(join(state, name))) fail(`container with id ${name} already exists`);
    const mounts = all('--mount').map((mount) => Object.fromEntries(mount.split(',').map((part) => part.split('='))));
    const bound = mounts.filter(({ type }) => type === 'bind');
    for (const { source } of bound) if (!existsSync(source)) fail(`path ${source} does not exist`);
    // Nothing is at /workspace here: its place is in PINCH_RUNNER_WORKSPACE, and so with every folder.
    const places = bound.map(({ source, target }) => [`PINCH_RUNNER_${target.slice(1).toUpperCase()}`, source]);
    const env = { PATH: process.env.PATH, PINCH_RUNNER_PORT: '0', ...Object.fromEntries(places) };
    for (const pair of all('--env')) env[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);
    const stdin = all('--interactive').length > 0 ? 'inherit' : 'ignore';
    const child = spawn(process.execPath, [join(folder, 'runner.cjs')], {
      env,
      detached: true,
      stdio: [stdin, 'inherit', 'inherit'],
    });
    writeFileSync(join(state, name), String(child.pid));
    child.on('exit', (code) => {
      if (all('--rm').length > 0) rmSync(join(state, name), { force: true });
      process.exit(code ?? 137);
    });
  },
  list({ options }) {
    if (options.length !== 2) fail('the fake knows `list --all --quiet` only');
    process.stdout.write(
      readdirSync(state)
        .map((name) => `${name}\n`)
        .join(''),
    );
  },
  delete({ rest }) {
    for (const name of rest) {
      if (!existsSync(join(state, name))) fail(`container with id ${name} not found`);
      const pid = Number(readFileSync(join(state, name), 'utf8'));
      rmSync(join(state, name));
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
      process.stdout.write(`${name}\n`);
    }
  },
};

if (existsSync(join(folder, 'down'))) fail('XPC connection error: Connection invalid');
if (!(command in commands)) fail(`Unexpected argument '${command}'`, 64);
commands[command](parse(known[command]));
