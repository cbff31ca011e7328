// The services as they are at this moment: which a group has, and their credentials. The owner is told once what of the list is no use.
import type { z } from 'zod';
import type { Config, Env } from '../core/config.js';
import { readEnv } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import { PinchError } from '../core/errors.js';
import { shownLine } from '../core/one-line.js';
import type { Secrets } from '../secrets/secrets.js';
import {
  bearer,
  type Credential,
  credentialOf,
  type OAuth,
  type Problem,
  readServices,
  type Service,
  secretOf,
  secretsIn,
  variablesOf,
  version,
} from './list.js';
import { createTokens, type OAuthClient, type oauthCode, type TokenDeps } from './oauth.js';
import { envOf, type McpServer, serverSecrets, serverVariables } from './servers.js';
import type { Store } from './store.js';

export interface ServicesDeps extends TokenDeps, Pick<LoopDeps, 'log'> {
  store: TokenDeps['store'] & Pick<Store, 'groups'>;
  config: Pick<Config, 'home' | 'groupsDir' | 'dataDir'>;
  environment: Env;
  secrets: Pick<Secrets, 'add'>;
}

export type Services = ReturnType<typeof createServices>;

export function createServices({ store, config, environment, clock, log, notifyOwner, secrets }: ServicesDeps) {
  const tokens = createTokens({ store, clock, notifyOwner });
  let read: { version: string; services: Service[]; servers: McpServer[]; problems: Problem[]; env: Env } | undefined;
  /** Reads the files again when they changed. */
  function current() {
    const now = version(config);
    if (read?.version === now) return read;
    read = { version: now, ...readServices(config), env: readEnv(environment, config.home) };
    const values = [...secretsIn(read.services, read.env), ...serverSecrets(read.servers, read.env)];
    for (const { name, value } of values) secrets.add(name, value);
    for (const { name, why } of read.problems) {
      log.warn({ service: name, why }, 'service not used');
      notifyOwner(`service:${now}:${name}:${why}`, notice(name, why));
    }
    return read;
  }
  const of = (groupId: number): Service[] => {
    const folder = store.groups.get(groupId)?.folder ?? '';
    return current().services.filter(({ groups }) => groups.includes(folder));
  };
  const clientOf = (name: string, { oauth2 }: { oauth2: OAuth }): OAuthClient => {
    const { clientSecret } = oauth2;
    return { ...oauth2, name, ...(clientSecret && { secret: secretOf(clientSecret, current().env) }) };
  };
  return {
    of,
    find: (groupId: number, name: string): Service | undefined => of(groupId).find((service) => service.name === name),
    /** Throws PinchError: it is not set up, or cannot be had for now. */
    async credential({ name, auth }: Service): Promise<Credential> {
      if (!auth || !('oauth2' in auth)) return credentialOf(auth, current().env);
      const { accessToken, refreshToken } = await tokens.of(clientOf(name, auth));
      return bearer([accessToken, ...(refreshToken === null ? [] : [refreshToken])]);
    },
    /** The service says that it does not know us: a token is asked for anew. */
    notKnown: ({ name, auth }: Service): void => void (auth && 'oauth2' in auth && tokens.expire(name)),
    /** Gets tokens with a code of the owner's browser. Throws PinchError. */
    async connect({ name, auth }: Service, code: z.infer<typeof oauthCode>): Promise<void> {
      if (!auth || !('oauth2' in auth)) throw new PinchError('not_found', `the service ${name} has no oauth2`);
      await tokens.connect(clientOf(name, auth), code);
    },
    /** All MCP servers of kind `mcp`. */
    servers: (): McpServer[] => current().servers,
    /** What the process of a server gets. Throws PinchError `no_credential` which names a variable that is missing. */
    envOf: (server: McpServer): Record<string, string> => envOf(server, current().env),
    isSet: (variable: string): boolean => Boolean(current().env[variable]),
    /** Whether services.json has an entry of this name, also one that is no use. */
    hasName(name: string): boolean {
      const { services, servers, problems } = current();
      return [...services, ...servers, ...problems].some((one) => one.name === name);
    },
    list: () => {
      const { services, servers, problems, env } = current();
      const isSet = (name: string) => ({ name, set: Boolean(env[name]) });
      const variables = (service: Service) => variablesOf(service).map(isSet);
      const isConnected = ({ name, auth }: Service) =>
        auth && 'oauth2' in auth ? { connected: tokens.isConnected({ ...auth.oauth2, name }) } : {};
      const view = (service: Service) => ({ ...service, variables: variables(service), ...isConnected(service) });
      const viewServer = (server: McpServer) => ({ ...server, variables: serverVariables(server).map(isSet) });
      return { services: services.map(view), servers: servers.map(viewServer), problems };
    },
  };
}

const notice = (name: string, why: string): string =>
  `I cannot use ${name === 'services.json' ? 'your services' : `the service \`${shownLine(name, 60)}\``}: ${shownLine(why, 600)}\n\n` +
  'Everything else goes on. `npm run -s pinch -- service list` shows what there is; a change of services.json counts at once.';
