// Files of another assistant into groups/: never over one that is there, never through a symbolic link, and no keys.
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';

/**
 * @typedef {import('./migrate-plan.mjs').Plan} Plan
 * @typedef {{ key: string, path: string, bytes: number, content: () => Buffer, beside: boolean }} FileStep `key` names it in the record, `path` is below groups/
 */

/** Made by programs, or of no use without the old assistant. */
const NOT_COPIED = new Set(['.git', 'node_modules', 'logs', '.DS_Store', '.claude', '.openclaw', '.clawdhub', '.venv']);
const MAX_FILE_BYTES = 100 * 1024 * 1024;
const KEY_NAMES =
  /^\.env(\.|$)|\.(pem|key|p12|pfx|keystore)$|^id_(rsa|dsa|ecdsa|ed25519)|credential|secret|token|passw|^auth[\w-]*\.json$|^\.(netrc|npmrc|git-credentials|ssh|aws|gnupg)$/i;

/**
 * What to write, and what is left alone with the reason. A file in `done` was brought over before: what became of it since is the owner's.
 * @param {string} groups
 * @param {Plan} plan
 * @param {Set<string>} done
 */
export function planFiles(groups, plan, done) {
  /** @type {FileStep[]} */
  const steps = [];
  /** @type {string[]} */
  const same = [];
  /** @type {string[]} */
  const left = [];
  /** @param {string} key @param {() => Buffer} content */
  const add = (key, content) => {
    if (done.has(key)) return;
    const bytes = content();
    const place = placeFor(groups, key, bytes, plan.from);
    if (place.kind === 'write')
      steps.push({ key, path: place.path, bytes: bytes.length, content, beside: place.path !== key });
    if (place.kind === 'same') same.push(key);
    if (place.kind === 'left') left.push(`groups/${key}: ${place.why}`);
  };
  for (const { from, to, only } of plan.folders) {
    if (!lstatSync(from, { throwIfNoEntry: false })?.isDirectory()) left.push(`${from}: it is no folder`);
    else
      for (const path of filesOf(from, left))
        if (!only || only.some((one) => path === one || path.startsWith(`${one}/`)))
          add(`${to}/${path}`, () => readFileSync(join(from, path)));
  }
  for (const { to, file, text } of plan.texts) add(`${to}/${file}`, () => Buffer.from(text));
  return { steps, same, left, foreign: foreignFiles(steps, plan.foreign) };
}

/** Files below a folder, relative; what is passed over for a reason goes to `left`. @param {string} top @param {string[]} left */
function filesOf(top, left) {
  /** @type {string[]} */
  const found = [];
  /** @param {string} below */
  const walk = (below) => {
    for (const entry of readdirSync(join(top, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (NOT_COPIED.has(entry.name)) continue;
      if (KEY_NAMES.test(entry.name))
        left.push(`${join(top, path)}: it may hold a key; copy it yourself if the agent may read it`);
      else if (entry.isSymbolicLink()) left.push(`${join(top, path)}: a symbolic link`);
      else if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && lstatSync(join(top, path)).size <= MAX_FILE_BYTES) found.push(path);
      else left.push(`${join(top, path)}: larger than 100 MB, or no plain file`);
    }
  };
  walk('');
  return found.sort();
}

/** @param {string} groups @param {string} key @param {Buffer} content @param {string} from */
function placeFor(groups, key, content, from) {
  const other = `${key.slice(0, key.length - extname(key).length)}.from-${from}${extname(key)}`;
  for (const path of [key, other]) {
    const blocked = blockedBy(groups, path);
    if (blocked) return { kind: /** @type {const} */ ('left'), why: `${blocked} is in the way` };
    if (!lstatSync(join(groups, path), { throwIfNoEntry: false }))
      return { kind: /** @type {const} */ ('write'), path };
    const there = inFolder(groups, dirname(path), () => readPlain(basename(path)));
    if (there && hash(there) === hash(content)) return { kind: /** @type {const} */ ('same') };
  }
  return { kind: /** @type {const} */ ('left'), why: 'another one is there, and one beside it too' };
}

/** The first folder on the way that is none: an agent can write here, and must not lead us elsewhere. @param {string} groups @param {string} path */
function blockedBy(groups, path) {
  const parts = path.split('/');
  for (let count = 1; count < parts.length; count += 1) {
    const part = parts.slice(0, count).join('/');
    const stat = lstatSync(join(groups, part), { throwIfNoEntry: false });
    if (!stat) return undefined;
    if (!stat.isDirectory()) return part;
  }
  return undefined;
}

/** Throws when something came into the way meanwhile. @param {string} groups @param {FileStep} step */
export function writeFile(groups, { path, content }) {
  mkdirSync(groups, { recursive: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  inFolder(groups, dirname(path), () => {
    const file = openSync(basename(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
    try {
      writeFileSync(file, content());
      if (isRoot()) fchownSync(file, CONTAINER_ID, CONTAINER_ID);
    } finally {
      closeSync(file);
    }
  });
}

/**
 * Runs `act` inside a folder below groups/, made when it is missing. An agent may work there and put a link in the place of any folder at any
 * moment: each one is opened without following a link, and we go on only from inside the one that was opened.
 * @template T
 * @param {string} groups
 * @param {string} path
 * @param {() => T} act uses bare names
 */
function inFolder(groups, path, act) {
  const back = process.cwd();
  process.chdir(groups);
  try {
    for (const name of path.split('/')) goInto(name);
    return act();
  } finally {
    process.chdir(back);
  }
}

/** @param {string} name */
function goInto(name) {
  const isNew = !lstatSync(name, { throwIfNoEntry: false });
  if (isNew) mkdirSync(name);
  const opened = openSync(name, constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    if (isNew && isRoot()) fchownSync(opened, CONTAINER_ID, CONTAINER_ID);
    process.chdir(name);
    const [want, got] = [fstatSync(opened), statSync('.')];
    if (want.ino !== got.ino || want.dev !== got.dev) throw new Error(`${name} was exchanged meanwhile`);
  } finally {
    closeSync(opened);
  }
}

/** Nothing for what is no plain file; a FIFO does not block. @param {string} name */
function readPlain(name) {
  if (!lstatSync(name, { throwIfNoEntry: false })?.isFile()) return undefined;
  const file = openSync(name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return fstatSync(file).isFile() ? readFileSync(file) : undefined;
  } finally {
    closeSync(file);
  }
}

/** Whose files a container's are when the daemon is root (src/sandbox/home.ts). */
const CONTAINER_ID = 1000;
const isRoot = () => process.getuid?.() === 0;

/** @param {Buffer} content */
const hash = (content) => createHash('sha256').update(content).digest('hex');

/** Memory that speaks of tools and paths of the old assistant. @param {FileStep[]} steps @param {string[]} words */
function foreignFiles(steps, words) {
  return steps.flatMap(({ path, content }) => {
    if (!/\.md$/.test(basename(path))) return [];
    const text = content().toString();
    const found = words.filter((word) => text.includes(word));
    return found.length === 0 ? [] : [{ path, words: found }];
  });
}
