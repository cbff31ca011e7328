// An npm registry on 127.0.0.1 with a handful of empty packages, as a process of its own: prints its port, ends when its stdin does.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `bolt` wants another `deep` than `stay` has, so that npm has to nest one. */
const packages = [
  { name: 'stay', version: '1.0.0', dependencies: { deep: '^1.0.0' } },
  { name: 'bolt', version: '5.1.0', dependencies: { deep: '^2.0.0', shared: '^1.0.0' } },
  { name: 'deep', version: '1.0.0' },
  { name: 'deep', version: '2.0.0' },
  { name: 'shared', version: '1.2.0' },
];

/** @param {Record<string, unknown>} manifest */
function tarballOf(manifest) {
  const folder = mkdtempSync(join(tmpdir(), 'registry-'));
  mkdirSync(join(folder, 'package'));
  writeFileSync(join(folder, 'package', 'package.json'), JSON.stringify(manifest));
  execFileSync('tar', ['-czf', 'package.tgz', 'package'], { cwd: folder });
  const bytes = readFileSync(join(folder, 'package.tgz'));
  rmSync(folder, { recursive: true });
  return bytes;
}

const tarballs = new Map(packages.map((one) => [`/${one.name}/-/${one.name}-${one.version}.tgz`, tarballOf(one)]));

/** @param {string} name @param {string} origin */
function documentOf(name, origin) {
  const versions = packages
    .filter((one) => one.name === name)
    .map((one) => {
      const path = `/${name}/-/${name}-${one.version}.tgz`;
      const integrity = `sha512-${createHash('sha512')
        .update(tarballs.get(path) ?? '')
        .digest('base64')}`;
      return [one.version, { ...one, dist: { tarball: origin + path, integrity } }];
    });
  if (versions.length === 0) return undefined;
  return { name, 'dist-tags': { latest: versions.at(-1)?.[0] }, versions: Object.fromEntries(versions) };
}

const server = createServer((request, response) => {
  const path = request.url ?? '';
  const tarball = tarballs.get(path);
  if (tarball) return response.end(tarball);
  const document = documentOf(path.slice(1), `http://${request.headers.host}`);
  response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(document ?? {}));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.resume().on('end', () => process.exit(0));
