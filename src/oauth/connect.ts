// `pinch connect <name>`: the owner says yes in a browser, which brings a code back to this machine (RFC 8252), or types a code on another device
// (RFC 8628). Here is waited; the daemon asks the servers and keeps the tokens. Where the browser runs elsewhere, the address it ends at is pasted here.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import { deviceFlow } from './device.js';
import { type WaitDeps, waitForDevice } from './wait.js';

interface ConnectDeps extends WaitDeps {
  input: Readable;
}

const flow = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('code'), url: z.string(), verifier: z.string(), client: z.string() }),
  deviceFlow,
]);

/** Resolves once the service is connected. Throws PinchError. */
export async function connectService(deps: ConnectDeps, name: string): Promise<string> {
  if (name === '') throw new PinchError('usage', 'which one? Give its name', { hint: '`service list` has them' });
  const call = `POST /api/services/${encodeURIComponent(name)}/connect`;
  const state = randomBytes(16).toString('base64url');
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const redirectUri = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`;
  try {
    const begun = flow.parse(await deps.ask(`${call}/start`, { redirectUri, state }));
    if (begun.kind === 'device') await waitForDevice(deps, call, begun);
    else {
      const { url, verifier, client } = begun;
      deps.say(
        `Open this in a browser:\n\n${url}\n\nIf it runs on another machine, paste here the address at which it ends.\n`,
      );
      const { code, issuer } = await browserAnswer(deps, server, { redirectUri, state });
      await deps.ask(call, { code, verifier, redirectUri, client, ...(issuer !== null && { issuer }) });
    }
    return `${name} is connected.`;
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

async function browserAnswer(
  { say, input }: ConnectDeps,
  server: Server,
  { redirectUri, state }: { redirectUri: string; state: string },
): Promise<{ code: string; issuer: string | null }> {
  const lines = createInterface({ input });
  try {
    return await new Promise((resolve, reject) => {
      /** Whether this is the answer; others on this machine may ask here, too. */
      const take = (text: string): boolean => {
        const { searchParams } = new URL(URL.canParse(text, redirectUri) ? text : '/', redirectUri);
        const [code, error] = [searchParams.get('code'), searchParams.get('error')];
        if (searchParams.get('state') !== state || (!code && !error)) return false;
        if (code) resolve({ code, issuer: searchParams.get('iss') });
        else reject(new PinchError('refused', `it was refused: ${error?.replace(/[^\w .-]/g, '?').slice(0, 100)}`));
        return true;
      };
      lines.on('line', (line) => void (take(line.trim()) || say('This is not the address that was meant.\n')));
      server.on('request', (request, response) => {
        const [status, text] = take(request.url ?? '') ? [200, 'Go back to the terminal.'] : [404, 'Nothing is here.'];
        response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(text);
      });
    });
  } finally {
    lines.close();
  }
}
