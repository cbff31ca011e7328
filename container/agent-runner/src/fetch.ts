// fetch over node:http for the link at 127.0.0.1. Node's own ends a reply or a stream after five minutes without a byte; here only the
// caller sets limits: an idle container's work stream stays open, and a slow local model may need minutes to read the prompt.
import http from 'node:http';
import { Readable } from 'node:stream';

/** `stallMs`: silence after the headers that counts as a fault; 0 for none. */
export function createFetch(stallMs = 0) {
  return (url: string | URL | Request, init: RequestInit = {}): Promise<Response> =>
    new Promise((resolve, reject) => {
      const { method = 'GET', signal, body } = init;
      const headers = Object.fromEntries(new Headers(init.headers));
      const request = http.request(String(url), { method, headers, ...(signal && { signal }) }, (response) => {
        response.setTimeout(stallMs, () => response.destroy(new Error(`no byte for ${stallMs} ms`)));
        const replied = new Headers();
        for (const [name, value] of Object.entries(response.headers)) replied.set(name, String(value));
        resolve(new Response(Readable.toWeb(response), { status: response.statusCode ?? 0, headers: replied }));
      });
      request.on('error', reject).end(typeof body === 'string' || body instanceof Uint8Array ? body : undefined);
    });
}
