// A fetch over node:http, for calls to the host. Node's own ends a call after five minutes without a byte, but an idle container's work
// stream is silent for longer, and a slow local model may need minutes to read the prompt. Here only the caller sets limits.
import http from 'node:http';
import { Readable } from 'node:stream';

/**
 * One for all calls to the host: a new connection goes a long way, through the engine, before it carries anything. The host closes one that
 * nobody used for long, and says so before.
 */
const agent = new http.Agent({ keepAlive: true, maxFreeSockets: 8, scheduling: 'lifo' });

/** `stallMs`: silence after the headers that fails the call; 0 for no limit. */
export function createFetch(stallMs = 0) {
  return (url: string | URL | Request, init: RequestInit = {}): Promise<Response> =>
    new Promise((resolve, reject) => {
      const { method = 'GET', signal, body } = init;
      const headers = Object.fromEntries(new Headers(init.headers));
      const request = http.request(String(url), { agent, method, headers, ...(signal && { signal }) }, (response) => {
        response.setTimeout(stallMs, () => response.destroy(new Error(`no byte for ${stallMs} ms`)));
        const replied = new Headers();
        for (const [name, value] of Object.entries(response.headers)) replied.set(name, String(value));
        // With any other status a Response has no body, or cannot be made.
        const status = response.statusCode ?? 0;
        const hasBody = status >= 200 && status <= 599 && ![204, 205, 304].includes(status);
        if (!hasBody) response.resume();
        const reply = { status: hasBody ? status : 502, headers: replied };
        resolve(new Response(hasBody ? Readable.toWeb(response) : null, reply));
      });
      request.on('error', reject).end(typeof body === 'string' || body instanceof Uint8Array ? body : undefined);
    });
}
