// A site of code and packages over TLS: git's own server with one repository, a registry as npm reads it, an index as pip reads it, and an echo
// over WebSockets. What npm gets is this checkout's `ws`; pip gets a package that greets.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { WebSocketServer } from 'ws';
import { answer, type Site, startTlsSite } from '../../src/egress/testing/sites.js';

const WHEEL = 'hello_pinch-1.0-py3-none-any.whl';
/** Python's own zip writer makes it. */
const MAKE_WHEEL = `
import sys, zipfile
files = {
  'hello_pinch.py': 'def hello():\\n    print("hello from pip")\\n',
  'hello_pinch-1.0.dist-info/METADATA': 'Metadata-Version: 2.1\\nName: hello-pinch\\nVersion: 1.0\\n',
  'hello_pinch-1.0.dist-info/WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',
  'hello_pinch-1.0.dist-info/entry_points.txt': '[console_scripts]\\nhello-pinch = hello_pinch:hello\\n',
}
record = 'hello_pinch-1.0.dist-info/RECORD'
files[record] = ''.join(name + ',,\\n' for name in [*files, record])
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
`;

/** `ca`: a file with the certificate to trust. */
export async function startForge(host: string): Promise<Site & { ca: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-forge-'));
  makeRepository(folder);
  const wheel = join(folder, WHEEL);
  execFileSync('python3', ['-c', MAKE_WHEEL, wheel]);
  const ws = join(import.meta.dirname, '../../node_modules/ws');
  const tarball = execFileSync('tar', ['-cz', '-C', ws, '--transform', 's,^[.],package,', '.']);
  const site = await startTlsSite(host, async (seen, request, response) => {
    const url = request.url ?? '';
    if (url.startsWith('/repo.git/')) return serveGit(folder, request, response);
    if (url === '/ws')
      return void response.end(JSON.stringify(packageOf(ws, tarball, `https://${request.headers.host}`)));
    if (url === '/ws.tgz') return void response.end(tarball);
    if (url === '/simple/hello-pinch/')
      return void response.setHeader('content-type', 'text/html').end(`<a href="../../${WHEEL}">${WHEEL}</a>`);
    if (url === `/${WHEEL}`) return void response.end(readFileSync(wheel));
    return answer(seen, request, response);
  });
  const upgrades = new WebSocketServer({ noServer: true });
  site.server.on('upgrade', (request, socket, head) =>
    upgrades.handleUpgrade(request, socket, head, (accepted) =>
      accepted.on('message', (data) => accepted.send(`echo ${data}`)),
    ),
  );
  return site;
}

function makeRepository(folder: string): void {
  const [work, bare] = [join(folder, 'work'), join(folder, 'repo.git')];
  const git = (...args: string[]) => execFileSync('git', args, { stdio: 'ignore' });
  git('init', '-q', work);
  writeFileSync(join(work, 'README'), 'hello from git\n');
  git('-C', work, 'add', 'README');
  git('-C', work, '-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '-qm', 'first');
  git('clone', '-q', '--bare', work, bare);
}

/** By git's own program, as a web server starts it: what it needs in variables, its answer begins with header lines. */
async function serveGit(folder: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '', 'http://forge');
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method,
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin);
  const said = await buffer(child.stdout);
  const end = said.indexOf('\r\n\r\n');
  for (const line of said.subarray(0, end).toString().split('\r\n')) {
    const [name = '', value = ''] = line.split(': ');
    if (name === 'Status') response.statusCode = Number(value.slice(0, 3));
    else response.setHeader(name, value);
  }
  response.end(said.subarray(end + 4));
}

function packageOf(folder: string, tarball: Buffer, origin: string) {
  const { name, version }: { name: string; version: string } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  );
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  const dist = { tarball: `${origin}/ws.tgz`, integrity };
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { name, version, dist } } };
}
