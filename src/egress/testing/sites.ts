// Sites of the test: HTTP and HTTPS servers on 127.0.0.1 which say what they were asked, and run programs as the agent's shell does.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { HANG_MS } from '../../../test/limits.js';
import { listen } from './inside.js';

export interface Site {
  port: number;
  /** The requests so far, as `METHOD path`, with what came of headers and body. */
  seen: { line: string; rawHeaders: string[]; body: string }[];
  close(): void;
}

/** Says what was asked for. */
export async function answer(seen: Site['seen'], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request);
  seen.push({ line: `${request.method} ${request.url}`, rawHeaders: request.rawHeaders, body });
  response.setHeader('set-cookie', ['a=1', 'b=2']);
  response.end(`you asked for ${request.headers.host}${request.url}${body}\n`);
}

export async function startSite(serve = answer): Promise<Site> {
  const seen: Site['seen'] = [];
  const server = http.createServer((request, response) => void serve(seen, request, response));
  const port = await listen(server);
  return { port, seen, close: () => stop(server) };
}

function stop(server: http.Server | https.Server): void {
  server.close();
  server.closeAllConnections();
}

/** With a certificate of its own for `host`; `ca` is a file with it. */
export async function startTlsSite(host: string, serve = answer): Promise<Site & { ca: string; server: https.Server }> {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-tls-'));
  const [key, ca] = [join(folder, 'key.pem'), join(folder, 'ca.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', ca];
  const name = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`];
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...curve, ...name], { stdio: 'ignore' });
  const seen: Site['seen'] = [];
  const pem = { key: readFileSync(key), cert: readFileSync(ca) };
  const server = https.createServer(pem, (request, response) => void serve(seen, request, response));
  const port = await listen(server);
  return { port, seen, ca, server, close: () => stop(server) };
}

/** What a program printed, and how it ended. Never rejects. */
export function run(
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string }> {
  const { PATH = '', HOME = '' } = process.env;
  return new Promise((resolve) => {
    execFile(program, args, { env: { PATH, HOME, ...env }, timeout: HANG_MS }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out: stdout + stderr }),
    );
  });
}

export type EndlessSite = Awaited<ReturnType<typeof startEndlessSite>>;

/** A site of bytes without end, as fast as they are taken: how many downloads are under way, and bytes in all. */
export async function startEndlessSite() {
  const counts = { downloads: 0, bytes: 0 };
  const server = http.createServer((_request, response) => {
    counts.downloads += 1;
    response.on('close', () => {
      counts.downloads -= 1;
    });
    const piece = Buffer.alloc(64 * 1024);
    const more = () => {
      for (let hasRoom = true; hasRoom && !response.destroyed; counts.bytes += piece.length)
        hasRoom = response.write(piece);
    };
    response.on('drain', more);
    more();
  });
  const port = await listen(server);
  return {
    ...{ port, counts },
    close(): void {
      server.close();
      server.closeAllConnections();
    },
  };
}
