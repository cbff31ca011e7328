// `pinch connect <name>`: the owner says yes in a browser, which brings a code back to this machine (RFC 8252, PKCE as in RFC 7636). The daemon
// exchanges it and keeps the tokens. Where the browser runs elsewhere, the address it ends at is pasted here.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { PinchError } from '../core/errors.js';
import { readServices } from './list.js';

interface ConnectDeps {
  config: Parameters<typeof readServices>[0];
  ask(call: string, body: object): Promise<unknown>;
  say(text: string): void;
  input: Readable;
}

/** Resolves once the service is connected. Throws PinchError. */
export async function connectService({ config, ask, say, input }: ConnectDeps, name: string): Promise<string> {
  const { auth } = readServices(config).services.find((one) => one.name === name) ?? {};
  if (!auth || !('oauth2' in auth))
    throw new PinchError('usage', `there is no service "${name}" with oauth2 in services.json`, {
      hint: 'docs/services.md shows one',
    });
  const { authorizeUrl, clientId, scopes } = auth.oauth2;
  const [verifier, state] = [randomBytes(32).toString('base64url'), randomBytes(16).toString('base64url')];
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const redirectUri = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`;
  const url = new URL(authorizeUrl);
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const fields = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    state,
    code_challenge: challenge,
  };
  for (const [field, value] of Object.entries({ ...fields, code_challenge_method: 'S256' }))
    url.searchParams.set(field, value);
  if (scopes.length > 0) url.searchParams.set('scope', scopes.join(' '));
  say(`Open this in a browser:\n\n${url}\n\nIf it runs on another machine, paste here the address at which it ends.\n`);
  const lines = createInterface({ input });
  try {
    const code = await new Promise<string>((resolve, reject) => {
      /** Whether this is the answer; others on this machine may ask here, too. */
      const take = (text: string): boolean => {
        const { searchParams } = new URL(URL.canParse(text, redirectUri) ? text : '/', redirectUri);
        const [code, error] = [searchParams.get('code'), searchParams.get('error')];
        if (searchParams.get('state') !== state || (!code && !error)) return false;
        if (code) resolve(code);
        else reject(new PinchError('refused', `it was refused: ${error?.replace(/[^\w .-]/g, '?')}`));
        return true;
      };
      lines.on('line', (line) => void (take(line.trim()) || say('This is not the address that was meant.\n')));
      server.on('request', (request, response) => {
        const [status, text] = take(request.url ?? '') ? [200, 'Go back to the terminal.'] : [404, 'Nothing is here.'];
        response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(text);
      });
    });
    await ask(`POST /api/services/${name}/connect`, { code, verifier, redirectUri });
    return `${name} is connected.`;
  } finally {
    lines.close();
    server.close();
  }
}
