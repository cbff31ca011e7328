// All MCP servers of the owner: one connection each, whichever groups use it.
import type { Config } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import { PinchError } from '../core/errors.js';
import type { Secrets } from '../secrets/secrets.js';
import type { McpServer } from '../services/servers.js';
import type { Services } from '../services/services.js';
import { type Connection, createConnection } from './connection.js';
import { type Change, createKnown, hash } from './known.js';
import type { CallResult, ToolCall } from './session.js';
import type { Store } from './store.js';
import type { Offer } from './tools.js';
import type { ServerTransport } from './transport.js';

/** Running at once; one that rests makes room. */
const MAX_RUNNING = 8;

export interface ServersDeps extends LoopDeps {
  store: Store;
  config: Pick<Config, 'idleMs'>;
  services: Pick<Services, 'servers' | 'envOf'>;
  secrets: Pick<Secrets, 'clean'>;
  /** Starts a server, wherever it runs. */
  open(server: McpServer, over: AbortSignal): Promise<ServerTransport>;
  /** The emergency stop. */
  stopped(): boolean;
}

type OnChanges = (server: McpServer, changes: Change[]) => void;
export type Servers = ReturnType<typeof createServers>;

export function createServers(deps: ServersDeps) {
  const { store, services, config } = deps;
  const known = createKnown(store);
  const open = new Map<string, { version: string; connection: Connection }>();
  const listeners: OnChanges[] = [];

  const of = (groupId: number): McpServer[] => {
    const folder = store.groups.get(groupId)?.folder ?? '';
    return services.servers().filter(({ groups }) => groups.includes(folder));
  };
  function onOffer(server: McpServer, offer: Offer): void {
    const changes = known.take(server, offer);
    if (changes.length > 0) for (const listen of listeners) listen(server, changes);
  }
  function connectionOf(server: McpServer): Connection {
    const version = versionOf(server, services);
    const kept = open.get(server.name);
    if (kept?.version === version) return kept.connection;
    void kept?.connection.end();
    const connection = createConnection({
      ...deps,
      ...{ name: server.name, idleMs: config.idleMs },
      open: (over) => deps.open(server, over),
      onOffer: (offer) => onOffer(server, offer),
    });
    open.set(server.name, { version, connection });
    return connection;
  }
  return {
    of,
    find: (groupId: number, name: string): McpServer | undefined => of(groupId).find((one) => one.name === name),
    /** Called with tools that wait for a yes, whenever a server offers them. */
    onChanges: (listen: OnChanges): void => void listeners.push(listen),
    /** Its connection, to be used at once. Throws PinchError `too_many`. */
    use(server: McpServer): Connection {
      const connection = connectionOf(server);
      makeRoom(open, connection, new Set(services.servers().map(({ name }) => name)));
      return connection;
    },
    tools: known.of,
    accept: known.accept,
    state(server: McpServer) {
      const kept = open.get(server.name)?.connection.state() ?? { state: 'resting' as const, lastError: null };
      // A server may write what it was given.
      const lastError = kept.lastError && deps.secrets.clean(kept.lastError).text;
      return { ...kept, lastError, ...known.state(server) };
    },
    /** Ends it; what failed before does not keep it from being started. */
    async restart(server: McpServer): Promise<void> {
      const { connection } = open.get(server.name) ?? {};
      await connection?.stop();
      connection?.forgive();
    },
    /** All end; they are started again when they are needed, unless everything is stopped. */
    async stopAll(): Promise<void> {
      const all = [...open.values()];
      open.clear();
      await Promise.all(all.map(({ connection }) => connection.end()));
    },
    running: (): string[] =>
      [...open].filter(([, { connection }]) => connection.state().state === 'running').map(([name]) => name),
  };
}

/** Calls a tool, unless the server offers another one of that name once it runs. Throws PinchError, `not_found` then. */
export async function callKnown(
  servers: Pick<Servers, 'use' | 'tools'>,
  { server, digest }: { server: McpServer; digest: string },
  call: ToolCall,
): Promise<CallResult> {
  const connection = servers.use(server);
  await connection.ready();
  if (servers.tools(server)?.some((tool) => tool.name === call.tool && tool.digest === digest))
    return connection.call(call);
  throw new PinchError('not_found', `${server.name} offers another tool ${call.tool} by now`);
}

/** Ends what is not in the list any more, and one that rests when there are too many. Throws PinchError `too_many`. */
function makeRoom(open: Map<string, { connection: Connection }>, wanted: Connection, names: Set<string>): void {
  for (const [name, { connection }] of open) {
    if (names.has(name)) continue;
    void connection.end();
    open.delete(name);
  }
  const others = [...open.values()].map(({ connection }) => connection).filter((one) => one !== wanted);
  const running = others.filter((one) => one.state().state !== 'resting');
  if (running.length < MAX_RUNNING) return;
  const [oldest] = running.filter((one) => !one.isBusy()).sort((one, other) => one.usedAt() - other.usedAt());
  if (!oldest) throw new PinchError('too_many', `${running.length} MCP servers are at work; try again in a moment`);
  void oldest.stop();
}

/** Another one needs another process. */
function versionOf(server: McpServer, { envOf }: Pick<Services, 'envOf'>): string {
  try {
    return hash([server, envOf(server)]);
  } catch {
    return hash([server]);
  }
}
