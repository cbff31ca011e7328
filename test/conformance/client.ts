// One scenario of the protocol's conformance suite, played by our own side: services.json with nothing but the address, `pinch connect` with an owner
// who says yes, and the transport over a service. The protocol's client sits on top, as it does in the daemon.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { pino } from 'pino';
import { z } from 'zod';
import { systemClock } from '../../src/core/clock.js';
import { PinchError } from '../../src/core/errors.js';
import { createHttpTransport } from '../../src/mcp/http.js';
import { createParser } from '../../src/mcp/parse.js';
import { createGuards } from '../../src/secrets/guards.js';
import { createSecrets } from '../../src/secrets/secrets.js';
import { servicesApi } from '../../src/services/api.js';
import { createServices } from '../../src/services/services.js';
import { addressIn, connectAt } from '../../src/services/testing/owner.js';
import { openStore } from '../../src/store.js';

const log = pino({ enabled: false });
const context = z.object({ client_id: z.string().optional(), client_secret: z.string().optional() });

/** Resolves when the scenario is played. Throws what the owner would be told. */
export async function playScenario(url: string, scenario: string, given: unknown): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'pinch-conformance-'));
  const { client_id: clientId, client_secret: secret } = context.parse(given ?? {});
  // The issuer that a secret is given to is what the owner looks up at his provider.
  const issuer = secret === undefined ? undefined : await issuerOf(url);
  const oauth2 = {
    ...(clientId !== undefined && { clientId }),
    ...(secret !== undefined && { clientSecret: 'SECRET', issuer }),
    ...(scenario === 'auth/basic-cimd' && { clientMetadataUrl: METADATA_URL }),
  };
  const auth = scenario.startsWith('auth/') ? { auth: { oauth2 } } : {};
  const server = { kind: 'http', mcp: true, url, groups: ['main'], ...auth };
  writeFileSync(join(home, 'services.json'), JSON.stringify({ server }), { mode: 0o600 });
  writeFileSync(join(home, '.env'), `SECRET=${secret ?? ''}\n`, { mode: 0o600 });
  const secrets = createSecrets();
  const { store } = createGuards({ secrets, store: openStore(':memory:'), clock: systemClock, log });
  const notices = new Map<string, string>();
  const services = createServices({
    ...{ store, secrets, clock: systemClock, log, environment: {} },
    config: { home, groupsDir: join(home, 'groups'), dataDir: join(home, 'data') },
    notifyOwner: (key, text) => void notices.set(key, text),
  });
  try {
    const api = servicesApi({ services, store, clock: systemClock, viewServer: () => ({}) });
    // The browser goes where it is sent, and the server says yes at once.
    const onSay = (text: string): void => void browse(addressIn(text) ?? '');
    const { services: all } = services.list();
    const [service] = all;
    if (!service) throw new Error('services.json is no use');
    const use = async () => {
      const parser = createParser(systemClock);
      const client = new Client({ name: 'pinch', version: '1.0.0' });
      try {
        await client.connect(await createHttpTransport({ service, services, clock: systemClock, parser }));
        await act(client);
      } finally {
        await client.close();
        parser.close();
      }
    };
    await whileTold(use, () => connectAt(api, 'server', { onSay }), notices);
  } finally {
    store.close();
    rmSync(home, { recursive: true, force: true });
  }
}

/** The suite's own example of such a document. */
const METADATA_URL = 'https://conformance-test.local/client-metadata.json';

async function issuerOf(url: string): Promise<string> {
  const { origin, pathname } = new URL(url);
  const found = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  const { authorization_servers } = z
    .object({ authorization_servers: z.tuple([z.string()]) })
    .parse(await found.json());
  return authorization_servers[0];
}

async function act(client: Client): Promise<void> {
  const { tools } = await client.listTools();
  for (const { name } of tools) await client.callTool({ name, arguments: { a: 2, b: 3 } });
}

/** The owner connects when nothing goes without it, and again whenever he is told something new. */
async function whileTold(use: () => Promise<void>, connectAgain: () => Promise<string>, notices: Map<string, string>) {
  let told = -1;
  for (;;) {
    try {
      return await use();
    } catch (error) {
      const isHis = error instanceof PinchError && /^(not_connected|revoked|insufficient_scope)$/.test(error.code);
      if (!isHis || notices.size <= told) throw error;
      told = notices.size;
      await connectAgain();
    }
  }
}

async function browse(url: string): Promise<void> {
  const answer = await fetch(url, { redirect: 'manual' });
  await fetch(new URL(answer.headers.get('location') ?? '/', url));
}
