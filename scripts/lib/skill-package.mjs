// Dependencies in and out of the text of package.json, everything else byte for byte as it was. Pure.
import { SetupError } from './progress.mjs';

/** @typedef {Record<string, string>} Versions */

/**
 * @param {string} text of package.json
 * @returns {Versions}
 */
export const dependenciesOf = (text) => JSON.parse(text).dependencies ?? {};

/**
 * The text with the dependency, before the first one that sorts behind it. Throws SetupError when another version is there.
 * @param {string} text
 * @param {string} name
 * @param {string} version
 */
export function addDependency(text, name, version) {
  const json = JSON.parse(text);
  const present = json.dependencies?.[name] ?? json.devDependencies?.[name];
  if (present === version) return text;
  if (present !== undefined) {
    throw new SetupError(
      `package.json has ${name} ${present}, the skill needs ${version}: set it to ${version} there, run \`npm install\`, commit, and apply again.`,
    );
  }
  const entries = Object.entries(json.dependencies ?? {});
  // npm's own order.
  const behind = entries.findIndex(([other]) => other.localeCompare(name, 'en') > 0);
  json.dependencies = Object.fromEntries(
    entries.toSpliced(behind === -1 ? entries.length : behind, 0, [name, version]),
  );
  return written(text, json);
}

/**
 * The text without the dependency.
 * @param {string} text
 * @param {string} name
 * @param {string} version
 */
export function removeDependency(text, name, version) {
  const json = JSON.parse(text);
  if (json.dependencies?.[name] !== version) return text;
  delete json.dependencies[name];
  return written(text, json);
}

/** @param {string} before @param {unknown} json */
function written(before, json) {
  const indent = /^([ \t]+)"/m.exec(before)?.[1] ?? 2;
  const end = before.endsWith('\n') ? '\n' : '';
  if (JSON.stringify(JSON.parse(before), null, indent) + end !== before) {
    throw new SetupError(
      'package.json is not laid out as npm writes it: run `npm run format`, commit that, and try again.',
    );
  }
  return JSON.stringify(json, null, indent) + end;
}
