// What a newer version brings, for the owner who decides: commits, what the changelog says, and what asks for attention.
import { ask, git } from './update-git.mjs';
import { visible } from './visible.mjs';

const MAX_LINES = 20;
const TOO_LONG = 400;

/**
 * @param {string} root
 * @param {string} commit
 * @returns {string} lines for a terminal
 */
export function newsOf(root, commit) {
  const base = ask(root, ['merge-base', 'HEAD', commit]).stdout || 'HEAD';
  const at = (/** @type {string} */ version, /** @type {string} */ file) =>
    ask(root, ['show', `${version}:${file}`]).stdout;
  const commits = lines(git(root, 'log', '--no-merges', '--format=%s', `HEAD..${commit}`));
  const changelog = lines(git(root, 'diff', '-U0', base, commit, '--', 'CHANGELOG.md'))
    .filter((line) => /^\+[^+]/.test(line))
    .map((line) => line.slice(1).trimEnd());
  const migrations = lines(
    git(root, 'diff', '--name-only', '--diff-filter=A', base, commit, '--', 'src/core/migrations'),
  );
  const unit = ask(root, ['diff', '--quiet', base, commit, '--', 'launchd', 'src/ops/service-unit.ts']).code === 1;
  const sections = [
    section(`${commits.length} new commits`, commits),
    section('The changelog', changelog),
    section(
      'The database is changed by',
      migrations.map((path) => path.slice(path.lastIndexOf('/') + 1)),
    ),
    section('Packages', changedPackages(at(base, 'package.json'), at(commit, 'package.json'))),
    section('The service', unit ? ['its unit may be another: run `pinch service install` after the update'] : []),
    section('Settings (.env)', changedSettings(at(base, '.env.example'), at(commit, '.env.example'))),
  ];
  return visible(sections.filter(Boolean).join('\n'));
}

const lines = (/** @type {string} */ text) => text.split('\n').filter((line) => line.trim() !== '');

/** @param {string} title @param {string[]} entries */
function section(title, entries) {
  if (entries.length === 0) return '';
  const shown = entries
    .slice(0, MAX_LINES)
    .map((line) => `  ${line.length > TOO_LONG ? `${line.slice(0, TOO_LONG)}…` : line}`);
  return [
    `${title}:`,
    ...shown,
    ...(entries.length > MAX_LINES ? [`  … and ${entries.length - MAX_LINES} more`] : []),
  ].join('\n');
}

/** @param {string} before @param {string} after the two package.json */
function changedPackages(before, after) {
  const [old, next] = [packagesOf(before), packagesOf(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(next)])]
    .filter((name) => old[name] !== next[name])
    .map((name) => `${name}: ${old[name] ?? 'new'} → ${next[name] ?? 'gone'}`);
}

/** @param {string} text @returns {Record<string, string>} */
function packagesOf(text) {
  try {
    const { dependencies, devDependencies } = JSON.parse(text);
    return { ...devDependencies, ...dependencies };
  } catch {
    return {};
  }
}

/** @param {string} before @param {string} after */
function changedSettings(before, after) {
  const names = (/** @type {string} */ text) =>
    new Set([...text.matchAll(/^#?([A-Z][A-Z0-9_]+)=/gm)].map(([, name = '']) => name));
  const [old, next] = [names(before), names(after)];
  const added = [...next].filter((name) => !old.has(name)).map((name) => `${name}: new, see .env.example`);
  const gone = [...old].filter((name) => !next.has(name)).map((name) => `${name}: gone`);
  return [...added, ...gone];
}
