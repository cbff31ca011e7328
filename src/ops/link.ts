// `pinch link`: a small launcher in a folder of the PATH, so that `pinch …` works in every folder. It never takes the place of a file
// that is not such a launcher of this checkout.
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join, sep } from 'node:path';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { stableNode } from './service-node.js';
import type { Machine } from './service-unit.js';

export interface LinkDeps {
  config: Pick<Config, 'home' | 'repository'>;
  machine: Pick<Machine, 'home' | 'env' | 'node' | 'uid'>;
}

const MARK = '# The command of the Pinch in ';

/** Puts the launcher in its place; harmless when repeated. Returns what to say. Throws PinchError `link_foreign`. */
export function linkCommand(deps: LinkDeps): string {
  const folder = linkFolder(deps);
  const file = join(folder, 'pinch');
  const owner = ownerOf(file);
  const other = owner !== undefined && owner !== deps.config.repository;
  if (other && (owner === '' || existsSync(owner)))
    throw new PinchError(
      'link_foreign',
      `${file} ${owner === '' ? 'is another program' : `belongs to the Pinch in ${owner}`}`,
      {
        hint: owner === '' ? 'move it away, then try again' : 'run `pinch unlink`, then this again',
      },
    );
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const next = `${file}.${process.pid}`;
  writeFileSync(next, launcher(deps), { flag: 'wx' });
  // It holds no secret, and the umask here is for files that do.
  chmodSync(next, 0o755);
  renameSync(next, file);
  return `${file} starts the commands of this Pinch${pathNote(deps, folder)}`;
}

/** Removes it. Harmless when there is none. */
export function unlinkCommand(deps: LinkDeps): string {
  const ours = folders(deps)
    .map((folder) => join(folder, 'pinch'))
    .filter((file) => ownerOf(file) === deps.config.repository);
  for (const file of ours) rmSync(file);
  return ours.length > 0 ? `removed ${ours.join(', ')}` : 'no `pinch` of this checkout is on the PATH';
}

/** Whose launcher lies there: a checkout's, or '' for anything else; undefined for nothing. */
function ownerOf(file: string): string | undefined {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (!stat) return undefined;
  if (!stat.isFile() || stat.size > 10_000) return '';
  const line = readFileSync(file, 'utf8').split('\n')[1] ?? '';
  return line.startsWith(MARK) ? line.slice(MARK.length) : '';
}

const onPath = ({ machine }: LinkDeps): string[] => (machine.env.PATH ?? '').split(delimiter).filter(Boolean);
const preferred = ({ machine }: LinkDeps): string[] => [join(machine.home, '.local', 'bin'), join(machine.home, 'bin')];
const folders = (deps: LinkDeps): string[] => [...new Set([...preferred(deps), ...onPath(deps)])];

/** The user's own folder of the PATH, likeliest first; `~/.local/bin` where there is none. */
function linkFolder(deps: LinkDeps): string {
  const path = onPath(deps);
  const { home, uid } = deps.machine;
  const own = path.filter((folder) => folder.startsWith(home + sep) && !folder.includes(`node_modules${sep}`));
  const likely = [...preferred(deps).filter((folder) => path.includes(folder)), ...own.filter(isPlain)];
  const ofRoot = uid === 0 && path.includes('/usr/local/bin') ? ['/usr/local/bin'] : [];
  return [...likely, ...ofRoot].find(isWritable) ?? join(home, '.local', 'bin');
}

/** Folders of version managers come and go with the version. */
const isPlain = (folder: string): boolean => !/\d+\.\d+|nvm|fnm|volta|asdf|mise/.test(folder);

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return statSync(folder).isDirectory();
  } catch {
    return false;
  }
}

/** What stands in the way of writing just `pinch`. */
function pathNote(deps: LinkDeps, folder: string): string {
  const path = onPath(deps);
  if (!path.includes(folder))
    return `; its folder is not in your PATH: add the line  export PATH="${folder}:$PATH"  to ~/.profile (zsh: ~/.zprofile) and open a new terminal`;
  const before = path.slice(0, path.indexOf(folder)).find((other) => existsSync(join(other, 'pinch')));
  return before ? `, but ${join(before, 'pinch')} comes before it in your PATH` : ': `pinch status`';
}

function launcher({ config, machine }: LinkDeps): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const program = quoted(join(config.repository, 'scripts', 'pinch.mjs'));
  return [
    '#!/bin/sh',
    `${MARK}${config.repository}`,
    '# `pinch unlink` removes it.',
    `program=${program}`,
    `node=${quoted(stableNode(machine.node, machine.home))}`,
    ...(config.home === config.repository
      ? []
      : [`[ -n "$PINCH_HOME" ] || PINCH_HOME=${quoted(config.home)}`, 'export PINCH_HOME']),
    `[ -f "$program" ] || { echo "✗ this Pinch is gone; remove $0" >&2; exit 1; }`,
    '[ -x "$node" ] || node=node',
    'exec "$node" "$program" "$@"',
    '',
  ].join('\n');
}
