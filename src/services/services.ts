// The services as they are at this moment: which a group has, and their credentials. The owner is told once what of the list is no use.
import type { z } from 'zod';
import type { Config, Env } from '../core/config.js';
import { readEnv } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import { PinchError } from '../core/errors.js';
import { shownLine } from '../core/one-line.js';
import type { Account } from '../oauth/account.js';
import {
  type ConnectFlow,
  type ConnectState,
  type connectCode,
  type connectStart,
  createAccounts,
} from '../oauth/accounts.js';
import type { TokenDeps } from '../oauth/tokens.js';
import type { Secrets } from '../secrets/secrets.js';
import {
  bearer,
  type Credential,
  credentialOf,
  overHttp,
  type Problem,
  readServices,
  type Service,
  secretOf,
  secretsIn,
  variablesOf,
  version,
} from './list.js';
import { envOf, type McpServer, serverSecrets, serverVariables } from './servers.js';
import type { Store } from './store.js';

export interface ServicesDeps extends TokenDeps, Pick<LoopDeps, 'log'> {
  store: Pick<Store, 'groups' | 'serviceTokens' | 'serviceClients' | 'transaction'>;
  config: Pick<Config, 'home' | 'groupsDir' | 'dataDir'>;
  environment: Env;
  secrets: Pick<Secrets, 'add'>;
}

interface Answered {
  status: number;
  challenge?: string | undefined;
}

export type Services = ReturnType<typeof createServices>;
type Accounts = ReturnType<typeof createAccounts>;

export function createServices({ store, config, environment, clock, log, notifyOwner, secrets }: ServicesDeps) {
  const accounts = createAccounts({ store, clock, notifyOwner });
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
  /** Of an MCP server its tools are used, and nothing else: its `tools` must count. */
  const of = (groupId: number): Service[] => {
    const folder = store.groups.get(groupId)?.folder ?? '';
    return current().services.filter(({ groups, mcp }) => groups.includes(folder) && !mcp);
  };
  return {
    of,
    find: (groupId: number, name: string): Service | undefined => of(groupId).find((service) => service.name === name),
    ...credentialsOf(accounts, () => current().env),
    /** All MCP servers, also those over HTTP. */
    servers: (): McpServer[] => [
      ...current().servers,
      ...current()
        .services.filter(({ mcp }) => mcp)
        .map(overHttp),
    ],
    /** Any group's. Throws PinchError `not_found`. */
    named(wanted: string): Service {
      const found = current().services.find(({ name }) => name === wanted);
      if (!found) throw new PinchError('not_found', `there is no service ${wanted}`);
      return found;
    },
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
      const view = (service: Service) => ({
        ...service,
        variables: variables(service),
        ...connected(accounts, service),
      });
      const viewServer = (server: McpServer) => ({ ...server, variables: serverVariables(server).map(isSet) });
      return { services: services.map(view), servers: servers.map(viewServer), problems };
    },
  };
}

/** How calls are made in the owner's name, and how an account is connected for that. */
function credentialsOf(accounts: Accounts, env: () => Env) {
  const accountOf = (service: Service): Account => sureAccountOf(service, env());
  return {
    /** Throws PinchError: it is not set up, or cannot be had for now. */
    async credential(service: Service): Promise<Credential> {
      const { auth } = service;
      if (!auth || !('oauth2' in auth)) return credentialOf(auth, env());
      const { accessToken, refreshToken } = await accounts.tokens(accountOf(service));
      return bearer([accessToken, ...(refreshToken === null ? [] : [refreshToken])]);
    },
    /** What the status of an answer says about the token it was asked with: that it counts no more, or not for this. */
    async answered(
      { name, auth }: Service,
      { secrets: [token = ''] }: Credential,
      { status, challenge = '' }: Answered,
    ) {
      if (!auth || !('oauth2' in auth)) return;
      if (status === 401) accounts.expire(name, token);
      if (status === 403 && /\binsufficient_scope\b/.test(challenge)) await accounts.lack(name, challenge);
    },
    /** What the owner has to do to connect it. Throws PinchError. */
    begin: async (service: Service, start: z.infer<typeof connectStart>): Promise<ConnectFlow> =>
      accounts.begin(accountOf(service), start),
    /** Gets tokens with what he did. Throws PinchError. */
    finish: async (service: Service, code: z.infer<typeof connectCode>): Promise<ConnectState> =>
      accounts.finish(accountOf(service), code),
  };
}

const connected = (accounts: Accounts, { name, url, mcp, auth }: Service): { connected?: boolean } =>
  auth && 'oauth2' in auth
    ? { connected: accounts.isConnected({ name, url, mcp, oauth: auth.oauth2, secret: null }) }
    : {};

/** Throws PinchError. */
function sureAccountOf({ name, url, mcp, auth }: Service, env: Env): Account {
  if (!auth || !('oauth2' in auth))
    throw new PinchError('usage', `the service ${name} has no oauth2`, { hint: 'docs/services.md shows one' });
  const { clientSecret } = auth.oauth2;
  const secret = clientSecret === undefined ? null : secretOf(clientSecret, env);
  return { name, url, mcp, oauth: auth.oauth2, secret };
}

const notice = (name: string, why: string): string =>
  `I cannot use ${name === 'services.json' ? 'your services' : `the service \`${shownLine(name, 60)}\``}: ${shownLine(why, 600)}\n\n` +
  'Everything else goes on. `npm run -s pinch -- service list` shows what there is; a change of services.json counts at once.';
