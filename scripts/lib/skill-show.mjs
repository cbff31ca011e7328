// What a plan does, for the person who says yes to it: first in short, then every line of it. All of it may be a stranger's text.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { git } from './skill-git.mjs';
import { descriptionOf } from './skill-tree.mjs';
import { hiddenCount, visible, visibleLine } from './visible.mjs';

/** @typedef {import('./skill-plan.mjs').Change} Change @typedef {import('./skill-plan.mjs').Plan} Plan */

/** What has the contents of these folders run. */
const runners = [
  { folder: /^src\//, how: 'by Pinch on this machine, with your rights' },
  { folder: /^scripts\//, how: 'as commands on this machine, with your rights' },
  { folder: /^container\//, how: "in the agents' image and containers" },
  { folder: /^(?!src\/|scripts\/|container\/)/, how: 'by whoever starts or reads it (tests: `npm test`)' },
];

/**
 * Plan in short: files, packages, environment, and what of it runs where.
 * @param {Plan} plan
 * @param {import('./skill-services.mjs').ServicesPlan} services
 * @param {{ install: boolean }} options
 */
export function summaryOf({ skills, changes, dependencies }, services, { install }) {
  const row = (/** @type {string} */ what, /** @type {string} */ text) => `  ${what.padEnd(16)}${visibleLine(text)}\n`;
  const rows = [
    ...skills.map((skill) => `${skill.name}: ${visibleLine(descriptionOf(skill))}\n`),
    ...changes.map((change) => row(kindOf(change), `${change.path}${remarksOf(change)}`)),
    ...dependencies.map(([name, version]) => row('npm package', `${name} ${version}`)),
    ...skills.flatMap(({ image }) => image.map((name) => row('Debian package', name))),
    ...services.names.map((name) => row('service', `${name}, in ${services.file}`)),
    ...skills.flatMap(({ env }) => env.map(({ name, how }) => row('environment', `${name}: ${how}`))),
    ...(dependencies.length > 0
      ? [row(install ? 'runs now' : 'runs later', '`npm install`, with the install scripts of packages')]
      : []),
    ...runners.flatMap(({ folder, how }) => {
      const paths = changes.filter(({ path, before, after }) => after && !before && folder.test(path));
      return paths.length > 0 ? [row('runs later', `${how}: ${paths.map(({ path }) => path).join(', ')}`)] : [];
    }),
  ];
  return `${rows.join('')}\n`;
}

/** @param {Change} change */
const kindOf = ({ before, after }) => (before ? (after ? 'changed file' : 'removed file') : 'new file');

/** @param {Change} change */
function remarksOf({ after, mode }) {
  const count = hiddenCount(after?.toString() ?? '');
  const remarks = [
    after && `${after.toString().split('\n').length - 1} lines`,
    after && mode === 0o755 && 'executable',
    count > 0 && `${count} hidden characters, written as \\x1b or <U+202E> below`,
  ].filter(Boolean);
  return remarks.length > 0 ? ` (${remarks.join(', ')})` : '';
}

/**
 * The changes as git shows a difference. The line that begins a file starts with `==`, as no line of a file's content does here.
 * @param {Change[]} changes
 * @param {boolean} color
 */
export function differenceOf(changes, color) {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-skill-'));
  try {
    return changes.map((change) => painted(oneDifference(folder, change), color)).join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} folder @param {Change} change */
function oneDifference(folder, change) {
  const { path, before, after, mode } = change;
  const [left, right] = [before && join('old', path), after && join('new', path)];
  for (const [file, content] of /** @type {const} */ ([
    [left, before],
    [right, after],
  ])) {
    if (!file || !content) continue;
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
    chmodSync(join(folder, file), mode);
  }
  // Neither the owner's settings nor attributes that came with the files may make git show less.
  const options = ['--no-index', '--text', '--no-color', '--no-ext-diff', '--no-textconv', '--'];
  const shown = git(folder, ['--no-pager', 'diff', ...options, left ?? '/dev/null', right ?? '/dev/null']);
  const text = shown.stdout.toString();
  const start = text.search(/^@@ /m);
  const head = `== ${kindOf(change)} ${path}${remarksOf(change)}\n--- ${before ? path : '/dev/null'}\n+++ ${after ? path : '/dev/null'}\n`;
  return visible(head + (start === -1 ? '' : text.slice(start)));
}

/** @param {string} text @param {boolean} color */
function painted(text, color) {
  if (!color) return text;
  const paint = (/** @type {number} */ code) => (/** @type {string} */ line) => `\u001b[${code}m${line}\u001b[m`;
  return text
    .replace(/^==.*$/gm, paint(1))
    .replace(/^\+.*$/gm, paint(32))
    .replace(/^-.*$/gm, paint(31));
}
