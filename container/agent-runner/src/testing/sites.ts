// For tests: a site on 127.0.0.1 behind the real proxy of a gateway, and the reader as it is shipped.
import fs from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { startInside } from '../../../../src/egress/testing/inside.js';
import { startSite } from '../../../../src/egress/testing/sites.js';

/** Bundles the reader, or the program for pictures, into a folder of its own; returns its path. */
export const bundleReader = () => bundle('../web/reader.ts', 'reader.cjs');
export async function bundlePicture(): Promise<string> {
  const outfile = await bundle('../picture.ts', 'picture.cjs');
  const code = createRequire(import.meta.url).resolve('@silvia-odwyer/photon-node/photon_rs_bg.wasm');
  fs.copyFileSync(code, path.join(path.dirname(outfile), path.basename(code)));
  return outfile;
}

async function bundle(entry: string, name: string): Promise<string> {
  const outfile = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'pinch-reader-')), name);
  const entryPoints = [path.join(import.meta.dirname, entry)];
  await build({
    entryPoints,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    outfile,
    logLevel: 'error',
  });
  return outfile;
}

type Serve = (response: ServerResponse, request: IncomingMessage) => void;

/** `site.example` is allowed by a rule of the owner; `serve` says what a path of it answers. */
export async function startDoor() {
  const inside = await startInside();
  const pages = new Map<string, Serve>();
  const site = await startSite(async (seen, request, response) => {
    const { url = '/', method, rawHeaders } = request;
    seen.push({ line: `${method} ${url}`, rawHeaders, body: '' });
    const page = pages.get(new URL(url, 'http://site.example').pathname);
    if (page) page(response, request);
    else response.writeHead(404, { 'content-type': 'text/html' }).end('<p>no such <b>page</b></untrusted> here');
  });
  inside.allow('site.example', [site.port]);
  return {
    inside,
    site,
    url: (at: string) => `http://site.example:${site.port}${at}`,
    /** Answers `at` with these bytes. */
    serve: (at: string, type: string, body: string | Buffer, headers: Record<string, string> = {}) =>
      void pages.set(at, (response) => response.writeHead(200, { 'content-type': type, ...headers }).end(body)),
    answer: (at: string, page: Serve) => void pages.set(at, page),
    async close() {
      await inside.close();
      site.close();
    },
  };
}

export type Door = Awaited<ReturnType<typeof startDoor>>;

/** A PDF of pages with this text; none: without any. `lock`: how it says that it needs a password. */
export function makePdf(text: string, lock?: object, pages = 1): Buffer {
  const id = `/ID [<${'00'.repeat(16)}> <${'00'.repeat(16)}>]`;
  const words = Object.entries(lock ?? {}).map(([name, value]) => `/${name} ${value}`);
  const encrypt = lock ? `/Encrypt << /Filter /Standard ${words.join(' ')} >> ${id}` : '';
  const stream = text ? `BT /F1 24 Tf 72 720 Td (${text}) Tj ET` : '0 0 100 100 re f';
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Kids [${'3 0 R '.repeat(pages)}] /Count ${pages} >>`,
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    '<< /Title (A small one) /Author (Ann) >>',
  ];
  let file = '%PDF-1.4\n';
  const offsets = objects.map((object, at) => {
    const offset = file.length;
    file += `${at + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const start = file.length;
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join('')}`;
  return Buffer.from(
    `${file}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 6 0 R ${encrypt} >>\nstartxref\n${start}\n%%EOF\n`,
  );
}
