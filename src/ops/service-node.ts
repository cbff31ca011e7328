// Which path of the running Node a unit names: one that an upgrade leaves in place, where there is one.
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** A part of a path that is another one after an upgrade. */
const VERSIONED = /\/[^/]*\d+\.\d+\.\d+[^/]*\//;

/** Version managers and the link that each keeps, by the true path of a version. */
const managers: [version: RegExp, link: string][] = [
  // Homebrew, also a keg-only `node@22`, which has no link in bin.
  [/^(.+)\/Cellar\/([^/]+)\/[^/]+\/bin\/node$/, '$1/opt/$2/bin/node'],
  [/^(.+\/mise\/installs\/node\/\d+)\.[^/]+\/bin\/node$/, '$1/bin/node'],
  [/^(.+)\/node-versions\/[^/]+\/installation\/bin\/node$/, '$1/aliases/default/bin/node'],
  [/^(.+\/snap\/node)\/\d+\/bin\/node$/, '$1/current/bin/node'],
];

/** A link to this very file, else the path itself. Shims (Volta, asdf, nodenv) are other programs: what they start depends on the folder. */
export function stableNode(node: string, home: string): string {
  const file = realpathSync(node);
  const links = [
    ...managers.flatMap(([version, link]) => (version.test(file) ? [file.replace(version, link)] : [])),
    ...['/opt/homebrew/bin/node', '/usr/local/bin/node', '/home/linuxbrew/.linuxbrew/bin/node', '/usr/bin/node'],
    ...['/run/current-system/sw/bin/node', join(home, '.nix-profile/bin/node')],
  ];
  const leads = (link: string) => existsSync(link) && realpathSync(link) === file;
  // The path it was called by may lie in a folder of one terminal (fnm); the file's own does not.
  return links.find(leads) ?? file;
}

/** What to know about a unit with this path; undefined when an upgrade leaves it in place. */
export const nodeNote = (path: string): string | undefined =>
  VERSIONED.test(path)
    ? `Note: ${path} is this version of Node and no other. Before you remove it: \`service install\` again, with the next one.`
    : undefined;
