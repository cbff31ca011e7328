// An npm registry on 127.0.0.1 with packages of the test.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listen } from '../../egress/testing/inside.js';

/** `manifest`: more of its package.json; `tarball`: where the registry says its file is, in the place of the registry itself. */
interface TestPackage {
  name: string;
  manifest?: object;
  tarball?: string;
}

/** Each at version 1.0.0. */
export async function startRegistry(packages: TestPackage[]) {
  const seen: string[] = [];
  const files = new Map(packages.map((one) => [one.name, pack(one)]));
  const server = http.createServer(({ url = '' }, response) => {
    seen.push(url);
    const [, name = '', rest] = url.split('/');
    const file = files.get(name);
    const known = packages.find((one) => one.name === name);
    if (!file || !known) return void response.writeHead(404).end('{"error":"not found"}');
    if (rest) return void response.end(file);
    const integrity = `sha512-${createHash('sha512').update(file).digest('base64')}`;
    const dist = { tarball: known.tarball ?? `${base}${name}/-/${name}-1.0.0.tgz`, integrity };
    const versions = { '1.0.0': { name, version: '1.0.0', ...known.manifest, dist } };
    return void response.end(JSON.stringify({ name, 'dist-tags': { latest: '1.0.0' }, versions }));
  });
  const base = `http://127.0.0.1:${await listen(server)}/`;
  return { base, seen, close: () => server.close() };
}

function pack({ name, manifest }: TestPackage): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-package-'));
  mkdirSync(join(folder, 'package'));
  writeFileSync(join(folder, 'package', 'package.json'), JSON.stringify({ name, version: '1.0.0', ...manifest }));
  writeFileSync(join(folder, 'package', 'index.js'), '');
  return execFileSync('tar', ['-cz', '-C', folder, 'package']);
}
